"""What in a picture looks like a thing: regions that hold together, stand out and are not ragged; no weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.ops.segmentation.kernels import choose
from pipeline.ops.segmentation.regions import Base, Tree, cut, edge_strength, grow, to_lab

BASES = (Base(0.8, 30, 30), Base(1.2, 50, 40), Base(3.0, 15, 40))
"""From fine to coarse; the last one does not see fine texture."""
WEIGHTS = ((1.0, 1.0, 1.0, 1.0, 0.0, 0.5), (1.0, 0.0, 1.0, 1.0, 0.0, 1.0))
"""With and without texture; for what they weigh see `regions.grow`."""
RAGGED = 0.5
"""Solidity below which a region is no thing."""
LARGE_SHARE = 0.02
"""Share of the picture from which on size says nothing any more."""
LONG = 3.0
"""Longer over shorter side of the box from which on a region is less likely to be a thing."""


@dataclass(frozen=True)
class Thing:
    """A region that may be an object.

    Attributes:
        mask: (height, width) uint8, 0 or 1, of the picture's size.
        score: the more, the more it looks like a thing; of no unit.
    """

    mask: NDArray[np.uint8]
    score: float


def find_things(
    rgb: NDArray[np.uint8], *, most: int, work_side: int, shares: tuple[float, float], alike_iou: float
) -> list[Thing]:
    """The regions that look most like things, best first.

    Args:
        rgb: HWC uint8.
        most: things to return at most.
        work_side: longer side in pixels of the picture that is cut up; larger pictures are made smaller.
        shares: of the picture's area, least and most.
        alike_iou: regions that overlap this much count as one.
    """
    height, width = rgb.shape[:2]
    zoom = min(1.0, work_side / max(height, width))
    small_wh = (max(1, round(width * zoom)), max(1, round(height * zoom)))
    if min(small_wh) < 3:
        return []
    small = rgb if zoom == 1.0 else np.asarray(cv2.resize(rgb, small_wh, interpolation=cv2.INTER_AREA), np.uint8)
    lab = to_lab(small)
    edges = edge_strength(lab)
    trees = [grow(leaves, weights) for leaves in (cut(lab, edges, base) for base in BASES) for weights in WEIGHTS]
    # Leaves of one cut are the same in all its trees.
    rows = [
        (tree, _candidates(tree, shares, leaves_too=number % len(WEIGHTS) == 0)) for number, tree in enumerate(trees)
    ]
    return [
        Thing(_enlarged(trees[tree], region, (width, height)), score)
        for tree, region, score in _best(rows, most, alike_iou)
    ]


def _candidates(tree: Tree, shares: tuple[float, float], *, leaves_too: bool) -> NDArray[np.int64]:
    share = tree.areas / tree.ranks.size
    good = (tree.solidity >= RAGGED) & (share >= shares[0]) & (share <= shares[1])
    if not leaves_too:
        good[: (len(good) + 1) // 2] = False
    return np.flatnonzero(good)


def _scores(tree: Tree, regions: NDArray[np.int64]) -> NDArray[np.float64]:
    """Chosen for recall on made-up scenes; regions that the frame cuts off are less likely to be whole things."""
    height, width = tree.ranks.shape
    boxes = tree.boxes[regions]
    cut_off = (boxes[:, :2] == 0).sum(axis=1) + (boxes[:, 2:] == (width, height)).sum(axis=1)
    sides = boxes[:, 2:] - boxes[:, :2]
    compact = np.minimum(1.0, LONG * sides.min(axis=1) / sides.max(axis=1))
    size = np.minimum(tree.areas[regions] / (height * width), LARGE_SHARE)
    return np.asarray(
        tree.solidity[regions] ** 3
        * np.maximum(tree.contrast[regions], 0)
        * compact**0.5
        * size**0.3
        * (tree.persistence[regions] + 0.02) ** 0.25
        * 0.7**cut_off,
        np.float64,
    )


def _best(rows: Sequence[tuple[Tree, NDArray[np.int64]]], most: int, alike_iou: float) -> list[tuple[int, int, float]]:
    """(tree, region, score), best first, no two of them nearly the same."""
    of_tree = np.concatenate([np.full(len(regions), number, np.int32) for number, (_, regions) in enumerate(rows)])
    regions = np.concatenate([regions for _, regions in rows])
    scores = np.concatenate([_scores(tree, regions) for tree, regions in rows])
    order = np.argsort(-scores, kind="stable")
    taken = order[
        choose(
            np.stack([tree.ranks for tree, _ in rows]),
            of_tree[order],
            np.concatenate([tree.spans[regions] for tree, regions in rows])[order],
            np.concatenate([tree.boxes[regions] for tree, regions in rows])[order],
            np.concatenate([tree.areas[regions] for tree, regions in rows])[order],
            most,
            alike_iou,
        )
    ]
    return [(int(of_tree[number]), int(regions[number]), float(scores[number])) for number in taken]


def _enlarged(tree: Tree, region: int, size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    """The region's mask; where the picture was made smaller, with smooth instead of stepped borders."""
    first, end = tree.spans[region]
    mask = np.asarray((tree.ranks >= first) & (tree.ranks < end), np.uint8)
    if mask.shape == (size_wh[1], size_wh[0]):
        return mask
    smooth = cv2.resize(mask * np.uint8(255), size_wh, interpolation=cv2.INTER_LINEAR)
    return np.asarray(smooth > 127, np.uint8)
