"""Scores of the official protocol: the plain algorithm over pixels against this one, 2,000 items on the same cores.

The plain way is written from the description of the protocol: pycocotools decodes, OpenCV resizes and dilates, item by
item as in the official script. OpenCV may use all cores for it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from math import ceil, sqrt
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from benchmarks.bench_masks import drawn_mask
from benchmarks.table import Row, print_table
from pipeline.ops.evaluation.files import empty_results
from pipeline.ops.evaluation.findings import findings
from pipeline.ops.evaluation.protocols import PROTOCOLS, score_all
from pipeline.ops.evaluation.queries import queries, record_of
from pipeline.ops.evaluation.scores import official_size_hw
from pipeline.ops.masks.rle import encode_rle
from pipeline.schema.evaluation import DIRECTIONS, Direction, GroundTruth

ITEMS = 2000
OBJECTS = 50
REQUIRED = 10.0
EGO, EXO = "aria01_214-1", "cam01"
NATIVE_HW = {EGO: (1408, 1408), EXO: (2160, 3840)}
Mask = NDArray[np.uint8]
Three = tuple[float, float, float]


def made_up(seed: int = 0) -> tuple[GroundTruth, dict[Direction, Any]]:
    """Ground truth and predictions of half as many frames as items; a prediction is a shifted and swollen truth.

    Masks are drawn once and used again at other frames: drawing them all would take longer than scoring.
    """
    random = np.random.default_rng(seed)
    frames = ITEMS // 2 // OBJECTS
    masks: dict[str, dict[str, Any]] = {}
    guesses: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for number in range(OBJECTS):
        name = f"object_{number}"
        masks[name] = {}
        for camera, native_hw in NATIVE_HW.items():
            drawn = drawn_mask(random, native_hw)
            rle = {"size": list(native_hw), "counts": encode_rle(drawn)}
            masks[name][camera] = {str(30 * frame): rle for frame in range(frames)}
            guesses[name, camera] = [guess(drawn, random) for _ in range(4)]
    annotated = {name: {camera: [30 * frame for frame in range(frames)] for camera in NATIVE_HW} for name in masks}
    take = {"masks": masks, "annotated_frames": annotated, "subsample_idx": [30 * frame for frame in range(frames)]}
    truth = GroundTruth.model_validate({"annotations": {"take": take}})
    results = {direction: empty_results(truth, direction) for direction in DIRECTIONS}
    for direction in DIRECTIONS:
        for query in queries(truth, direction):
            choices = guesses[query.object, query.target]
            record = {"pred_mask": choices[int(query.frame) // 30 % len(choices)], "confidence": 0.9}
            results[direction][query.take]["masks"][query.object][query.pair][query.frame] = record
    return truth, results


def guess(truth: Mask, random: np.random.Generator) -> dict[str, Any]:
    """A prediction at the size of comparison."""
    height, width = official_size_hw((truth.shape[0], truth.shape[1]))
    small = cv2.resize(truth, (width, height), interpolation=cv2.INTER_NEAREST)
    small = np.roll(small, random.integers(-8, 9, 2), (0, 1))
    small = cv2.dilate(small, np.ones(random.integers(1, 6, 2), np.uint8))
    return {"size": [height, width], "counts": encode_rle(small)}


def plain_boundary(mask: Mask) -> Mask:
    """Pixels that differ from the one to the right, below, or below right."""
    right, below, both = np.zeros_like(mask), np.zeros_like(mask), np.zeros_like(mask)
    right[:, :-1], below[:-1], both[:-1, :-1] = mask[:, 1:], mask[1:], mask[1:, 1:]
    edges = (mask ^ right) | (mask ^ below) | (mask ^ both)
    edges[-1] = mask[-1] ^ right[-1]
    edges[:, -1] = mask[:, -1] ^ below[:, -1]
    edges[-1, -1] = 0
    return np.asarray(edges, np.uint8)


def plain_centre(mask: Mask) -> tuple[int, int]:
    """Of the bounding box; an empty mask's is that of the frame, the axes swapped as in the original."""
    rows, columns = np.where(mask)
    if not len(rows):
        return mask.shape[0] // 2, mask.shape[1] // 2
    return int(columns.min() + columns.max()) // 2, int(rows.min() + rows.max()) // 2


