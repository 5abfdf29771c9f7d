"""The one generator through which everything downstream sees a video's frames."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import cv2
import numpy as np

from pipeline.ops.camera.rectify import Rectifier
from pipeline.ops.video.decode import Image, Picture, Tally
from pipeline.ops.video.packet_table import PacketTable
from pipeline.ops.video.packets import scan
from pipeline.ops.video.probe import VideoProbe, describe
from pipeline.ops.video.run_pool import decode_runs
from pipeline.ops.video.sampling import TIME_TOLERANCE_S, Choice, Wanted, plan_runs


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
    """A wanted time without a frame: the index of the frame that is shown then, if known, and why it is not there.

    For a frame wanted by its index, that index and the frame's own time; NaN after the end.
    """

    time_s: float
    index: int | None
    reason: str


@dataclass
class DecodeReport:
    """What became of the wanted frames; filled while they are read, complete when the last one is out.

    Attributes:
        strategy: "seek" when keyframes lie at most one sampling step apart, so that each frame has its own access
            point; else "sequential", which decodes each stretch between keyframes once.
        wanted: times or indices asked for; always `given + len(missing)` in the end.
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
    indices: Sequence[int] | None = None,
    size_wh: tuple[int, int] | None = None,
    scale_while_decoding: bool = False,
    rectifier: Rectifier | None = None,
    workers: int | None = None,
    stop: Event | None = None,
    report: DecodeReport | None = None,
) -> Generator[Frame, None, None]:
    """The frames shown at regular or given times, or with given numbers, in order, decoded while they are read.

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
        times_s: wanted times instead, ascending, seconds ≥ 0.
        indices: wanted display-order numbers instead, ascending from 0, each once; those that the stream does not have
            are missing. Exactly one of `fps`, `times_s` and `indices` is given.
        size_wh: output size; the stored size by default. Shrinking averages areas, enlarging is bicubic.
        scale_while_decoding: shrink in the decoder's colour conversion, so that no RGB picture of the stored size ever
            exists: a third less time and a fraction of the memory for 4K. Values differ by about 1 from shrinking the
            exact picture.
        rectifier: rectifies each given frame to its own output size (then `size_wh` is not needed).
        workers: threads that decode; None: one a core, at most four. Memory grows with them, not with the video.
        stop: may be set from another thread: then no more frames come, and those left are not counted as missing.
        report: filled in place.

    Raises:
        PipelineError: the file is no readable video, or its timestamps make no sense.
        ValueError: not exactly one of `fps`, `times_s` and `indices`, values out of range, or a rectifier together with
            what does not fit it.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers is {workers}, expected at least 1")
    if rectifier is not None and (scale_while_decoding or size_wh not in (None, rectifier.size_wh)):
        raise ValueError(
            f"the rectifier makes {rectifier.size_wh} of the stored size, got {size_wh=}, {scale_while_decoding=}"
        )
    shape = _Shape(size_wh, scale_while_decoding, rectifier)
    return _frames(video, Wanted(fps, times_s, indices), shape, workers, stop, report or DecodeReport())


@dataclass(frozen=True)
class _Shape:
    """How a decoded picture becomes the one that is given."""

    size_wh: tuple[int, int] | None
    is_early: bool
    rectifier: Rectifier | None

    def decoded_wh(self, table: PacketTable) -> tuple[int, int] | None:
        """The smaller size that the colour conversion makes at once; None: the stored size."""
        can_be = self.size_wh is not None and _shrinks(self.size_wh, (table.width, table.height))
        return self.size_wh if self.is_early and can_be else None

    def convert(self, image: Image) -> Image:
        """What is still to be done to the picture in RGB."""
        if self.rectifier is not None:
            return self.rectifier.rectify(image)
        stored_wh = image.shape[1], image.shape[0]
        if self.size_wh is None or self.size_wh == stored_wh:
            return image
        how = cv2.INTER_AREA if _shrinks(self.size_wh, stored_wh) else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(image, self.size_wh, interpolation=how), np.uint8)


def _shrinks(size_wh: tuple[int, int], stored_wh: tuple[int, int]) -> bool:
    return size_wh != stored_wh and size_wh[0] <= stored_wh[0] and size_wh[1] <= stored_wh[1]


def _frames(
    video: Path, wanted: Wanted, shape: _Shape, workers: int | None, stop: Event | None, report: DecodeReport
) -> Generator[Frame, None, None]:
    table = scan(video)
    choice = wanted.choose(table)
    report.video = describe(table)
    report.strategy = "seek" if table.keyframe_interval_s <= choice.step_s + TIME_TOLERANCE_S else "sequential"
    report.wanted = len(choice.times_s)
    report.decode_errors += table.read_errors
    runs, size_wh = plan_runs(table, choice.wanted_ranks), shape.decoded_wh(table)
    pictures = decode_runs(video, table, runs, shape.convert, report.add, size_wh=size_wh, workers=workers, stop=stop)
    with closing(pictures):
        yield from _at_wanted_times(table, choice, pictures, report)


def _at_wanted_times(
    table: PacketTable, choice: Choice, pictures: Iterator[Picture], report: DecodeReport
) -> Iterator[Frame]:
    """Hand out one picture per wanted time, and count what is missing."""
    picture: Picture | None = None
    for position, time_s in enumerate(choice.times_s.tolist()):
        rank = int(choice.ranks[position])
        if position in choice.no_frame:
            index = rank if choice.is_by_index else None
            report.missing.append(MissingFrame(time_s, index, choice.no_frame[position]))
            continue
        is_again = picture is not None and picture.rank == rank
        if not is_again:
            picture = next(pictures, None)
            if picture is None:  # stopped
                return
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
