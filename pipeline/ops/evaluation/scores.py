"""Scores of one predicted mask against the true one, by the definitions of the Ego-Exo4D correspondence benchmark.

Sources: `EGO4D/ego-exo4d-relation`, correspondence evaluation (official); Ego-Exo4D paper, appendix on correspondence
metrics (corrected: what the metrics claim to measure).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, hypot, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.ops.evaluation.kernels import boundary, near, overlap, overlap_enlarged, paint_scaled

Mask = NDArray[np.uint8]
"""[h, w] of 0 and 1."""
SizeHw = tuple[int, int]
"""Height and width in pixels."""
Contour = tuple[NDArray[np.int32], NDArray[np.int32]]
"""Rows and columns of pixels."""

LONG_SIDE = 480
"""Pixels of the longer side at which the official protocol compares."""
TOLERANCE = 0.008
"""Radius within which two contours agree, as a share of the picture's diagonal."""
IOU_EPSILON = 1e-7


def official_size_hw(native_hw: SizeHw) -> SizeHw:
    """Height and width at which the official protocol compares a mask: longer side 480, cut off to whole pixels.

    1520×2704 becomes 269×480 by the floating-point product, which is part of the protocol. A strip of more than 480:1
    gets a side of 0.
    """
    height, width = native_hw
    ratio = (1 / max(height, width)) * LONG_SIDE
    return int(height * ratio), int(width * ratio)


@lru_cache(maxsize=512)
def _nearest(source: int, target: int) -> NDArray[np.int64]:
    """OpenCV's choice of source pixel for each target pixel, INTER_NEAREST.

    Asked, not computed: its rounding is neither that of whole numbers nor plain floating point.
    """
    line = np.arange(source, dtype=np.float32)[None]
    return np.asarray(cv2.resize(line, (target, 1), interpolation=cv2.INTER_NEAREST)[0], np.int64)


@lru_cache(maxsize=512)
def _first_row_from(source: int, target: int) -> NDArray[np.int64]:
    return np.searchsorted(_nearest(source, target), np.arange(source + 1), side="left").astype(np.int64)


@lru_cache(maxsize=64)
def tolerance_disk(size_hw: SizeHw) -> NDArray[np.int64]:
    """Half widths of the disk x² + y² ≤ R², R = ceil(0.008 · diagonal), row by row."""
    radius = ceil(TOLERANCE * sqrt(size_hw[0] ** 2 + size_hw[1] ** 2))
    rows = np.arange(-radius, radius + 1)
    return np.floor(np.sqrt(radius**2 - rows**2)).astype(np.int64)


@dataclass(frozen=True)
class Shape:
    """One mask, measured.

    Attributes:
        mask: [h, w].
        native_area: pixels, before the mask was brought to this size.
        area: pixels of `mask`.
        box_xyxy: corner pixels, the last ones included; zeros when empty.
        centroid_xy: mean pixel, None when empty.
        contour: its boundary pixels within the frame.
    """

    mask: Mask
    native_area: int
    area: int
    box_xyxy: tuple[int, int, int, int]
    centroid_xy: tuple[float, float] | None
    contour: Contour

    @property
    def size_hw(self) -> SizeHw:
        """Of the picture."""
        return self.mask.shape[0], self.mask.shape[1]


def shape_at(counts: str, native_hw: SizeHw, size_hw: SizeHw) -> Shape:
    """A valid RLE at another size: the same pixels as decoding and cv2.resize with INTER_NEAREST give."""
    mask = np.zeros(size_hw, np.uint8)
    columns, first_row_from = _nearest(native_hw[1], size_hw[1]), _first_row_from(native_hw[0], size_hw[0])
    native_area, area, x0, y0, x1, y1, sum_x, sum_y = paint_scaled(
        _text(counts), native_hw[0], columns, first_row_from, mask
    )
    box = (x0, y0, x1, y1)
    centroid = (sum_x / area, sum_y / area) if area else None
    return Shape(mask, native_area, area, box, centroid, _contour(mask, box) if area else _NO_CONTOUR)


def _text(counts: str) -> NDArray[np.uint8]:
    return np.frombuffer(counts.encode("ascii"), np.uint8)


_NO_CONTOUR: Contour = (np.empty(0, np.int32), np.empty(0, np.int32))


def _contour(mask: Mask, box: tuple[int, int, int, int]) -> Contour:
    most = (box[2] - box[0] + 2) * (box[3] - box[1] + 2)
    rows, columns = np.empty(most, np.int32), np.empty(most, np.int32)
    count = boundary(mask, box, rows, columns)
    return rows[:count], columns[:count]


