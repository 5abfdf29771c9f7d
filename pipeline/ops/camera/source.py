"""Where one clip's footage and calibration lie: the data set's, or a user's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.config import NO_CALIBRATION
from pipeline.errors import PipelineError
from pipeline.ops.camera.fisheye import Camera
from pipeline.paths import Paths
from pipeline.schema.base import read_model
from pipeline.schema.intrinsics import Intrinsics


@dataclass(frozen=True)
class ClipSource:
    """One clip's files."""

    clip: str
    video: Path
    camera_file: Path | None
    """The calibration; None: an ordinary camera, nothing to rectify."""


def clip_source(paths: Paths, clip: str, video: str = "", intrinsics: str = "") -> ClipSource:
    """Find the footage of a clip.

    Args:
        paths: where the data set's files are.
        clip: its name.
        video: path of a user's own video; empty: the data set's clip of that name.
        intrinsics: path of a calibration, or "none"; empty: the one published for the clip.

    Raises:
        PipelineError: one's own video has neither calibration nor "none", or a file that was named does not exist.
    """
    if video and not intrinsics:
        raise PipelineError(
            f"{video} came without a word about its camera",
            "pass INTRINSICS=its intrinsics.json, or INTRINSICS=none if it is an ordinary camera",
        )
    for what, name in (("VIDEO", video), ("INTRINSICS", intrinsics)):
        if name and name != NO_CALIBRATION and not Path(name).is_file():
            raise PipelineError(f"{what}={name} is not a file: there is no {Path(name).absolute()}", "check the path")
    footage = Path(video) if video else paths.clip_video(clip)
    if intrinsics == NO_CALIBRATION:
        return ClipSource(clip, footage, None)
    return ClipSource(clip, footage, Path(intrinsics) if intrinsics else paths.raw_intrinsics(clip))


def camera_of(source: ClipSource, probe_size_wh: tuple[int, int], allow_aspect: bool = False) -> Camera | None:
    """The fisheye camera of a clip whose pictures decode to `probe_size_wh`; None for an ordinary camera.

    Raises:
        PipelineError: the calibration is missing, unreadable, nonsense or, unless allowed, of another aspect ratio.
    """
    if source.camera_file is None:
        return None
    fix = "run download again, or pass INTRINSICS=a calibration with model, image_width, image_height, fx … k4"
    intrinsics = read_model(source.camera_file, Intrinsics, fix)
    try:
        return Camera.from_intrinsics(intrinsics, probe_size_wh, allow_aspect)
    except PipelineError as error:
        raise PipelineError(f"{source.camera_file}: {error.problem}", error.fix) from None
