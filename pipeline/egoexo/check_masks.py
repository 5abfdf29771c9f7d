"""Looks at the masks of one take: each is whole, of its camera's size, and the one that the release has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from pipeline.egoexo.findings import Findings
from pipeline.ops.masks.lzstring import MaskError
from pipeline.ops.masks.rle import check_rle, rle_from_lzstring
from pipeline.schema.egoexo_take import Rle, TakeFacts

Masks = dict[str, dict[str, dict[str, Rle]]]


def check_masks(
    take_uid: str, object_masks: Mapping[str, Any], raw_masks: Any, facts: TakeFacts | None, findings: Findings
) -> tuple[Masks, int]:
    """Collect what is wrong with the masks.

    Args:
        take_uid: for the findings.
        object_masks: object → camera → the release's subtree, already of its shape.
        raw_masks: `masks` as the JSON file has it, of any shape.
        facts: take.json, if it is of use.
        findings: where to put what is wrong.

    Returns:
        The masks that decode and have an area, and how many were looked at.
    """
    kept: Masks = {}
    seen: set[tuple[str, str, str]] = set()
    for name, camera, frame, raw in _entries(raw_masks, f"{take_uid}/annotation.json", findings):
        seen.add((name, camera, frame))
        where = place(take_uid, "masks", name, camera, frame)
        rle = _rle(raw, where, findings)
        if rle is None:
            continue
        if facts is not None and camera in facts.cameras and rle.size != facts.cameras[camera].native_size_wh[::-1]:
            of_camera = facts.cameras[camera].native_size_wh[::-1]
            findings.add("mask_size", where, f"{rle.size} (height, width), but the camera's are {of_camera}")
        theirs = object_masks.get(name, {}).get(camera, {}).get("annotation", {}).get(frame)
        if theirs is None:
            findings.add("mask_unknown", where)
        elif difference := _difference(theirs, rle):
            findings.add("mask_forms_differ", where, difference)
        kept.setdefault(name, {}).setdefault(camera, {})[frame] = rle
    _check_lost(take_uid, object_masks, seen, facts, findings)
    return kept, len(seen)


def place(take_uid: str, key: str, name: str, camera: str, frame: object) -> str:
    """Where a mask stands; the object's name in quotes, since it may end in a blank."""
    return f"{take_uid}/annotation.json {key}[{name!r}][{camera}][{frame}]"


def _entries(raw_masks: Any, where: str, findings: Findings) -> Iterator[tuple[str, str, str, Any]]:
    """Object, camera, frame and what stands there; a level that is no mapping is one finding."""
    if not isinstance(raw_masks, dict):
        findings.add("mask_invalid", where, f"masks is a {type(raw_masks).__name__}")
        return
    for name, cameras in raw_masks.items():
        if not isinstance(cameras, dict):
            findings.add("mask_invalid", where, f"masks[{name!r}] is a {type(cameras).__name__}")
            continue
        for camera, frames in cameras.items():
            if not isinstance(frames, dict):
                findings.add("mask_invalid", where, f"masks[{name!r}][{camera}] is a {type(frames).__name__}")
                continue
            for frame, raw in frames.items():
                yield name, camera, frame, raw


def _rle(raw: Any, where: str, findings: Findings) -> Rle | None:
    """A mask that decodes and has an area."""
    try:
        rle = Rle.model_validate(raw)
    except ValidationError as error:
        item = error.errors(include_url=False, include_input=False)[0]
        findings.add("mask_invalid", where, f"{'.'.join(map(str, item['loc'])) or type(raw).__name__}: {item['msg']}")
        return None
    try:
        checked = check_rle(rle.counts, rle.size)
    except MaskError as error:
        findings.add("mask_damaged", where, str(error))
        return None
    if not checked.area:
        findings.add("mask_empty", where)
        return None
    return rle


def _difference(theirs: Any, rle: Rle) -> str:
    """Why the release's own form is not this mask; empty when it is."""
    if not isinstance(theirs, dict) or not isinstance(theirs.get("encodedMask"), str):
        return "there is no encodedMask"
    size_hw = (theirs.get("height"), theirs.get("width"))
    if size_hw != rle.size:
        return f"object_masks says {size_hw} (height, width), counts are for {rle.size}"
    try:
        counts = rle_from_lzstring(theirs["encodedMask"], rle.size).counts
    except MaskError as error:
        return str(error)
    return "" if counts == rle.counts else "they decode to different run lengths"


def _check_lost(
    take_uid: str,
    object_masks: Mapping[str, Any],
    seen: set[tuple[str, str, str]],
    facts: TakeFacts | None,
    findings: Findings,
) -> None:
    """A mask of the release is in `masks`, or take.json says why not."""
    left_out = {(mask.object, mask.camera, str(mask.frame)) for mask in facts.left_out_masks} if facts else set()
    accounted_for = seen | left_out
    for mask in facts.left_out_masks if facts else ():
        detail = f"{mask.reason}: {mask.detail}" if mask.detail else mask.reason
        findings.add("mask_left_out", place(take_uid, "object_masks", mask.object, mask.camera, mask.frame), detail)
    for name, cameras in object_masks.items():
        for camera, subtree in cameras.items():
            for frame in subtree["annotation"]:
                if (name, camera, frame) not in accounted_for:
                    findings.add("mask_lost", place(take_uid, "object_masks", name, camera, frame))
