"""From masks and pictures to the two files of a take: annotation.json and take.json."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.egoexo.take_masks import Masks
from pipeline.errors import PipelineError
from pipeline.ops.egoexo.tracks import annotated_frames, is_ego_name, tracks_of_take, wanted_frames
from pipeline.ops.masks.lzstring import compress
from pipeline.schema.base import write_model, write_whole
from pipeline.schema.egoexo_take import Rle, TakeAnnotation, TakeCamera, TakeFacts

EGO_NAME = "ego"
"""How one names one's own worn camera, where nothing else says that it is worn."""


def sounds_worn(camera: str) -> bool:
    """Whether the name of anybody's camera says that it is worn: `ego`, `ego_phone`, `aria01_214-1`."""
    return camera.lower().startswith(EGO_NAME) or is_ego_name(camera)


def original_of(masks: Mapping[str, Rle], looked_at: Iterable[int]) -> dict[str, Any]:
    """One object in one camera as a relations file would have it.

    Args:
        masks: frame → mask.
        looked_at: frames that somebody annotated, with or without the object in them.
    """
    return {
        "annotation": {
            frame: {"width": rle.size[1], "height": rle.size[0], "encodedMask": compress(rle.counts)}
            for frame, rle in masks.items()
        },
        "annotated_frames": sorted({int(frame) for frame in masks} | set(looked_at)),
    }


def assemble(
    masks: Masks,
    object_masks: dict[str, dict[str, Any]],
    scenario: str,
    take_name: str,
) -> TakeAnnotation:
    """The five keys of annotation.json; every object and camera of `object_masks` is one of `masks`."""
    whole = {
        name: {camera: masks.get(name, {}).get(camera, {}) for camera in cameras}
        for name, cameras in object_masks.items()
    }
    return TakeAnnotation(
        scenario=scenario,
        take_name=take_name,
        object_masks=object_masks,
        masks=whole,
        subsample_idx=annotated_frames(object_masks),
    )


def with_missing_frames(annotation: TakeAnnotation, facts: TakeFacts, why: str, dropped: Counter[str]) -> TakeFacts:
    """The facts with each wanted frame that is not there; reasons that they give already stay."""
    ego = [camera for camera, of in facts.cameras.items() if of.is_ego]
    exo = [camera for camera, of in facts.cameras.items() if not of.is_ego]
    wanted = wanted_frames(tracks_of_take(annotation, facts.left_out_masks), ego, exo)
    cameras: dict[str, TakeCamera] = {}
    for camera, of in facts.cameras.items():
        gone = sorted(set(wanted.get(camera, ())) - set(of.frames))
        missing = {str(frame): of.missing.get(str(frame), why) for frame in gone}
        dropped.update({"wanted_frames_without_a_picture": len(gone)} if gone else {})
        cameras[camera] = of.model_copy(update={"missing": missing})
    return facts.model_copy(update={"cameras": cameras})


def refuse_one_sided(take_uid: str, cameras: Mapping[str, bool], fix: str) -> None:
    """A take needs a camera that is worn and one that is not.

    Args:
        cameras: name → whether it is worn.

    Raises:
        PipelineError: one of the two kinds is not there.
    """
    for kind, is_ego in (("ego", True), ("exo", False)):
        if is_ego not in cameras.values():
            names = ", ".join(cameras) or "none"
            raise PipelineError(f"take {take_uid} has no {kind} camera; its cameras with masks: {names}", fix)


def write_take(folder: Path, annotation: TakeAnnotation, facts: TakeFacts) -> None:
    """Write the two files of a take; `object_masks` value for value, which pydantic would not do with every text."""
    write_whole(folder / "annotation.json", json.dumps(annotation.model_dump(), separators=(",", ":")))
    write_model(folder / "take.json", facts)
