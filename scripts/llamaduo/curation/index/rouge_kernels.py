"""Exact search for texts above a ROUGE-L threshold, without comparing all: the loops of `rouge_index`, compiled.

A text is its tokens (numbers) in order, and its *bag*: one element per token, where the k-th occurrence of a token is
an element of its own, so that the overlap of two bags is that of two sets. An element is hashed to `ELEMENT_BITS` bits;
elements that fall together can only make an overlap look larger. A bag is ascending by key: how many texts have the
element, then its number. So rare elements come first.

ROUGE-L F = 2 LCS / (both lengths) exceeds the threshold only if LCS does `least`, and LCS is at most the overlap of the
bags. Two bags that overlap that much share an element among the first few of each (prefix filter), at places that leave
enough elements behind (positional filter; Xiao et al., "Efficient similarity joins for near duplicate detection", WWW
2008). What is left is tested by a bit signature, by the overlap itself, and by the LCS, bit-parallel (Hyyro,
"Bit-parallel LCS-length computation revisited", AWOCA 2004).

Arrays of many rows are flat, with `starts` (rows + 1 offsets).
"""

import numpy as np

from llamaduo.curation.index.compiled import compiled, inlined

ELEMENT_BITS = 20
ELEMENTS = 1 << ELEMENT_BITS
ELEMENT_MASK = ELEMENTS - 1
LARGEST_COUNT = (1 << (32 - ELEMENT_BITS)) - 1
SIGNATURE_WORDS = 4
LONGEST = 2**31 - 1
DEAD = -1

_TOKEN_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_REPEAT_FACTOR = np.uint64(0xC2B2AE3D27D4EB4F)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_ALL_BITS = np.uint64(0xFFFFFFFFFFFFFFFF)
_ZERO, _ONE = np.uint64(0), np.uint64(1)


@compiled
def bits_set(word):
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@compiled
def element_hash(token, repeat):
    """64 mixed bits of the `repeat`-th occurrence (from 0) of a token (the finaliser of splitmix64)."""
    word = np.uint64(token) * _TOKEN_FACTOR + np.uint64(repeat) * _REPEAT_FACTOR + _ONE
    word = (word ^ (word >> np.uint64(30))) * _MIX_1
    word = (word ^ (word >> np.uint64(27))) * _MIX_2
    return word ^ (word >> np.uint64(31))


@compiled
def key(element, counts):
    """What an element is ordered by in a bag: in how many texts it is, then its number."""
    return np.uint32(min(counts[element], LARGEST_COUNT) << ELEMENT_BITS | element)


@compiled
def least(total, half_threshold):
    """The smallest LCS that may exceed the threshold, for two lengths of `total` together."""
    return max(np.int64(1), np.int64(half_threshold * total) + 1)


@compiled
def prefix_length(length, half_threshold):
    """How many of the first elements of a bag are looked at: one of them is shared, whatever the other's length."""
    other = max(np.int64(1), np.int64(half_threshold * length / (1.0 - half_threshold)) - 2)
    while least(length + other, half_threshold) > other:
        other += 1
    return max(np.int64(0), length - least(length + other, half_threshold) + 1)


@compiled
def longest_other(length, place, half_threshold):
    """How long another text can be at most whose first shared element is at this place of a bag of `length`."""
    if half_threshold <= 0.0:
        return np.int64(LONGEST)
    left = length - place
    other = np.int64(left / half_threshold) - length + 1
    while other > 0 and least(length + other, half_threshold) > left:
        other -= 1
    return other


@compiled
def fill_bag(tokens, counts, bag, signature, local):
    """Fill `bag` with the keys of a text's elements, ascending, and `signature` with the parity of their hashes.

    `local` is scratch, by token: -1 throughout, before and after.
    """
    signature[:] = _ZERO
    for place in range(len(tokens)):
        token = tokens[place]
        local[token] += 1
        word = element_hash(token, local[token])
        element = np.int64(word >> np.uint64(64 - ELEMENT_BITS))
        bag[place] = key(element, counts)
        bit = np.int64(word & np.uint64(64 * SIGNATURE_WORDS - 1))
        signature[bit >> 6] ^= _ONE << np.uint64(bit & 63)
    for token in tokens:
        local[token] = -1
    bag.sort()


@compiled
def fill_bags(tokens, starts, counts, bags, signatures, local, first, last):
    for row in range(first, last):
        start, end = starts[row], starts[row + 1]
        fill_bag(tokens[start:end], counts, bags[start:end], signatures[row], local)


@compiled
def count_elements(bags, counts):
    """Add to `counts` how often each element is in some bags."""
    for held in bags:
        counts[held & ELEMENT_MASK] += 1


