"""MinHash LSH compiled: sketches and bands as datasketch computes them, buckets in one table, true Jaccard.

A sketch has, per permutation h -> a * h + b modulo 2^32 of the mixed shingles, the smallest value (datasketch's scheme
affine32). A band is a run of the sketch's values, hashed together with the band's number to its key. The table has
per key the newest posting (text, next older posting with that key).
"""

import numpy as np

from llamaduo.curation.index.compiled import compiled

EMPTY = -1

_FACTOR_1, _FACTOR_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_MIX_1, _MIX_2 = np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35)
_LARGEST = np.uint32(0xFFFFFFFF)


@compiled
def sort_sets(hashes, starts, ends):
    """Sort each row's hashes, and move the distinct ones to its beginning; fill `ends` with where they end."""
    for row in range(len(starts) - 1):
        start, end = starts[row], starts[row + 1]
        part = hashes[start:end]
        part.sort()
        kept = start
        for place in range(start, end):
            if place == start or hashes[place] != hashes[kept - 1]:
                hashes[kept] = hashes[place]
                kept += 1
        ends[row] = kept


@compiled
def sketch(shingles, factors, summands, values):
    """Fill `values` with the smallest value of each permutation."""
    values[:] = _LARGEST
    for shingle in shingles:
        mixed = np.uint32(shingle & np.uint64(0xFFFFFFFF))
        mixed = np.uint32(mixed ^ (mixed >> np.uint32(16))) * _MIX_1
        mixed = np.uint32(mixed)
        mixed = np.uint32(np.uint32(mixed ^ (mixed >> np.uint32(13))) * _MIX_2)
        mixed = np.uint32(mixed ^ (mixed >> np.uint32(16)))
        for number in range(len(values)):
            value = np.uint32(mixed * factors[number] + summands[number])
            values[number] = min(values[number], value)


@compiled
def band_keys(shingles, starts, ends, factors, summands, band_values, keys, first, last):
    """Fill `keys` (rows, bands) for the rows from `first` to before `last`; `band_values`: values per band."""
    values = np.empty(len(factors), np.uint32)
    for row in range(first, last):
        sketch(shingles[starts[row] : ends[row]], factors, summands, values)
        for band in range(keys.shape[1]):
            key = np.uint64(band + 1)
            for place in range(band * band_values, (band + 1) * band_values):
                key = (key ^ np.uint64(values[place])) * _FACTOR_1
                key = (key ^ (key >> np.uint64(31))) * _FACTOR_2
                key ^= key >> np.uint64(29)
            keys[row, band] = key


@compiled
def find_slot(key, slots, heads):
    """The slot of a key: its own, or the empty one that it would take."""
    mask = len(slots) - 1
    slot = np.int64(key & np.uint64(mask))
    while heads[slot] != EMPTY and slots[slot] != key:
        slot = (slot + 1) & mask
    return slot


@compiled
def add_keys(keys, sizes, first_text, slots, heads, postings, count, used):
    """Add sets of `sizes` by their keys (sets, bands), but empty ones; return the new numbers of postings and slots."""
    for row in range(len(keys)):
        if sizes[row] == 0:
            continue
        for key in keys[row]:
            slot = find_slot(key, slots, heads)
            if heads[slot] == EMPTY:
                slots[slot] = key
                used += 1
            postings[count, 0], postings[count, 1] = first_text + row, heads[slot]
            heads[slot] = count
            count += 1
    return count, used


@compiled
def move_slots(slots, heads, new_slots, new_heads):
    for slot in range(len(slots)):
        if heads[slot] != EMPTY:
            place = find_slot(slots[slot], new_slots, new_heads)
            new_slots[place], new_heads[place] = slots[slot], heads[slot]


@compiled
def common_count(first, second):
    """How many elements two ascending sets share."""
    at, other, common = 0, 0, 0
    while at < len(first) and other < len(second):
        if first[at] == second[other]:
            common += 1
            at += 1
            other += 1
        elif first[at] < second[other]:
            at += 1
        else:
            other += 1
    return common


@compiled
def first_near(threshold, since, own_shingles, own_keys, shingles, starts, slots, heads, postings, seen, candidates):
    """The earliest text from `since` on that shares a band and has Jaccard similarity of at least `threshold`.

    Returns it and the number of common shingles, or (-1, 0). `seen` is scratch: 0 throughout, before and after.
    """
    if len(own_shingles) == 0:
        return -1, 0
    found = 0
    for key in own_keys:
        posting = heads[find_slot(key, slots, heads)]
        while posting >= 0 and postings[posting, 0] >= since:
            text = postings[posting, 0]
            if not seen[text]:
                seen[text] = 1
                candidates[found] = text
                found += 1
            posting = postings[posting, 1]
    if found == 0:
        return -1, 0
    ordered = candidates[:found]
    ordered.sort()
    for text in ordered:
        seen[text] = 0
    for text in ordered:
        other = shingles[starts[text] : starts[text + 1]]
        common = common_count(own_shingles, other)
        if common / (len(own_shingles) + len(other) - common) >= threshold:
            return text, common
    return -1, 0


@compiled
def first_nears(
    threshold, own_shingles, own_starts, own_ends, own_keys,
    shingles, starts, slots, heads, postings, seen, candidates, found, found_common, first, last,
):  # fmt: skip
    """`first_near` among all texts, for the rows from `first` to before `last` of a batch."""
    for row in range(first, last):
        found[row], found_common[row] = first_near(
            threshold, 0, own_shingles[own_starts[row] : own_ends[row]], own_keys[row],
            shingles, starts, slots, heads, postings, seen, candidates,
        )  # fmt: skip
