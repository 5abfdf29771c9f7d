"""Masks of a processed folder, each checked; the release's own subtree where the folder has it, else rebuilt."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ValidationError

from pipeline.egoexo.layouts.assemble import original_of
from pipeline.egoexo.layouts.tree import safe_name, safe_object
from pipeline.egoexo.take_masks import Masks, read_masks
from pipeline.ops.masks.lzstring import MaskError, compress
from pipeline.ops.masks.rle import check_rle
from pipeline.schema.egoexo_foreign import ForeignRle, ProcessedAnnotation
from pipeline.schema.egoexo_take import LeftOutMask, Rle, TakeFacts

Reason = Literal["damaged", "empty", "wrong_size"]
Place = tuple[str, str, int]
"""Object, camera, frame."""


@dataclass
class ProcessedMasks:
    """What a foreign annotation.json comes to.

    Attributes:
        masks: whole masks with an area, in the file's order.
        object_masks: as in the file, else rebuilt from the masks.
        left_out: masks that are not in `masks`, and why.
        native_size_wh: camera → width, height that most of its masks are in.
        restored: masks that stood in `object_masks` only.
        dropped: reason → number.
    """

    masks: Masks = field(default_factory=dict)
    object_masks: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_out: list[LeftOutMask] = field(default_factory=list)
    native_size_wh: dict[str, tuple[int, int]] = field(default_factory=dict)
    restored: int = 0
    dropped: Counter[str] = field(default_factory=Counter)


def read_processed_masks(annotation: ProcessedAnnotation, known: TakeFacts | None, take_uid: str) -> ProcessedMasks:
    """Check every mask; what the release had and the folder lost is taken from `object_masks` again.

    Raises:
        PipelineError: names that cannot be folders or fields; object masks of another form than the release's.
    """
    read = ProcessedMasks()
    reasons: dict[Place, LeftOutMask] = {}
    for mask in known.left_out_masks if known else ():
        reasons[mask.object, mask.camera, mask.frame] = mask
    sizes_wh: dict[str, Counter[tuple[int, int]]] = {}
    for name, cameras in annotation.masks.items():
        safe_object(name, f"annotation.json of {take_uid}")
        read.masks[name] = {}
        for camera, frames in cameras.items():
            safe_name(camera, f"a camera of {take_uid}")
            kept = read.masks[name][camera] = {}
            for key, raw in frames.items():
                if not (key.isascii() and key.isdecimal() and len(key) < 10):
                    read.dropped["masks_of_no_frame"] += 1
                    continue
                frame = int(key)
                checked = _checked(raw)
                if isinstance(checked, Rle):
                    kept[str(frame)] = checked
                    reasons.pop((name, camera, frame), None)
                    sizes_wh.setdefault(camera, Counter())[checked.size[1], checked.size[0]] += 1
                else:
                    reason, detail = checked
                    reasons[name, camera, frame] = LeftOutMask(
                        object=name, camera=camera, frame=frame, reason=reason, detail=detail
                    )
    read.native_size_wh = {camera: sizes.most_common(1)[0][0] for camera, sizes in sizes_wh.items()}
    _leave_out_misfits(read, reasons)
    if annotation.object_masks is not None:
        _restore(read, annotation.object_masks, reasons, take_uid)
    _rebuild(read, annotation.object_masks, reasons)
    read.left_out = list(reasons.values())
    for mask in read.left_out:
        read.dropped[f"{mask.reason}_masks"] += 1
    return read


def _checked(raw: Any) -> Rle | tuple[Reason, str]:
    if raw is None:
        return "damaged", "null in the imported tree"
    try:
        rle = ForeignRle.model_validate(raw)
        area = check_rle(rle.counts, rle.size).area
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return "damaged", f"{'.'.join(map(str, first['loc'])) or 'the mask'}: {first['msg']}"
    except MaskError as error:
        return "damaged", str(error)
    return Rle(size=rle.size, counts=rle.counts) if area else ("empty", "")


def _leave_out_misfits(read: ProcessedMasks, reasons: dict[Place, LeftOutMask]) -> None:
    """Masks of another size than the camera's others cannot lie where they should."""
    for name, cameras in read.masks.items():
        for camera, frames in cameras.items():
            width, height = read.native_size_wh.get(camera, (0, 0))
            for key in [key for key, rle in frames.items() if rle.size != (height, width)]:
                found = frames.pop(key).size
                detail = f"{found[1]}×{found[0]}, unlike the others of {camera}: {width}×{height}"
                reasons[name, camera, int(key)] = LeftOutMask(
                    object=name, camera=camera, frame=int(key), reason="wrong_size", detail=detail
                )


def _restore(
    read: ProcessedMasks, original: dict[str, dict[str, Any]], reasons: dict[Place, LeftOutMask], take_uid: str
) -> None:
    """Masks that stand in `object_masks` and nowhere else: with their reason where they are none, else taken back."""
    lost: set[Place] = set()
    for name, cameras in original.items():
        safe_object(name, f"annotation.json of {take_uid}")
        for camera, subtree in cameras.items():
            safe_name(camera, f"a camera of {take_uid}")
            kept = read.masks.setdefault(name, {}).setdefault(camera, {})
            for key in subtree.get("annotation", {}) if isinstance(subtree, dict) else ():
                if key not in kept and key.isascii() and key.isdecimal() and (name, camera, int(key)) not in reasons:
                    lost.add((name, camera, int(key)))
    whole = read_masks(original, take_uid) if lost else None  # refuses what is not of the release's form
    if whole is None:
        return
    for mask in whole.left_out:
        if (mask.object, mask.camera, mask.frame) in lost:
            reasons[mask.object, mask.camera, mask.frame] = mask
    for name, camera, frame in sorted(lost):
        rle = whole.masks[name][camera].get(str(frame))
        if rle is None:
            continue
        width, height = read.native_size_wh.setdefault(camera, (rle.size[1], rle.size[0]))
        if rle.size == (height, width):
            read.masks[name][camera][str(frame)] = rle
            read.restored += 1
        else:
            detail = f"{rle.size[1]}×{rle.size[0]}, unlike the others of {camera}: {width}×{height}"
            reasons[name, camera, frame] = LeftOutMask(
                object=name, camera=camera, frame=frame, reason="wrong_size", detail=detail
            )


def _rebuild(
    read: ProcessedMasks, original: dict[str, dict[str, Any]] | None, reasons: dict[Place, LeftOutMask]
) -> None:
    """Fill `object_masks`: the original subtrees, and one for each mask that has none."""
    read.object_masks = {name: dict(cameras) for name, cameras in (original or {}).items()}
    empty: dict[tuple[str, str], list[int]] = {}
    for name, camera, frame in (place for place, mask in reasons.items() if mask.reason == "empty"):
        empty.setdefault((name, camera), []).append(frame)
    for name, cameras in read.masks.items():
        for camera, frames in cameras.items():
            subtree = read.object_masks.setdefault(name, {}).get(camera)
            if subtree is None:
                read.object_masks[name][camera] = original_of(frames, empty.get((name, camera), ()))
                continue
            added = {key: rle for key, rle in frames.items() if key not in subtree["annotation"]}
            if added:
                more = {
                    key: {"width": rle.size[1], "height": rle.size[0], "encodedMask": compress(rle.counts)}
                    for key, rle in added.items()
                }
                read.object_masks[name][camera] = subtree | {"annotation": subtree["annotation"] | more}
