"""The benchmark's ground truth of one take, from the release's annotations or from a processed take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from pipeline.errors import PipelineError
from pipeline.ops.egoexo.tracks import choose_ego, tracks_of_take
from pipeline.ops.masks.lzstring import MaskError
from pipeline.ops.masks.rle import rle_from_lzstring
from pipeline.schema.egoexo_relations import OBJECT_MASKS, RelationsMask
from pipeline.schema.egoexo_take import TakeAnnotation, TakeFacts


@dataclass(frozen=True)
class TakeTruth:
    """One take of a ground-truth file, and what of the annotations is not in it.

    Attributes:
        content: as the file has it: `masks`, `subsample_idx`, `annotated_frames`, `scenario`, and `ego_cameras` where
            they are known otherwise than by name.
        left_out: where and why, in words.
    """

    content: Mapping[str, Any]
    left_out: list[str]


def truth_of_relations(take: Mapping[str, Any]) -> TakeTruth:
    """From a take of a relations file.

    Empty masks count as absent; a damaged mask leaves its frame unannotated. `annotated_frames` are the release's, also
    where a mask stands outside of them: the benchmark does not score it as a target.

    Raises:
        PipelineError: the take has another form than that of the release.
    """
    try:
        objects = OBJECT_MASKS.validate_python(take.get("object_masks"))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise PipelineError(
            f"the object masks are not of the release's form: {' → '.join(map(str, first['loc']))}: {first['msg']}",
            "fetch the annotations again: REDO=egoexo-metadata",
        ) from None
    masks: dict[str, dict[str, dict[str, Any]]] = {}
    annotated: dict[str, dict[str, list[int]]] = {}
    left_out: list[str] = []
    for name, cameras in objects.items():
        masks[name], annotated[name] = {}, {}
        for camera, subtree in cameras.items():
            kept: dict[str, Any] = {}
            frames = map(int, subtree.annotation) if subtree.annotated_frames is None else subtree.annotated_frames
            looked_at = set(frames)
            for frame in sorted(subtree.annotation, key=int):
                try:
                    mask = RelationsMask.model_validate(subtree.annotation[frame])
                    checked = rle_from_lzstring(mask.encodedMask, (mask.height, mask.width))
                except (ValidationError, MaskError) as error:
                    left_out.append(f"{name} / {camera} / {frame}: {_reason(error)}")
                    looked_at.discard(int(frame))
                    continue
                if checked.area:
                    kept[frame] = {"size": [mask.height, mask.width], "counts": checked.counts}
                else:
                    left_out.append(f"{name} / {camera} / {frame}: empty, counts as absent")
            masks[name][camera], annotated[name][camera] = kept, sorted(looked_at)
    content = {
        "masks": masks,
        "subsample_idx": _all_frames(annotated),
        "annotated_frames": annotated,
        "scenario": str(take.get("scenario", "")),
    }
    return TakeTruth(content, left_out)


def truth_of_take(annotation: TakeAnnotation, facts: TakeFacts) -> TakeTruth:
    """From a processed take, by the same rules.

    Of several ego cameras an object keeps the one that its pairs are made with: the benchmark allows only one.
    """
    tracks = tracks_of_take(annotation, facts.left_out_masks)
    ego_cameras = [camera for camera, of_camera in facts.cameras.items() if of_camera.is_ego]
    exo_cameras = [camera for camera in facts.cameras if camera not in ego_cameras]
    masks: dict[str, dict[str, dict[str, Any]]] = {}
    annotated: dict[str, dict[str, list[int]]] = {}
    left_out = [
        f"{mask.object} / {mask.camera} / {mask.frame}: {mask.reason.replace('_', ' ')}"
        for mask in facts.left_out_masks
    ]
    for name, cameras in tracks.items():
        ego = choose_ego(cameras, ego_cameras, exo_cameras)
        masks[name], annotated[name] = {}, {}
        for camera, track in cameras.items():
            if camera not in facts.cameras:
                left_out.append(f"{name} / {camera}: no such camera in the processed take")
            elif camera in ego_cameras and camera != ego:
                left_out.append(f"{name} / {camera}: a second ego camera")
            else:
                of_camera = annotation.masks.get(name, {}).get(camera, {})
                masks[name][camera] = {
                    str(frame): {"size": list(of_camera[str(frame)].size), "counts": of_camera[str(frame)].counts}
                    for frame in track.present
                }
                listed = annotation.object_masks[name][camera].get("annotated_frames")
                looked_at = track.annotated if listed is None else track.annotated & set(listed)
                annotated[name][camera] = sorted(looked_at)
    content = {
        "masks": masks,
        "subsample_idx": annotation.subsample_idx,
        "annotated_frames": annotated,
        "scenario": annotation.scenario,
        "ego_cameras": ego_cameras,
    }
    return TakeTruth(content, left_out)


def _all_frames(annotated: Mapping[str, Mapping[str, list[int]]]) -> list[int]:
    return sorted({frame for cameras in annotated.values() for frames in cameras.values() for frame in frames})


def _reason(error: ValidationError | MaskError) -> str:
    if isinstance(error, MaskError):
        return str(error)
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'the mask'}: {first['msg']}"
