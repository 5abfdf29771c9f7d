"""The two loops over every character of a mask, compiled: LZString to text, and a walk along COCO run lengths.

All compiled code of the masks is in this one file: numba's cache on disk notices a change of the file that a function
is in, not of those that it calls. Faults come back as numbers; the callers know what they mean in words.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.ops.compiled import compiled

# Plain integers and no enum: compiled code hands them over as they are.
FINE: Final = 0
FOREIGN_CHARACTER: Final = 1
"""A character that the encoding does not have."""
CUT_SHORT: Final = 2
"""The end comes before the end-of-stream code, or inside a number."""
UNKNOWN_PHRASE: Final = 3
"""A code for a phrase that is not in the dictionary yet."""
LONG_NUMBER: Final = 4
"""A run length of more digits than any picture needs."""
NEGATIVE_RUN: Final = 5
WRONG_SUM: Final = 6
"""The runs do not fill the picture exactly."""

_FOREIGN: Final = 255
_END: Final = 2
_MOST_DIGITS: Final = 7  # of five bits: COCO's run lengths have 32 bits, their differences one more
_BEYOND_ANY_PICTURE: Final = 1 << 40


@compiled
def expand(encoded: NDArray[np.uint8], bits_of: NDArray[np.int64]) -> tuple[int, NDArray[np.uint16]]:
    """Undo LZString.

    A phrase of its dictionary always stands somewhere in the text written so far, so the dictionary holds places only.

    Args:
        encoded: the characters, one byte each.
        bits_of: for each byte the six bits that it carries, the first one lowest; 255 where the alphabet lacks it.

    Returns:
        The fault, and the text as 16-bit units (empty with a fault).
    """
    nothing = np.empty(0, np.uint16)
    for place in range(encoded.size):
        if bits_of[encoded[place]] == _FOREIGN:
            return FOREIGN_CHARACTER, nothing
    # A code takes three bits or more and adds one entry, a new character eleven and two: at most two a character read.
    starts = np.empty(2 * encoded.size + 8, np.int64)
    lengths = np.empty(2 * encoded.size + 8, np.int64)
    entries = 3  # codes below are orders: a new character of 8 bits, one of 16 bits, the end
    text = np.empty(4 * encoded.size + 64, np.uint16)
    written = 0
    start = length = 0  # of the phrase before, in the text
    code_width, room = 2, 1  # bits of a code, and how many more entries before it grows by one
    character_width = 0  # bits of the new character that comes next; 0: a code comes next
    waiting = waiting_count = place = 0  # bits read but not used yet, the next one lowest

    while True:
        width = character_width if character_width else code_width
        while waiting_count < width:
            if place == encoded.size:
                return CUT_SHORT, nothing
            waiting |= bits_of[encoded[place]] << waiting_count
            waiting_count += 6
            place += 1
        value = waiting & ((1 << width) - 1)
        waiting >>= width
        waiting_count -= width

        if character_width:
            starts[entries], lengths[entries] = written, 1
            code = entries
            entries += 1
            room -= 1
            if room == 0:
                room = 1 << code_width
                code_width += 1
        elif value == _END:
            return FINE, text[:written]
        elif value < _END:
            character_width = 8 << value
            continue
        else:
            code = value

        if length:  # the phrase before and the first character of this one make an entry, which this one may already be
            starts[entries], lengths[entries] = start, length + 1
            entries += 1
            room -= 1
            if room == 0:
                room = 1 << code_width
                code_width += 1
        if code >= entries:
            return UNKNOWN_PHRASE, nothing

        source, length = starts[code], lengths[code]
        if written + length > text.size:
            longer = np.empty(2 * (written + length), np.uint16)
            for number in range(written):
                longer[number] = text[number]
            text = longer
        if character_width:
            text[written] = value
            character_width = 0
        else:
            for number in range(length):  # one by one: the entry just made ends in what this loop writes
                text[written + number] = text[source + number]
        start = written
        written += length


@compiled
def walk(counts: NDArray[np.uint16], height: int, width: int) -> tuple[int, int, int, int, int, int, int]:
    """Check COCO's compressed run lengths of a mask, and find area and box without making its pixels.

    Args:
        counts: the text as 16-bit units.
        height, width: of the picture, pixels; both at least 1.

    Returns:
        The fault; the place where reading stopped, or with WRONG_SUM the sum; area; box x0, y0, x1, y1, half-open. Area
        and box are 0 with a fault and for an empty mask.
    """
    filled = area = 0
    x0, y0, x1, y1 = width, height, 0, 0
    before = before_that = run = 0  # the run itself and the two before it
    runs = place = 0
    while place < counts.size:
        number, shift, more = 0, 0, True
        while more:
            if place == counts.size:
                return CUT_SHORT, place, 0, 0, 0, 0, 0
            digit = counts[place] - 48
            if digit < 0 or digit > 63:
                return FOREIGN_CHARACTER, place, 0, 0, 0, 0, 0
            if shift == 5 * _MOST_DIGITS:
                return LONG_NUMBER, place, 0, 0, 0, 0, 0
            number |= (digit & 31) << shift
            shift += 5
            more = (digit & 32) != 0
            place += 1
            if not more and digit & 16:
                number -= 1 << shift
        before_that, before = before, run
        run = number + before_that if runs > 2 else number
        if run < 0:
            return NEGATIVE_RUN, place - 1, 0, 0, 0, 0, 0
        if runs & 1 and run:
            first, last = filled, filled + run - 1
            area += run
            first_column, last_column = first // height, last // height
            x0, x1 = min(x0, first_column), max(x1, last_column + 1)
            if first_column == last_column:
                y0, y1 = min(y0, first % height), max(y1, last % height + 1)
            else:  # from the bottom of one column to the top of the next
                y0, y1 = 0, height
        filled += run
        if filled > _BEYOND_ANY_PICTURE:  # and before numbers overflow
            break
        runs += 1
    if filled != height * width:
        return WRONG_SUM, filled, 0, 0, 0, 0, 0
    if area == 0:
        return FINE, filled, 0, 0, 0, 0, 0
    return FINE, filled, area, x0, y0, x1, y1