@compiled
def order_bags(bags, starts, counts, first, last):
    """Put the bags of some texts in order by new counts."""
    for row in range(first, last):
        bag = bags[starts[row] : starts[row + 1]]
        for place in range(len(bag)):
            bag[place] = key(np.int64(bag[place] & ELEMENT_MASK), counts)
        bag.sort()


@compiled
def count_postings(bags, starts, rows, half_threshold, posting_starts):
    """Count the postings of each element into `posting_starts` (elements + 1), for `fill_postings`; return all."""
    posting_starts[:] = 0
    total = 0
    for row in range(rows):
        start = starts[row]
        length = prefix_length(starts[row + 1] - start, half_threshold)
        total += length
        for place in range(length):
            posting_starts[bags[start + place] & ELEMENT_MASK] += 1
    before = 0
    for element in range(ELEMENTS):
        before += posting_starts[element]
        posting_starts[element] = before
    posting_starts[ELEMENTS] = before
    return total


@compiled
def fill_postings(bags, starts, longest_first, half_threshold, posting_starts, postings):
    """Fill `postings` (text, place in its bag, its length) by element, each element's from the shortest text on.

    `longest_first`: the texts, from the longest on. Leaves in `posting_starts` where those of each element begin.
    Those of one text are in the order of their places, as `note_posting` needs them: filled in from the last.
    """
    for row in longest_first:
        start, length = starts[row], starts[row + 1] - starts[row]
        for place in range(prefix_length(length, half_threshold) - 1, -1, -1):
            element = bags[start + place] & ELEMENT_MASK
            posting = posting_starts[element] - 1
            postings[posting, 0], postings[posting, 1], postings[posting, 2] = row, place, length
            posting_starts[element] = posting


@compiled
def add_recent(bag, text, half_threshold, heads, recent, count):
    """Put a text's postings in front of their elements' lists of recent ones; return the new number of postings.

    `heads`: per element its newest posting or -1; `recent`: (text, place, length, next older posting or -1). The last
    place comes first, so that the list has them in order.
    """
    length = len(bag)
    for place in range(prefix_length(length, half_threshold) - 1, -1, -1):
        element = bag[place] & ELEMENT_MASK
        recent[count, 0], recent[count, 1], recent[count, 2] = text, place, length
        recent[count, 3] = heads[element]
        heads[element] = count
        count += 1
    return count


@inlined
def note_posting(text, place, length, own_place, own_length, half_threshold, matches, candidates, found):
    """Count a shared element for `text`, unless too few elements are left behind; return the number of candidates.

    Where several elements of a text have fallen together, its postings come in the order of their places: then what is
    counted is never less than what the bags have in common up to there.
    """
    needed = least(own_length + length, half_threshold) - 1 - min(own_length - own_place - 1, length - place - 1)
    if min(own_place, place) < needed:
        return found
    already = matches[text]
    if already == DEAD:
        return found
    if already >= needed:
        if already == 0:
            candidates[found] = text
            found += 1
        matches[text] = already + 1
    elif already > 0:
        matches[text] = DEAD
    return found


@compiled
def overlap_reaches(first, second, needed):
    """Whether two bags have at least `needed` elements in common."""
    at, other, common = 0, 0, 0
    while at < len(first) and other < len(second):
        if common + min(len(first) - at, len(second) - other) < needed:
            return False
        if first[at] == second[other]:
            common += 1
            at += 1
            other += 1
        elif first[at] < second[other]:
            at += 1
        else:
            other += 1
    return common >= needed


@compiled
def note_places(tokens, local, masks):
    """Number the distinct tokens in `local` (by token, -1 elsewhere) and set their places as bits; return how many."""
    distinct = 0
    for place in range(len(tokens)):
        token = tokens[place]
        if local[token] < 0:
            local[token] = distinct
            masks[distinct, :] = _ZERO
            distinct += 1
        masks[local[token], place >> 6] |= _ONE << np.uint64(place & 63)
    return distinct


@compiled
def common_length(length, local, masks, other, row):
    """The length of the LCS of a text of `length` tokens, given by its places, and `other`; `row` is scratch."""
    words = (length + 63) >> 6
    if words == 1:
        single = _ALL_BITS
        for token in other:
            number = local[token]
            if number >= 0:
                step = single & masks[number, 0]
                single = (single + step) | (single - step)
        row[0] = single
    else:
        row[:words] = _ALL_BITS
        for token in other:
            number = local[token]
            if number >= 0:
                carry = _ZERO
                for word in range(words):
                    before = row[word]
                    step = before & masks[number, word]
                    added = before + step
                    carried = added + carry
                    carry = np.uint64(added < before) | np.uint64(carried < added)
                    row[word] = carried | (before & ~masks[number, word])
    zeros = 0
    for word in range(words):
        unset = ~row[word]
        if word == words - 1 and length & 63:
            unset &= (_ONE << np.uint64(length & 63)) - _ONE
        zeros += bits_set(unset)
    return zeros


