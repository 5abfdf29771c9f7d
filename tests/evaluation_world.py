"""Small ground truth and predictions, made by code, with every state of a target in them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from pipeline.ops.evaluation.files import empty_results
from pipeline.ops.evaluation.queries import all_queries
from pipeline.ops.evaluation.scores import official_size_hw
from pipeline.ops.masks.rle import encode_rle
from pipeline.schema.evaluation import Direction, GroundTruth

EGO, CAM1, CAM2 = "aria01_214-1", "cam01", "gp02"
NATIVE_HW = {EGO: (96, 96), CAM1: (54, 96), CAM2: (54, 96)}
TAKES = ("take-b", "take-a", "take-c")
SCENARIOS = {"take-b": "Cooking", "take-a": "Cooking", "take-c": "Health"}


def rectangle(size_hw: tuple[int, int], top: int, left: int, height: int, width: int) -> NDArray[np.uint8]:
    """A mask with one rectangle, cut off at the frame's edges."""
    mask = np.zeros(size_hw, np.uint8)
    mask[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)] = 1
    return mask


def rle(mask: NDArray[np.uint8]) -> dict[str, Any]:
    """As the benchmark's files have it."""
    return {"size": list(mask.shape), "counts": encode_rle(mask)}


def decoded(value: dict[str, Any]) -> NDArray[np.uint8]:
    """By the library."""
    return np.asarray(coco.decode({"size": list(value["size"]), "counts": value["counts"].encode()}), np.uint8)


def truth_json() -> dict[str, Any]:
    """Three takes; `cup_0` also has absent and unannotated targets, `mug/jar_0` lists its exo camera first."""
    annotations = {}
    for number, take in enumerate(TAKES):
        masks: dict[str, Any] = {
            "cup_0": {
                EGO: {str(frame): _mask(EGO, number, frame) for frame in (0, 30, 60, 120)},
                CAM1: {str(frame): _mask(CAM1, number, frame) for frame in (0, 30, 90)},
                CAM2: {str(frame): _mask(CAM2, number, frame) for frame in (30,)},
            },
            "mug/jar_0": {
                CAM1: {str(frame): _mask(CAM1, number + 3, frame) for frame in (30, 120)},
                EGO: {str(frame): _mask(EGO, number + 3, frame) for frame in (30, 120)},
            },
            "board _0": {CAM1: {"0": _mask(CAM1, number, 0)}},
        }
        annotations[take] = {
            "masks": masks,
            "subsample_idx": [0, 30, 60, 90, 120],
            "annotated_frames": {
                # Ego to cam01: 0 and 30 present, 60 absent, 120 unannotated; to gp02: 30 present, the others absent.
                # cam01 to ego: 0 and 30 present, 90 absent; gp02 to ego: 30 present.
                "cup_0": {EGO: [0, 30, 60, 90, 120], CAM1: [0, 30, 60, 90], CAM2: [0, 30, 60, 120]},
                "mug/jar_0": {CAM1: [30, 120], EGO: [30, 120]},
                "board _0": {CAM1: [0]},
            },
            "scenario": SCENARIOS[take],
        }
    return {"version": "xx", "challenge": "xx", "annotations": annotations}


COUNTS = {"ego-exo": (3 * 5, 3 * 4, 3 * 1), "exo-ego": (3 * 5, 3 * 1, 0)}
"""By hand from the lists above: present, absent, unannotated."""


def _mask(camera: str, number: int, frame: int) -> dict[str, Any]:
    return rle(rectangle(NATIVE_HW[camera], 5 + 3 * number, 8 + frame // 6, 12 + 2 * number, 20))


def small_truth() -> GroundTruth:
    """The same, read."""
    return GroundTruth.model_validate(truth_json())


def perfect(truth: GroundTruth, direction: Direction) -> dict[str, Any]:
    """Results that are right everywhere."""
    results = empty_results(truth, direction)
    for query, _ in all_queries(truth, direction):
        true = truth.annotations[query.take].masks[query.object][query.target].get(query.frame)
        height, width = official_size_hw(NATIVE_HW[query.target])
        small = np.zeros((height, width), np.uint8)
        if true is not None:
            native = decoded({"size": true.size, "counts": true.counts})
            small = np.asarray(cv2.resize(native, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)
        record = {"pred_mask": rle(small), "confidence": 0.1 if true is None else 0.9}
        results[query.take]["masks"][query.object][query.pair][query.frame] = record
    return results


def varied(truth: GroundTruth, direction: Direction) -> dict[str, Any]:
    """Results of all qualities: right, shifted, empty, full, with every confidence."""
    results = perfect(truth, direction)
    for number, (query, _) in enumerate(all_queries(truth, direction)):
        record = results[query.take]["masks"][query.object][query.pair][query.frame]
        mask = decoded(record["pred_mask"])
        changed = (mask, np.roll(mask, 3, 1), np.roll(mask, 40, 0), np.zeros_like(mask), np.ones_like(mask))[number % 5]
        record["pred_mask"] = rle(changed)
        record["confidence"] = number % 11 / 10
    return results
