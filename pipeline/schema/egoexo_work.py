"""What egoexo-process keeps of a take between a kill and the next run."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from pipeline.schema.base import OwnModel
from pipeline.schema.egoexo_take import FrameKey


class ExtractedCamera(OwnModel):
    """What came out of one video. Sizes are width, height in pixels."""

    video_size_wh: tuple[int, int]
    video_frames: int = Field(ge=0)
    frame_size_wh: tuple[int, int]
    frames: list[int]
    """On disk, ascending."""
    missing: dict[FrameKey, str]
    """Wanted frames that are not there → why."""


class CameraWork(OwnModel):
    """work/…/{camera}/camera.json: which frames lie beside it, so that they are taken over only for the same work."""

    settings: dict[str, Any]
    """Knobs that shape the product."""
    wanted: list[int]
    """Frames that annotations and pairs need."""
    video: str
    """Relative to the release."""
    video_bytes: int = Field(ge=0)
    done: ExtractedCamera | None = None
    """None: some frames may be there. Else all are, and the video is not needed any more."""