def _closed_contour(shape: Shape) -> Contour:
    """The boundary on a canvas with a rim of one pixel, so that frame edges are boundary too; not for empty masks."""
    x0, y0, x1, y1 = shape.box_xyxy
    if x0 and y0 and x1 + 1 < shape.size_hw[1] and y1 + 1 < shape.size_hw[0]:
        return shape.contour[0] + np.int32(1), shape.contour[1] + np.int32(1)
    cut = np.pad(shape.mask[y0 : y1 + 1, x0 : x1 + 1], 1)
    rows, columns = _contour(cut, (1, 1, x1 - x0 + 1, y1 - y0 + 1))
    return rows + np.int32(y0), columns + np.int32(x0)


def iou(truth: Shape, prediction: Shape) -> float:
    """Intersection over union + 1e-7, so that a perfect match is just below 1; 1 where both are empty."""
    both = 0
    if truth.area and prediction.area:
        ours, theirs = truth.box_xyxy, prediction.box_xyxy
        shared = (
            max(ours[0], theirs[0]), max(ours[1], theirs[1]), min(ours[2], theirs[2]), min(ours[3], theirs[3])
        )  # fmt: skip
        both = overlap(truth.mask, prediction.mask, shared)
    return _ratio(both, truth.area + prediction.area - both)


def native_iou(counts: str, native_hw: SizeHw, truth: Shape, prediction: Shape) -> float:
    """IoU at the true mask's native size, the prediction enlarged to it by nearest pixel.

    Args:
        counts: of the true mask, valid for `native_hw`.
        truth: the same mask, at any size.
    """
    both = enlarged = 0
    if prediction.area:
        row_of = _nearest(prediction.size_hw[0], native_hw[0])
        column_of = _nearest(prediction.size_hw[1], native_hw[1])
        both, enlarged = overlap_enlarged(
            _text(counts), native_hw[0], prediction.mask, prediction.box_xyxy, column_of, row_of
        )
    return _ratio(both, truth.native_area + enlarged - both)


def _ratio(both: int, union: int) -> float:
    return both / (union + IOU_EPSILON) if union else 1.0


def contour_accuracy(truth: Shape, prediction: Shape) -> float:
    """F-measure of boundaries within the tolerance, where they lie: a shift by more than it scores 0."""
    return _f_measure(truth.contour, prediction.contour, tolerance_disk(truth.size_hw))


def registered_contour_accuracy(truth: Shape, prediction: Shape) -> float:
    """The same after moving the prediction's centroid onto the true one, with frame edges as boundary too."""
    if truth.centroid_xy is None or prediction.centroid_xy is None:
        return float(truth.area == prediction.area)
    (true_rows, true_columns), (rows, columns) = _closed_contour(truth), _closed_contour(prediction)
    shift_x = round(truth.centroid_xy[0] - prediction.centroid_xy[0])
    shift_y = round(truth.centroid_xy[1] - prediction.centroid_xy[1])
    moved = (rows + np.int32(shift_y), columns + np.int32(shift_x))
    return _f_measure((true_rows, true_columns), moved, tolerance_disk(truth.size_hw))


def _f_measure(true: Contour, predicted: Contour, disk: NDArray[np.int64]) -> float:
    if not len(true[0]) or not len(predicted[0]):
        return float(len(true[0]) == len(predicted[0]))
    precision = near(*predicted, *true, disk) / len(predicted[0])
    recall = near(*true, *predicted, disk) / len(true[0])
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def box_centre_distance_px(truth: Shape, prediction: Shape) -> float:
    """Distance of bounding-box centres, whole pixels, as the official script takes them.

    An empty mask has its centre at x = h // 2, y = w // 2: the two are swapped in the original, and stay so here.
    """
    (true_x, true_y), (x, y) = (_box_centre(shape) for shape in (truth, prediction))
    return hypot(true_x - x, true_y - y)


def _box_centre(shape: Shape) -> tuple[int, int]:
    if not shape.area:
        return shape.mask.shape[0] // 2, shape.mask.shape[1] // 2
    x0, y0, x1, y1 = shape.box_xyxy
    return (x0 + x1) // 2, (y0 + y1) // 2


def centroid_distance_px(truth: Shape, prediction: Shape) -> float | None:
    """Distance of pixel centroids; None where one mask is empty."""
    if truth.centroid_xy is None or prediction.centroid_xy is None:
        return None
    return hypot(truth.centroid_xy[0] - prediction.centroid_xy[0], truth.centroid_xy[1] - prediction.centroid_xy[1])
