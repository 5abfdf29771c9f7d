"""One clip as a model is shown it: its facts, its camera, and the frames of any stretch of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.config import CameraKnobs
from pipeline.errors import PipelineError
from pipeline.ops.camera.fisheye import Camera
from pipeline.ops.camera.rectify import Rectifier
from pipeline.ops.camera.source import camera_of, clip_source
from pipeline.ops.video.frames import DecodeReport, iter_frames
from pipeline.ops.video.probe import VideoProbe, probe
from pipeline.paths import Paths
from pipeline.schema.provenance import DecodeGap
from pipeline.schema.segments import BoxSpace, Row


@dataclass(frozen=True)
class Stretch:
    """The frames of one stretch of a clip.

    Attributes:
        start_s, end_s: the stretch, seconds from the clip's start.
        images: (T, H, W, 3) uint8 RGB at the size that was asked for, T ≥ 1.
        pts_s: true time of each image, seconds from the clip's start, strictly increasing.
        gaps: wanted times without a frame, and why.
    """

    start_s: float
    end_s: float
    images: NDArray[np.uint8]
    pts_s: tuple[float, ...]
    gaps: tuple[DecodeGap, ...]

    @property
    def length_s(self) -> float:
        """In whole milliseconds, without what subtraction leaves behind them."""
        return round(self.end_s - self.start_s, 3)


@dataclass(frozen=True)
class Footage:
    """A clip's video, its facts, and its camera; None for an ordinary one, whose pictures are left as they are."""

    clip: str
    video: Path
    facts: VideoProbe
    camera: Camera | None
    balance: float | None

    @property
    def duration_s(self) -> float:
        """Down to the whole millisecond, so that no time lies beyond the end."""
        return int(self.facts.duration_s * 1000 + 1e-6) / 1000

    def rectifier(self, size_wh: tuple[int, int]) -> Rectifier | None:
        """From raw pictures to rectified ones of any size, in one interpolation."""
        return Rectifier(self.camera, size_wh=size_wh, balance=self.balance) if self.camera else None

    def box_space(self) -> BoxSpace:
        """What box numbers mean: pixels of the rectified picture at the clip's own size."""
        rectifier = self.rectifier(self.facts.size_wh)
        space: Literal["rectified_px", "raw_px"] = "rectified_px" if rectifier else "raw_px"
        matrix: tuple[Row, Row, Row] | None = None
        if rectifier:
            first, second, third = (tuple(map(float, row)) for row in rectifier.K)
            matrix = (first, second, third)  # type: ignore[assignment]
        return BoxSpace(
            space=space,
            size_wh=self.facts.size_wh,
            rectified_K=matrix,
            map_digest=rectifier.map_digest if rectifier else None,
            balance=self.balance if rectifier else None,
        )

    def sample(self, start_s: float, end_s: float, fps: float, size_wh: tuple[int, int]) -> Stretch:
        """Frames at `start_s`, `start_s` + 1 / fps, … before `end_s`; a picture that is shown twice is given once.

        Raises:
            PipelineError: not one frame of the stretch can be decoded.
        """
        step_s = 1 / fps
        count = max(1, int(np.ceil((end_s - start_s) * fps - 1e-6)))
        wanted_s = [start_s + number * step_s for number in range(count)]
        report = DecodeReport()
        images: list[NDArray[np.uint8]] = []
        times_s: list[float] = []
        rectifier = self.rectifier(size_wh)
        for frame in iter_frames(self.video, times_s=wanted_s, size_wh=size_wh, rectifier=rectifier, report=report):
            if not times_s or frame.pts_s > times_s[-1]:
                images.append(frame.image)
                times_s.append(frame.pts_s)
        if not images:
            reason = report.missing[0].reason if report.missing else "no picture"
            raise PipelineError(
                f"no frame of {self.video.name} from {start_s:g} to {end_s:g} s can be decoded ({reason})",
                "REDO=download fetches the clip again; if it stays so, leave it out",
            )
        gaps = tuple(
            DecodeGap(t_start_s=missing.time_s, t_end_s=min(missing.time_s + step_s, end_s), reason=missing.reason)
            for missing in report.missing
        )
        return Stretch(start_s, end_s, np.stack(images), tuple(times_s), gaps)


def open_footage(paths: Paths, clip: str, knobs: CameraKnobs) -> Footage:
    """Probe a clip and its camera without decoding anything.

    Raises:
        PipelineError: the video or the calibration is missing, unreadable or nonsense.
    """
    source = clip_source(paths, clip, knobs.video, knobs.intrinsics)
    try:
        facts = probe(source.video)
        camera = camera_of(source, facts.size_wh, knobs.allow_aspect)
    except PipelineError as error:
        if knobs.video or knobs.intrinsics:
            raise
        again = f"REDO=download,extract bash run.sh extract --with-earlier --clip {clip}"
        raise PipelineError(error.problem, f"{again} fetches it again") from None
    return Footage(clip, source.video, facts, camera, knobs.rectify_balance)
