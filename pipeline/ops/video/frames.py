"""The one generator through which everything downstream sees a video's frames."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from pipeline.ops.camera.rectify import Rectifier
from pipeline.ops.video.decode import Image, Picture, Tally
from pipeline.ops.video.packet_table import PacketTable
from pipeline.ops.video.packets import scan
from pipeline.ops.video.probe import VideoProbe, describe
from pipeline.ops.video.run_pool import decode_runs
from pipeline.ops.video.sampling import TIME_TOLERANCE_S, Choice, choose, plan_runs, regular_times


@dataclass(frozen=True)
class Frame:
    """One picture of a video.

    Attributes:
        index: display-order number in the stream, from 0.
        pts_s: the frame's own time, seconds since the stream's first shown frame.
        image: HWC uint8 RGB.
    """

    index: int
    pts_s: float
    image: Image


@dataclass(frozen=True)
class MissingFrame:
    """A wanted time without a frame: the index and time of the frame that is shown then, and why it is not there."""

    time_s: float
    index: int | None
    reason: str


@dataclass
class DecodeReport:
    """What became of the wanted frames; filled while they are read, complete when the last one is out.

    Attributes:
        strategy: "seek" when keyframes lie at most one sampling step apart, so that each frame has its own access
            point; else "sequential", which decodes each stretch between keyframes once.
        wanted: times asked for; always `given + len(missing)` in the end.
        given: frames handed out.
        repeated: of these, frames already given for the time before.
        frames_decoded: pictures that the decoder made, wanted or only needed by wanted ones.
        packets_dropped: packets read but not decoded since no wanted picture needs them.
        decode_errors: what did not decode, with its time.
        missing: wanted times without a frame.
        covered_s: own times of the first and last frame given, None before the first.
        video: facts of the stream.
    """

    strategy: str = ""
    wanted: int = 0
    given: int = 0
    repeated: int = 0
    frames_decoded: int = 0
    packets_dropped: int = 0
    decode_errors: list[str] = field(default_factory=list)
    missing: list[MissingFrame] = field(default_factory=list)
    covered_s: tuple[float, float] | None = None
    video: VideoProbe | None = None

    def add(self, tally: Tally) -> None:
        """Take over what one stretch of decoding counted."""
        self.frames_decoded += tally.frames_decoded
        self.packets_dropped += tally.packets_dropped
        self.decode_errors += tally.errors

    @property
    def missing_times_s(self) -> list[tuple[float, str]]:
        """(time, reason) of each wanted time without a frame."""
        return [(missing.time_s, missing.reason) for missing in self.missing]


def iter_frames(
    video: Path,
    *,
    fps: float | None = None,
    times_s: Sequence[float] | None = None,
    size_wh: tuple[int, int] | None = None,
    rectifier: Rectifier | None = None,
    report: DecodeReport | None = None,
) -> Iterator[Frame]:
    """The frames shown at regular or given times, in order, decoded while they are read.

    The frame shown at t is the one with the greatest timestamp ≤ t, counted from the first shown frame. Each wanted
    time gives one frame: where the same frame is shown at several (a rate above the stream's, a held picture) it is
    given again and counted in `report.repeated`, so that the k-th frame always belongs to the k-th time. The exception
    is a frame that cannot be decoded whole: its times are left out and listed in `report.missing`, never filled with
    another frame.

    Memory does not depend on the video's length. With several cores, stretches between keyframes are decoded in
    parallel, a bounded number of frames ahead of the reader.

    Args:
        video: a local video file.
        fps: samples per second: t = k / fps for k = 0, 1, … while t lies before the end of the last frame.
        times_s: wanted times instead, ascending, seconds ≥ 0. Exactly one of `fps` and `times_s` is given.
        size_wh: output size; the stored size by default. Shrinking averages areas, enlarging is bicubic.
        rectifier: rectifies each given frame to its own output size (then `size_wh` is not needed).
        report: filled in place.

    Raises:
        PipelineError: the file is no readable video, or its timestamps make no sense.
        ValueError: both or neither of `fps` and `times_s`, or values out of range.
    """
    if (fps is None) == (times_s is None):
        raise ValueError(f"exactly one of fps and times_s is expected, got fps={fps} and times_s={times_s}")
    if fps is not None and not 0 < fps < math.inf:
        raise ValueError(f"fps is {fps}, expected a finite rate above 0")
    if times_s is not None and not _are_ascending(times_s):
        raise ValueError("times_s must be finite, at least 0 and ascending")
    if rectifier is not None and size_wh not in (None, rectifier.size_wh):
        raise ValueError(f"size_wh is {size_wh}, but the rectifier makes {rectifier.size_wh}")
    return _frames(video, fps, times_s, _converter(size_wh, rectifier), report or DecodeReport())


def _are_ascending(times_s: Sequence[float]) -> bool:
    values = np.asarray(times_s, np.float64)
    return bool(np.all(np.isfinite(values)) and np.all(values >= 0) and np.all(np.diff(values) >= 0))


def _converter(size_wh: tuple[int, int] | None, rectifier: Rectifier | None) -> Callable[[Image], Image]:
    def convert(image: Image) -> Image:
        if rectifier is not None:
            return rectifier.rectify(image)
        if size_wh in (None, image.shape[1::-1]):
            return image
        shrinks = size_wh[0] <= image.shape[1] and size_wh[1] <= image.shape[0]
        resized = cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        return np.asarray(resized, np.uint8)

    return convert


def _frames(
    video: Path,
    fps: float | None,
    times_s: Sequence[float] | None,
    convert: Callable[[Image], Image],
    report: DecodeReport,
) -> Iterator[Frame]:
    table = scan(video)
    choice = choose(table, regular_times(table, fps) if fps is not None else np.asarray(times_s, np.float64))
    ranks = np.unique(np.delete(choice.ranks, list(choice.no_frame)))
    step_s = (choice.times_s[-1] - choice.times_s[0]) / (len(choice.times_s) - 1) if len(choice.times_s) > 1 else 0
    report.video = describe(table)
    report.strategy = "seek" if table.keyframe_interval_s <= step_s + TIME_TOLERANCE_S else "sequential"
    report.wanted = len(choice.times_s)
    report.decode_errors += table.read_errors
    with closing(decode_runs(video, table, plan_runs(table, ranks), convert, report.add)) as pictures:
        yield from _at_wanted_times(table, choice, pictures, report)


def _at_wanted_times(
    table: PacketTable, choice: Choice, pictures: Iterator[Picture], report: DecodeReport
) -> Iterator[Frame]:
    """Hand out one picture per wanted time, and count what is missing."""
    picture: Picture | None = None
    for position, time_s in enumerate(choice.times_s.tolist()):
        rank = int(choice.ranks[position])
        if position in choice.no_frame:
            report.missing.append(MissingFrame(time_s, None, choice.no_frame[position]))
            continue
        is_again = picture is not None and picture.rank == rank
        if not is_again:
            picture = next(pictures)
        assert picture is not None and picture.rank == rank, "pictures come in the order of their times"
        if picture.image is None:
            report.missing.append(MissingFrame(time_s, rank, picture.reason))
            continue
        pts_s = float(table.times_s[rank])
        report.given += 1
        report.repeated += is_again
        report.covered_s = (pts_s if report.covered_s is None else report.covered_s[0], pts_s)
        is_wanted_again = rank in choice.ranks[position + 1 : position + 2]
        # The reader may draw on what it gets.
        yield Frame(rank, pts_s, picture.image.copy() if is_wanted_again else picture.image)
