"""A hash table over words: the loops of `token_numbers`, compiled.

Word `k` is `letters[ends[k] : ends[k + 1]]`; `slots` (a power of two, at most half of them taken) holds the numbers of
words, -1 where there is none, each at the place of its hash or the next free one.
"""

import numpy as np

from llamaduo.curation.index.compiled import compiled, inlined

SPACE, NEWLINE = 32, 10
ROW_END = b"\n"

FNV_START, FNV_FACTOR = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
SHIFT = np.uint64(32)


@inlined
def with_letter(word, letter):
    """One more step of the 64 bits that `slot_of` makes a place of (FNV-1a)."""
    return (word ^ np.uint64(letter)) * FNV_FACTOR


@inlined
def slot_of(word, mask):
    return np.int64((word ^ (word >> SHIFT)) & np.uint64(mask))


@inlined
def is_same(letters, start, end, text, text_start, text_end):
    """Whether the letters from `start` to before `end` are those of a part of `text`."""
    length = end - start
    if length != text_end - text_start:
        return False
    same = 0
    while same < length and letters[start + same] == text[text_start + same]:
        same += 1
    return same == length


@compiled
def place_words(letters, ends, count, slots):
    """Put the numbers of `count` words into empty `slots`."""
    mask = len(slots) - 1
    for number in range(count):
        word = FNV_START
        for letter in letters[ends[number] : ends[number + 1]]:
            word = with_letter(word, letter)
        place = slot_of(word, mask)
        while slots[place] >= 0:
            place = (place + 1) & mask
        slots[place] = number


@compiled
def number_words(text, slots, letters, ends, numbers, starts, at, found, row, count):
    """Fill `numbers` with the number of each word of `text`, and `starts` (rows + 1, zeros) with where rows begin.

    `text`: bytes, words with spaces between them and a newline after each row. Words not met before are added while
    the table has room. Returns where in the text it stopped, the words and rows done, and the words in the table.
    """
    mask = len(slots) - 1
    while at < len(text):
        if text[at] == NEWLINE:
            row += 1
            starts[row] = found
        if text[at] == NEWLINE or text[at] == SPACE:
            at += 1
            continue
        end, word = at, FNV_START
        while text[end] != SPACE and text[end] != NEWLINE:
            word = with_letter(word, text[end])
            end += 1
        place = slot_of(word, mask)
        number = np.int64(slots[place])
        while number >= 0 and not is_same(letters, ends[number], ends[number + 1], text, at, end):
            place = (place + 1) & mask
            number = np.int64(slots[place])
        if number < 0:
            since = ends[count]
            if 2 * count >= len(slots) or count + 2 > len(ends) or since + end - at > len(letters):
                break
            number = count
            for offset in range(end - at):
                letters[since + offset] = text[at + offset]
            ends[count + 1] = since + end - at
            slots[place] = number
            count += 1
        numbers[found] = number
        found += 1
        at = end
    return at, found, row, count
