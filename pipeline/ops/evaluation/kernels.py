"""Loops over the runs and pixels of a pair of masks, compiled.

All compiled code of the scores is in this one file: numba's cache on disk notices a change of the file that a function
is in, not of those that it calls. Boxes are x0, y0, x1, y1 with the last pixel included.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.ops.compiled import compiled

Box = tuple[int, int, int, int]


@compiled
def run_ends(counts: NDArray[np.uint8], ends: NDArray[np.int64]) -> int:
    """Where the runs of a mask end, in column-major pixels of its native picture.

    Args:
        counts: COCO's text as bytes, checked before.
        ends: at least as long as the text; filled from the start.

    Returns:
        The number of runs; those at odd places are inside the mask.
    """
    runs = place = filled = 0
    before = before_that = run = 0
    while place < counts.size:
        number = shift = 0
        more = True
        while more:
            digit = counts[place] - 48
            number |= (digit & 31) << shift
            shift += 5
            more = (digit & 32) != 0
            place += 1
            if not more and digit & 16:
                number -= 1 << shift
        before_that, before = before, run
        run = number + before_that if runs > 2 else number
        filled += run
        ends[runs] = filled
        runs += 1
    return runs


@compiled
def paint_scaled(
    counts: NDArray[np.uint8],
    height: int,
    columns: NDArray[np.int64],
    first_row_from: NDArray[np.int64],
    picture: NDArray[np.uint8],
) -> tuple[int, int, int, int, int, int, int, int]:
    """Decode run lengths straight at another size, by nearest pixel, without making the native picture.

    Args:
        counts: COCO's text as bytes, checked before.
        height: native height in pixels.
        columns: int64 [w], native column of each column of the result, ascending.
        first_row_from: int64 [height + 1], the first row of the result whose native row is at least this one.
        picture: uint8 [h, w] of zeros, set to 1 inside the mask.

    Returns:
        Native area; of the result its area, box (zeros when empty), sum of x and sum of y over the mask.
    """
    ends = np.empty(counts.size + 1, np.int64)
    runs = run_ends(counts, ends)
    native_area = 0
    for number in range(1, runs, 2):
        native_area += ends[number] - ends[number - 1]
    area = sum_x = sum_y = 0
    x0, y0, x1, y1 = columns.size, picture.shape[0], -1, -1
    reached = 1  # the first run of ones that may still reach into the present column
    for column in range(columns.size):
        top = columns[column] * height
        bottom = top + height
        while reached < runs and ends[reached] <= top:
            reached += 2
        here = reached
        while here < runs and ends[here - 1] < bottom:
            first = first_row_from[max(ends[here - 1] - top, 0)]
            last = first_row_from[min(ends[here] - top, height)]
            here += 2
            if first >= last:
                continue
            for row in range(first, last):
                picture[row, column] = 1
            rows = last - first
            area += rows
            sum_x += rows * column
            sum_y += rows * (first + last - 1) // 2
            x0, x1 = min(x0, column), column
            y0, y1 = min(y0, first), max(y1, last - 1)
    if area == 0:
        return native_area, 0, 0, 0, 0, 0, 0, 0
    return native_area, area, x0, y0, x1, y1, sum_x, sum_y


@compiled
def overlap(first: NDArray[np.uint8], second: NDArray[np.uint8], box: Box) -> int:
    """Pixels of a box that are in both masks."""
    both = 0
    for y in range(box[1], box[3] + 1):
        for x in range(box[0], box[2] + 1):
            both += first[y, x] & second[y, x]
    return both


@compiled
def overlap_enlarged(
    counts: NDArray[np.uint8],
    height: int,
    prediction: NDArray[np.uint8],
    box: Box,
    column_of: NDArray[np.int64],
    row_of: NDArray[np.int64],
) -> tuple[int, int]:
    """A mask at its native size against a prediction enlarged to it, without making either picture.

    Args:
        counts: the mask's text as bytes, checked before.
        height: native height in pixels.
        prediction: uint8 [h, w] of any size, not empty.
        box: of the prediction.
        column_of: int64 [native width], the prediction's column at each native column.
        row_of: int64 [height], the same for rows.

    Returns:
        Pixels in both, pixels of the enlarged prediction.
    """
    rows_alike = np.zeros(prediction.shape[0], np.int64)
    for row in row_of:
        rows_alike[row] += 1
    columns_alike = np.zeros(prediction.shape[1], np.int64)
    for column in column_of:
        columns_alike[column] += 1
    enlarged = 0
    for y in range(box[1], box[3] + 1):
        for x in range(box[0], box[2] + 1):
            enlarged += prediction[y, x] * rows_alike[y] * columns_alike[x]

    ends = np.empty(counts.size + 1, np.int64)
    runs = run_ends(counts, ends)
    above = np.zeros(height + 1, np.int64)  # pixels of the prediction above each native row, in the column below
    above_column = -1
    top, bottom = 0, height  # native rows that show the prediction's box
    while top < bottom and row_of[top] < box[1]:
        top += 1
    while top < bottom and row_of[bottom - 1] > box[3]:
        bottom -= 1
    both = 0
    for number in range(1, runs, 2):
        place = ends[number - 1]
        while place < ends[number]:  # column by column
            native_column = place // height
            first = place - native_column * height
            last = min(ends[number] - native_column * height, height)
            place += last - first
            column = column_of[native_column]
            if column < box[0] or column > box[2]:
                continue
            if column != above_column:
                for row in range(top, bottom):
                    above[row + 1] = above[row] + prediction[row_of[row], column]
                above_column = column
            both += above[min(max(last, top), bottom)] - above[min(max(first, top), bottom)]
    return both, enlarged


@compiled
def boundary(mask: NDArray[np.uint8], box: Box, rows: NDArray[np.int32], columns: NDArray[np.int32]) -> int:
    """Pixels that differ from the one to the right, below, or below right; the frame's edges are no boundary.

    Args:
        mask: uint8 [h, w], 0 or 1, not empty.
        box: of the mask.
        rows, columns: filled with the places, in row-major order; as long as the box with a rim of one has pixels.

    Returns:
        How many there are.
    """
    height, width = mask.shape
    left = max(box[0] - 1, 0)
    inner = min(box[2] + 1, width - 1) - left  # columns that have one to the right
    words = np.zeros(inner // 8 + 1, np.uint64)
    differs = words.view(np.uint8)
    found = 0
    for y in range(max(box[1] - 1, 0), box[3] + 1):
        below = min(y + 1, height - 1)  # a row is no boundary against itself
        here, right = mask[y, left : left + inner], mask[y, left + 1 : left + 1 + inner]
        under, under_right = mask[below, left : left + inner], mask[below, left + 1 : left + 1 + inner]
        for x in range(inner):  # without branches, so that it runs on many pixels at once
            differs[x] = (here[x] ^ right[x]) | (here[x] ^ under[x]) | (here[x] ^ under_right[x])
        for number in range(words.size):
            if words[number] == 0:
                continue
            for x in range(8 * number, 8 * number + 8):
                if differs[x]:
                    rows[found], columns[found] = y, left + x
                    found += 1
        if left + inner == box[2] and mask[y, box[2]] != mask[below, box[2]]:  # the frame's last column
            rows[found], columns[found] = y, box[2]
            found += 1
    return found


@compiled
def near(
    rows: NDArray[np.int32],
    columns: NDArray[np.int32],
    other_rows: NDArray[np.int32],
    other_columns: NDArray[np.int32],
    half_widths: NDArray[np.int64],
) -> int:
    """How many of the first pixels lie within a disk around one of the others.

    Args:
        rows, columns: pixels in row-major order, like the others; neither list is empty.
        half_widths: int64 [2 R + 1], the disk's half width in each row from -R to R.
    """
    radius = half_widths.size // 2
    top, bottom = other_rows[0], other_rows[-1]
    starts = np.zeros(bottom - top + 2, np.int64)  # of each row in the list of the others
    for row in other_rows:
        starts[row - top + 1] += 1
    for row in range(1, starts.size):
        starts[row] += starts[row - 1]
    is_near = np.zeros(rows.size, np.bool_)
    hits = first = 0
    while first < rows.size:
        last = first
        while last < rows.size and rows[last] == rows[first]:
            last += 1
        left = last - first  # pixels of this row without a neighbour so far
        for number in range(2 * radius + 1):
            if left == 0:
                break
            offset = (number + 1) // 2 if number % 2 else -(number // 2)  # 0, 1, -1, 2, …
            row = rows[first] + offset
            if row < top or row > bottom:
                continue
            half = half_widths[offset + radius]
            other, end = starts[row - top], starts[row - top + 1]
            for place in range(first, last):  # both lists ascend in this row
                while other < end and other_columns[other] < columns[place] - half:
                    other += 1
                if other == end:
                    break
                if not is_near[place] and other_columns[other] <= columns[place] + half:
                    is_near[place] = True
                    left -= 1
                    hits += 1
        first = last
    return hits
