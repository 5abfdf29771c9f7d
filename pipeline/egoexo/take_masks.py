"""The masks of one take: LZString text to checked run lengths, and the reason of each one that is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from pipeline.errors import PipelineError
from pipeline.ops.masks.lzstring import MaskError
from pipeline.ops.masks.rle import rle_from_lzstring
from pipeline.schema.egoexo_relations import OBJECT_MASKS, RelationsCamera, RelationsMask
from pipeline.schema.egoexo_take import LeftOutMask, Rle

Masks = dict[str, dict[str, dict[str, Rle]]]
"""Object → camera → frame → mask; every object and camera of the release is a key, with or without masks."""
Reason = Literal["damaged", "empty", "wrong_size"]
SHAPE_TOLERANCE = 0.02
"""Sides of a 448-pixel video are rounded to even numbers: its shape is that of the masks within 0.3 %."""


@dataclass(frozen=True)
class TakeMasks:
    """Whole masks with an area, at one size a camera, and those that are not.

    Attributes:
        masks: frames in ascending order.
        left_out: in the release's order.
        native_size_wh: camera → width, height in pixels of its masks; cameras without a mask are not in it.
    """

    masks: Masks
    left_out: list[LeftOutMask]
    native_size_wh: dict[str, tuple[int, int]]

    @property
    def count(self) -> int:
        """Masks that are kept."""
        return sum(len(frames) for cameras in self.masks.values() for frames in cameras.values())


def read_masks(object_masks: Mapping[str, Any], take: str) -> TakeMasks:
    """Check all masks of a take. The size that most masks of a camera are in is the camera's.

    Raises:
        PipelineError: the subtree has another form than that of the release; `take` names it.
    """
    masks: Masks = {}
    left_out: list[LeftOutMask] = []
    sizes_wh: dict[str, Counter[tuple[int, int]]] = {}
    for name, cameras in _parsed(object_masks, take).items():
        masks[name] = {}
        for camera, subtree in cameras.items():
            kept = masks[name][camera] = {}
            for key in sorted(subtree.annotation, key=int):
                checked = _checked(subtree.annotation[key])
                if isinstance(checked, Rle):
                    kept[key] = checked
                    height, width = checked.size
                    sizes_wh.setdefault(camera, Counter())[width, height] += 1
                else:
                    reason, detail = checked
                    left_out.append(
                        LeftOutMask(object=name, camera=camera, frame=int(key), reason=reason, detail=detail)
                    )
    native_size_wh = {camera: counter.most_common(1)[0][0] for camera, counter in sizes_wh.items()}
    every_mask = TakeMasks(masks, left_out, native_size_wh)
    return _without(
        every_mask,
        (
            (name, camera, key, f"{_times(rle)}, unlike the others of {camera}: {by(native_size_wh[camera])}")
            for name, camera, key, rle in _each(masks)
            if rle.size[::-1] != native_size_wh[camera]
        ),
    )


def check_form(object_masks: Mapping[str, Any], take: str) -> None:
    """Look at the form alone, which is quick.

    Raises:
        PipelineError: as `read_masks`, which then would.
    """
    _parsed(object_masks, take)


def without_misfits(take: TakeMasks, video_size_wh: Mapping[str, tuple[int, int]]) -> TakeMasks:
    """The same without the masks of cameras whose video has another shape: they cannot lie where they should.

    Args:
        take: what `read_masks` gave.
        video_size_wh: camera → width, height of its video; cameras without a video keep their masks.
    """
    misfits = {
        camera: f"masks of {by(size_wh)} do not fit a video of {by(video_size_wh[camera])}"
        for camera, size_wh in take.native_size_wh.items()
        if camera in video_size_wh and not _same_shape(size_wh, video_size_wh[camera])
    }
    return _without(
        take,
        ((name, camera, key, misfits[camera]) for name, camera, key, _ in _each(take.masks) if camera in misfits),
    )


def _parsed(object_masks: Mapping[str, Any], take: str) -> dict[str, dict[str, RelationsCamera]]:
    try:
        return OBJECT_MASKS.validate_python(object_masks)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise PipelineError(
            f"the object masks of {take} are not of the release's form: "
            f"{' → '.join(map(str, first['loc']))}: {first['msg']}",
            "fetch the annotations again with REDO=egoexo-metadata; if it stays so, leave the take out with TAKES=",
        ) from None


def _checked(raw: Any) -> Rle | tuple[Reason, str]:
    """A whole mask with an area; else why it is none."""
    try:
        mask = RelationsMask.model_validate(raw)
        checked = rle_from_lzstring(mask.encodedMask, (mask.height, mask.width))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return "damaged", f"{'.'.join(map(str, first['loc'])) or 'the mask'}: {first['msg']}"
    except MaskError as error:
        return "damaged", str(error)
    if not checked.area:
        return "empty", ""
    return Rle(size=(mask.height, mask.width), counts=checked.counts)


def _each(masks: Masks) -> Iterable[tuple[str, str, str, Rle]]:
    for name, cameras in masks.items():
        for camera, frames in cameras.items():
            for key, rle in frames.items():
                yield name, camera, key, rle


def _without(take: TakeMasks, wrong: Iterable[tuple[str, str, str, str]]) -> TakeMasks:
    """The take without these masks: object, camera, frame, and why their size is wrong."""
    gone = {(name, camera, key): detail for name, camera, key, detail in wrong}
    masks = {
        name: {
            camera: {key: rle for key, rle in frames.items() if (name, camera, key) not in gone}
            for camera, frames in cameras.items()
        }
        for name, cameras in take.masks.items()
    }
    more = [
        LeftOutMask(object=name, camera=camera, frame=int(key), reason="wrong_size", detail=detail)
        for (name, camera, key), detail in gone.items()
    ]
    return TakeMasks(masks, take.left_out + more, take.native_size_wh)


def _same_shape(first_wh: tuple[int, int], second_wh: tuple[int, int]) -> bool:
    ratio = first_wh[0] * second_wh[1] / (first_wh[1] * second_wh[0])
    return abs(ratio - 1) <= SHAPE_TOLERANCE


def _times(rle: Rle) -> str:
    height, width = rle.size
    return by((width, height))


def by(size_wh: tuple[int, int]) -> str:
    """A size in words."""
    return f"{size_wh[0]}×{size_wh[1]}"
