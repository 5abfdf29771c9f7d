"""What egoexo-process writes for one take: annotation.json (a contract with other readers) and take.json beside it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from pipeline.schema.base import OwnModel

FrameKey = Annotated[str, Field(pattern=r"^(0|[1-9]\d*)$")]
"""Index in the 30 fps frame-aligned video, unpadded decimal."""


class Rle(OwnModel):
    """COCO compressed run lengths, column-major, at the camera's native size."""

    size: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]]
    """Height, width."""
    counts: str


class TakeAnnotation(OwnModel):
    """output_dir_{name}/{take_uid}/annotation.json: exactly these keys."""

    scenario: str
    take_name: str
    object_masks: dict[str, dict[str, Any]]
    """Object → camera → the release's own subtree, unchanged: `annotation[frame].encodedMask`, `annotated_frames`."""
    masks: dict[str, dict[str, dict[FrameKey, Rle]]]
    """Object → camera → frame → mask. Only whole masks with an area: never null."""
    subsample_idx: list[int]
    """All annotated frames of the take, ascending."""


class LeftOutMask(OwnModel):
    """A mask of the release that is not in `masks`, and why."""

    object: str
    camera: str
    frame: int = Field(ge=0)
    reason: Literal["damaged", "empty", "wrong_size"]
    """empty: zero area, counts as absent; the others leave the frame unannotated."""
    detail: str = ""


class TakeCamera(OwnModel):
    """One camera of a processed take. Sizes are width, height in pixels."""

    is_ego: bool
    video: str
    """Relative to the release."""
    video_size_wh: tuple[int, int]
    video_frames: int
    """Pictures that the video shows."""
    native_size_wh: tuple[int, int]
    """Size that the masks are in."""
    frame_size_wh: tuple[int, int]
    scale: float = Field(gt=0)
    """Stored frame / native size."""
    frames: list[int]
    """Frames on disk, ascending."""
    missing: dict[FrameKey, str]
    """Wanted frames that are not there → why."""


class TakeFacts(OwnModel):
    """output_dir_{name}/{take_uid}/take.json: what annotation.json has no room for."""

    take_uid: str
    take_name: str
    cameras: dict[str, TakeCamera]
    without_frames: dict[str, bool] = Field(default_factory=dict)
    """Annotated cameras of which there is no picture → whether somebody wore them."""
    left_out_masks: list[LeftOutMask]
    warnings: list[str]
