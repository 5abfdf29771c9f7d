"""Boxes of masks as O-MaMa has them: x, y, width, height in pixels, the width from first to last pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco  # type: ignore[import-untyped]

from pipeline.ops.matching.rle_masks import Masks, RleMasks, size_of

Boxes = NDArray[np.float64]
"""[N, 4] x, y, width, height in pixels of the space that the text names."""


def mask_boxes_xywh(masks: Masks) -> Boxes:
    """Boxes from first to last pixel: a mask of one pixel has width 0; zeros for an empty one. In the masks' pixels."""
    size_hw = size_of(masks)
    if not len(masks):
        return np.zeros((0, 4))
    if isinstance(masks, RleMasks):
        boxes = coco.toBbox([{"size": list(size_hw), "counts": text.encode()} for text in masks.counts])
        inside = boxes[:, 2:].min(axis=1, keepdims=True) > 0
        return np.where(inside, boxes - (0, 0, 1, 1), 0.0)
    boxes = np.zeros((len(masks), 4))
    for number, mask in enumerate(masks):
        y, x = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if y.size:
            boxes[number] = x[0], y[0], x[-1] - x[0], y[-1] - y[0]
    return boxes


def from_half_open(boxes_xyxy: NDArray[np.generic]) -> Boxes:
    """Boxes left, top, right, bottom (half-open) in the form above."""
    boxes = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
    extent = np.maximum(boxes[:, 2:] - boxes[:, :2] - 1, 0)
    return np.concatenate([boxes[:, :2], extent], axis=1)


def scaled(boxes_xywh: NDArray[np.generic], from_hw: tuple[int, int], to_hw: tuple[int, int]) -> Boxes:
    """The boxes in the pixels of the same picture at another size."""
    y, x = to_hw[0] / from_hw[0], to_hw[1] / from_hw[1]
    return np.asarray(boxes_xywh, np.float64).reshape(-1, 4) * (x, y, x, y)


def box_iou(box_xywh: NDArray[np.generic], boxes_xywh: NDArray[np.generic]) -> NDArray[np.float64]:
    """[N] intersection over union of one box with N; 0 where both are empty."""
    one = np.asarray(box_xywh, np.float64)
    many = np.asarray(boxes_xywh, np.float64).reshape(-1, 4)
    low = np.maximum(one[:2], many[:, :2])
    high = np.minimum(one[:2] + one[2:], many[:, :2] + many[:, 2:])
    shared = np.maximum(high - low, 0).prod(axis=1)
    union = one[2:].prod() + many[:, 2:].prod(axis=1) - shared
    return np.asarray(np.where(union > 0, shared / np.where(union > 0, union, 1), 0), np.float64)


def mask_iou(one: Masks, many: Masks) -> NDArray[np.float64]:
    """[M, N] intersection over union of M masks with N of the same picture; 0 where both are empty.

    Raises:
        ValueError: masks of different sizes.
    """
    if size_of(one) != size_of(many):
        raise ValueError(f"Got masks of {size_of(one)} and {size_of(many)} pixels; they must be of one size")
    if not len(one) or not len(many):
        return np.zeros((len(one), len(many)))
    left, right = _records(one), _records(many)
    overlap = np.asarray(coco.iou(left, right, [0] * len(right)), np.float64)
    empty = (coco.area(left)[:, None] == 0) & (coco.area(right)[None] == 0)
    return np.where(empty, 0.0, overlap)


def _records(masks: Masks) -> list[dict[str, object]]:
    if isinstance(masks, RleMasks):
        return [{"size": list(masks.size_hw), "counts": text.encode()} for text in masks.counts]
    pixels = np.asfortranarray(np.moveaxis(masks != 0, 0, 2)).view(np.uint8)
    return list(coco.encode(pixels))
