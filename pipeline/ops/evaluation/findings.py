"""Everything that is wrong with a prediction file: what the official script asserts, all at once and by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

from pipeline.ops.evaluation.queries import camera_pairs
from pipeline.ops.evaluation.scores import SizeHw, official_size_hw
from pipeline.ops.masks.lzstring import MaskError
from pipeline.ops.masks.rle import check_rle
from pipeline.schema.evaluation import Direction, FindingRow, GroundTruth, TruthTake

_RLE = 'a COCO RLE: {"size": [height, width], "counts": text}'
_LONGEST_VALUE = 60


def findings(
    truth: GroundTruth, results: Any, direction: Direction, *, official_sizes: bool, number_confidence: bool
) -> Iterator[FindingRow]:
    """What is wrong with the results of one direction, in the ground truth's order; nothing when they can be scored.

    Args:
        results: whatever JSON value stands under `results`.
        official_sizes: masks must have the size at which the official protocol compares.
        number_confidence: confidence must be a plain number; else a list of one number will do.
    """
    if not isinstance(results, dict):
        yield _not_an_object("results", results, "takes")
        return
    yield from _names("", truth.annotations, results, "take")
    for uid, take in truth.annotations.items():
        if uid not in results:
            continue
        if not isinstance(results[uid], dict):
            yield _not_an_object(uid, results[uid], "masks and subsample_idx")
            continue
        yield from (_missing(uid, key) for key in ("masks", "subsample_idx") if key not in results[uid])
        if "masks" in results[uid]:
            yield from _take_findings(uid, take, results[uid]["masks"], direction, official_sizes, number_confidence)


def _take_findings(
    uid: str, take: TruthTake, masks: Any, direction: Direction, official_sizes: bool, number_confidence: bool
) -> Iterator[FindingRow]:
    if not isinstance(masks, dict):
        yield _not_an_object(f"{uid} / masks", masks, "objects")
        return
    yield from _names(uid, take.masks, masks, "object")
    for name in take.masks:
        place = f"{uid} / {name}"
        if name not in masks:
            continue
        if not isinstance(masks[name], dict):
            yield _not_an_object(place, masks[name], "camera pairs")
            continue
        tracks = {
            f"{source}_{target}": (take.masks[name][source], target)
            for source, target in camera_pairs(take, name, direction)
        }
        yield from _names(place, tracks, masks[name], "camera pair")
        for pair, (frames, target) in tracks.items():
            if pair not in masks[name]:
                continue
            given = masks[name][pair]
            if not isinstance(given, dict):
                yield _not_an_object(f"{place} / {pair}", given, "frames")
                continue
            yield from _names(f"{place} / {pair}", frames, given, "frame")
            for frame in frames:
                if frame in given:
                    size_hw = _expected_size_hw(take, name, target, frame) if official_sizes else None
                    yield from _record_findings(f"{place} / {pair} / {frame}", given[frame], size_hw, number_confidence)


def _expected_size_hw(take: TruthTake, name: str, camera: str, frame: str) -> SizeHw | None:
    """Size of comparison, from the true mask; else from another of this camera; None when it has none."""
    own = take.masks[name][camera]
    for masked in ({frame: own[frame]} if frame in own else own, *(of.get(camera, {}) for of in take.masks.values())):
        for mask in masked.values():
            return official_size_hw(mask.size_hw)
    return None


def _names(place: str, expected: Mapping[str, Any], given: Mapping[str, Any], what: str) -> Iterator[FindingRow]:
    prefix = f"{place} / " if place else ""
    for name in expected:
        if name not in given:
            yield FindingRow(place=f"{prefix}{name}", got="nothing", expected=f"this {what}")
    for name in given:
        if name not in expected:
            yield FindingRow(place=f"{prefix}{name}", got=f"a surplus {what}", expected="nothing here")


def _record_findings(place: str, record: Any, size_hw: SizeHw | None, number_confidence: bool) -> Iterator[FindingRow]:
    if not isinstance(record, dict):
        yield _not_an_object(place, record, "pred_mask and confidence")
        return
    yield from (_missing(place, key) for key in ("pred_mask", "confidence") if key not in record)
    if "confidence" in record and not _is_confidence(record["confidence"], number_confidence):
        expected = "a finite number" if number_confidence else "a finite number, or a list of one"
        yield FindingRow(place=f"{place} / confidence", got=_shown(record["confidence"]), expected=expected)
    if "pred_mask" in record:
        wrong = _mask_finding(record["pred_mask"], size_hw)
        if wrong:
            yield FindingRow(place=f"{place} / pred_mask", got=wrong[0], expected=wrong[1])


def _is_confidence(value: Any, must_be_number: bool) -> bool:
    if not must_be_number and isinstance(value, list) and len(value) == 1:
        value = value[0]
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    except OverflowError:  # a whole number beyond all floating-point ones
        return False


def _mask_finding(mask: Any, size_hw: SizeHw | None) -> tuple[str, str] | None:
    """What was got and what was expected."""
    if not isinstance(mask, dict):
        return _kind(mask), _RLE
    size, counts = mask.get("size"), mask.get("counts")
    if not isinstance(size, list) or len(size) != 2 or any(type(side) is not int for side in size):
        return f"size {_shown(size)}", _RLE
    if not isinstance(counts, str):
        return f"counts that are {_kind(counts)}", _RLE
    height, width = size
    try:
        check_rle(counts, (height, width))
    except MaskError as error:
        return str(error), _RLE
    if size_hw and (height, width) != size_hw:
        return f"{height}×{width}", f"{size_hw[0]}×{size_hw[1]} (height × width)"
    return None


def _missing(place: str, key: str) -> FindingRow:
    return FindingRow(place=place, got=f"no {key}", expected=key)


def _not_an_object(place: str, value: Any, content: str) -> FindingRow:
    return FindingRow(place=place, got=_kind(value), expected=f"an object with {content}")


def _kind(value: Any) -> str:
    kinds = {"NoneType": "null", "list": "a list", "str": "text", "dict": "an object", "bool": "true or false"}
    return kinds.get(type(value).__name__, "a number")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