@compiled
def rouge_l(common, first_length, second_length):
    """The same floating-point operations as rouge-score's."""
    if common == 0:
        return 0.0
    precision = common / first_length
    recall = common / second_length
    return 2 * precision * recall / (precision + recall)


@compiled
def gather(
    half_threshold, since, own_bag, posting_starts, postings, heads, recent, matches, candidates
):  # fmt: skip
    """Fill `candidates` with the texts from `since` on that share a first element at fitting places; return how many.

    `since` is 0 or the number of a text that is listed as recent.
    """
    length = len(own_bag)
    found = 0
    for place in range(prefix_length(length, half_threshold)):
        element = own_bag[place] & ELEMENT_MASK
        if since == 0:
            longest = longest_other(length, place, half_threshold)
            for posting in range(posting_starts[element], posting_starts[element + 1]):
                if postings[posting, 2] > longest:
                    break
                found = note_posting(
                    postings[posting, 0], postings[posting, 1], postings[posting, 2],
                    place, length, half_threshold, matches, candidates, found,
                )  # fmt: skip
        newer = heads[element]
        while newer >= 0 and recent[newer, 0] >= since:
            found = note_posting(
                recent[newer, 0], recent[newer, 1], recent[newer, 2],
                place, length, half_threshold, matches, candidates, found,
            )  # fmt: skip
            newer = recent[newer, 3]
    return found


@compiled
def keep_similar(half_threshold, length, own_signature, starts, signatures, matches, candidates, found):
    """Keep, ascending, the candidates that the places and the signature do not rule out; return how many.

    Clears `matches`. Two signatures differ in at most as many bits as the bags have elements that are not shared.
    """
    left = 0
    for number in range(found):
        text = candidates[number]
        if matches[text] != DEAD:
            total = length + starts[text + 1] - starts[text]
            differing = 0
            for word in range(SIGNATURE_WORDS):
                differing += bits_set(own_signature[word] ^ signatures[text, word])
            if (total - differing) // 2 >= least(total, half_threshold):
                candidates[left] = text
                left += 1
        matches[text] = 0
    candidates[:left].sort()
    return left


@compiled
def first_match(
    threshold, half_threshold, since,
    own_tokens, own_bag, own_signature,
    tokens, bags, starts, signatures,
    posting_starts, postings, heads, recent,
    matches, candidates, local,
):  # fmt: skip
    """The earliest text from `since` on whose ROUGE-L F with a given one exceeds the threshold, and their LCS.

    Returns (-1, 0) when there is none. `matches` and `local` are scratch: 0 and -1 throughout, before and after.
    """
    length = len(own_tokens)
    found = gather(half_threshold, since, own_bag, posting_starts, postings, heads, recent, matches, candidates)
    left = keep_similar(half_threshold, length, own_signature, starts, signatures, matches, candidates, found)
    distinct = 0
    masks = np.empty((0, 0), np.uint64)
    row = np.empty(0, np.uint64)
    match, match_common = -1, 0
    for text in candidates[:left]:
        start, end = starts[text], starts[text + 1]
        if not overlap_reaches(own_bag, bags[start:end], least(length + end - start, half_threshold)):
            continue
        if distinct == 0:
            words = (length + 63) >> 6
            masks = np.empty((length, words), np.uint64)
            row = np.empty(words, np.uint64)
            distinct = note_places(own_tokens, local, masks)
        common = common_length(length, local, masks, tokens[start:end], row)
        if rouge_l(common, length, end - start) > threshold:
            match, match_common = text, common
            break
    if distinct:
        for token in own_tokens:
            local[token] = -1
    return match, match_common


@compiled
def first_matches(
    threshold, half_threshold, first, last,
    own_tokens, own_bags, own_starts, own_signatures,
    tokens, bags, starts, signatures,
    posting_starts, postings, heads, recent,
    matches, candidates, local, found, found_common,
):  # fmt: skip
    """`first_match` among all texts, for the rows from `first` to before `last` of a batch."""
    for row in range(first, last):
        start, end = own_starts[row], own_starts[row + 1]
        found[row], found_common[row] = first_match(
            threshold, half_threshold, 0,
            own_tokens[start:end], own_bags[start:end], own_signatures[row],
            tokens, bags, starts, signatures, posting_starts, postings, heads, recent,
            matches, candidates, local,
        )  # fmt: skip