def plain_score(true_counts: str, native_hw: tuple[int, int], predicted: dict[str, Any]) -> Three:
    """IoU, contour accuracy and location error of one item."""
    native: Mask = coco.decode({"size": list(native_hw), "counts": true_counts.encode()})
    height, width = official_size_hw(native_hw)
    ours = cv2.resize(native, (width, height), interpolation=cv2.INTER_NEAREST)
    theirs: Mask = coco.decode(predicted)
    union = np.sum(np.logical_or(ours, theirs))
    iou = float(np.sum(np.logical_and(ours, theirs)) / (union + 1e-7)) if union else 1.0

    radius = ceil(0.008 * sqrt(height**2 + width**2))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disk = (x**2 + y**2 <= radius**2).astype(np.uint8)
    our_edge, their_edge = plain_boundary(np.asarray(ours, np.uint8)), plain_boundary(np.ascontiguousarray(theirs))
    if our_edge.any() and their_edge.any():
        precision = np.sum(their_edge & cv2.dilate(our_edge, disk)) / np.sum(their_edge)
        recall = np.sum(our_edge & cv2.dilate(their_edge, disk)) / np.sum(our_edge)
        contour = float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0
    else:
        contour = float(our_edge.any() == their_edge.any())

    (our_x, our_y), (their_x, their_y) = plain_centre(np.asarray(ours, np.uint8)), plain_centre(theirs)
    return iou, contour, sqrt((our_x - their_x) ** 2 + (our_y - their_y) ** 2) / (480 * sqrt(2))


def compare() -> list[Row]:
    """Both ways over the same items."""
    truth, results = made_up()
    masks = truth.annotations["take"].masks
    asked = [
        (masks[query.object][query.target][query.frame], record_of(results[one], query)["pred_mask"])
        for one in DIRECTIONS
        for query in queries(truth, one)
    ]
    assert len(asked) == ITEMS
    cores = len(os.sched_getaffinity(0))

    def plain() -> list[Three]:
        return [plain_score(true.counts, true.size_hw, predicted) for true, predicted in asked]

    def own(threads: int | None = None) -> list[Three]:
        scores = []
        for direction in DIRECTIONS:
            assert not list(findings(truth, results[direction], direction, official_sizes=True, number_confidence=True))
            scores += [
                item.scores
                for item in score_all(truth, results[direction], direction, PROTOCOLS["official"], threads=threads)
            ]
        return [(one.iou, one.contour_accuracy, one.location_error) for one in scores if one is not None]

    own()  # machine code
    own_s, found = timed(own)
    alone_s, again = timed(lambda: own(1))
    plain_s, expected = timed(plain)
    assert found == again == expected, "the two ways differ"
    claim = f"official scores of {ITEMS:,} items, 1408² and 2160×3840, same numbers"
    shown = "s, checks and corrected metrics included"
    return [
        Row(f"{claim}, on {cores} cores", f"{plain_s:.1f} s", f"{own_s:.2f} {shown}", plain_s / own_s, REQUIRED),
        Row(f"{claim}, on one thread", f"{plain_s:.1f} s", f"{alone_s:.2f} {shown}", plain_s / alone_s),
    ]


def timed(way: Callable[[], Sequence[Three]]) -> tuple[float, Sequence[Three]]:
    """Seconds on the clock, and what came out."""
    started = time.perf_counter()
    scores = way()
    return time.perf_counter() - started, scores


def run() -> list[Row]:
    """The rows of this file."""
    return compare()


if __name__ == "__main__":
    print_table(run())
