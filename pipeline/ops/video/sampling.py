"""Which frames are shown at the wanted times, and from which access points they are decoded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.ops.video.decode import Run
from pipeline.ops.video.packet_table import NO_TIME, PacketTable

TIME_TOLERANCE_S = 1e-6
"""A frame is shown at t when it begins at most this much later: times are often written with six decimals."""
MOST_SAMPLES_PER_FRAME = 100
ALWAYS_ALLOWED_SAMPLES = 1000
"""More samples than both allow mean damaged timestamps, not a slide show."""
UNSURE_AFTER_STEPS = 0.99


@dataclass(frozen=True)
class Choice:
    """The frame for each wanted time.

    Attributes:
        times_s: the wanted times.
        ranks: int64, for each time the index into `PacketTable.shown` of the frame shown then.
        no_frame: for times that have none, the reason, by position in `times_s`.
        is_by_index: frames were asked for by number: `ranks` are those numbers, also of frames that are not there,
            whose time is not known (NaN).
    """

    times_s: NDArray[np.float64]
    ranks: NDArray[np.int64]
    no_frame: dict[int, str]
    is_by_index: bool = False

    @property
    def step_s(self) -> float:
        """Mean time between neighbouring wanted times that have a frame; 0 for a single one."""
        times_s = np.delete(self.times_s, list(self.no_frame))
        return float(times_s[-1] - times_s[0]) / (len(times_s) - 1) if len(times_s) > 1 else 0.0

    @property
    def wanted_ranks(self) -> NDArray[np.int64]:
        """Frames to decode, ascending, each once."""
        return np.unique(np.delete(self.ranks, list(self.no_frame)))


@dataclass(frozen=True)
class Wanted:
    """Which frames are wanted, in one of three ways.

    Args:
        fps: samples per second from 0 to the end.
        times_s: seconds ≥ 0, ascending.
        indices: display-order numbers, ascending from 0, each once.

    Raises:
        ValueError: not exactly one of them, or values out of range.
    """

    fps: float | None
    times_s: Sequence[float] | None
    indices: Sequence[int] | None

    def __post_init__(self) -> None:
        given = [name for name, value in vars(self).items() if value is not None]
        if len(given) != 1:
            raise ValueError(
                f"exactly one of fps, times_s and indices is expected, got {' and '.join(given) or 'none'}"
            )
        if self.fps is not None and not 0 < self.fps < math.inf:
            raise ValueError(f"fps is {self.fps}, expected a finite rate above 0")
        times_s = np.asarray([] if self.times_s is None else self.times_s, np.float64)
        if not (np.all(np.isfinite(times_s)) and np.all(times_s >= 0) and np.all(np.diff(times_s) >= 0)):
            raise ValueError("times_s must be finite, at least 0 and ascending")
        if self.indices is not None and not _are_ascending_numbers(self.indices):
            raise ValueError("indices must be whole numbers from 0 on, ascending, each once")

    def choose(self, table: PacketTable) -> Choice:
        """The frames of this stream that are meant."""
        if self.indices is not None:
            return choose_indices(table, self.indices)
        times_s = regular_times(table, self.fps) if self.fps is not None else np.asarray(self.times_s, np.float64)
        return choose(table, times_s)


def _are_ascending_numbers(indices: Sequence[int]) -> bool:
    values = np.asarray(indices)
    is_whole = not len(values) or np.issubdtype(values.dtype, np.integer)
    return bool(is_whole and np.all(values >= 0) and np.all(values[1:] > values[:-1]))


def regular_times(table: PacketTable, fps: float) -> NDArray[np.float64]:
    """k / fps for k = 0, 1, … before the end of the last frame; always at least the time 0.

    Raises:
        PipelineError: so many times for so few frames that the stream's timestamps must be damaged.
    """
    expected = table.duration_s * fps
    if expected > max(MOST_SAMPLES_PER_FRAME * len(table.shown), ALWAYS_ALLOWED_SAMPLES):
        raise PipelineError(
            f"{fps:g} fps over {table.duration_s:g} s would show {len(table.shown)} frames {expected:.3g} times, "
            f"expected at most {MOST_SAMPLES_PER_FRAME} times each",
            "lower the rate, or write the file anew with `ffmpeg -i IN -c copy OUT.mp4`: its timestamps look damaged",
        )
    times_s = np.arange(int(expected) + 2) / fps
    return np.asarray(times_s[(times_s < table.duration_s - TIME_TOLERANCE_S) | (times_s == 0)])


def choose(table: PacketTable, times_s: Sequence[float] | NDArray[np.float64]) -> Choice:
    """The frame with the greatest timestamp ≤ t for each time t (ascending, seconds since the first frame)."""
    wanted_s = np.asarray(times_s, np.float64)
    ranks = np.searchsorted(table.times_s, wanted_s + TIME_TOLERANCE_S, side="right") - 1
    no_frame: dict[int, str] = {}
    for position in np.flatnonzero(wanted_s > max(table.duration_s - TIME_TOLERANCE_S, 0)):
        no_frame[int(position)] = f"the stream ends at {table.duration_s:.3f} s"
    without_time = int(np.count_nonzero(table.pts == NO_TIME))
    if without_time:
        # Where a frame should have been followed by the next one already, that may be one without a timestamp.
        unsure = wanted_s - table.times_s[ranks] > UNSURE_AFTER_STEPS * table.frame_step_s
        for position in np.flatnonzero(unsure):
            no_frame.setdefault(int(position), f"one of {without_time} frames without a timestamp may be shown then")
    return Choice(wanted_s, ranks.astype(np.int64), no_frame)


def choose_indices(table: PacketTable, indices: Sequence[int]) -> Choice:
    """The frames with these display-order numbers (ascending, each once)."""
    ranks, frames = np.asarray(indices, np.int64), len(table.shown)
    is_there = ranks < frames
    times_s = np.full(len(ranks), np.nan)
    times_s[is_there] = table.times_s[ranks[is_there]]
    reason = f"the video has {frames} frames, the last one is {frames - 1}"
    no_frame = {int(position): reason for position in np.flatnonzero(~is_there)}
    return Choice(times_s, ranks, no_frame, is_by_index=True)


def plan_runs(table: PacketTable, ranks: NDArray[np.int64]) -> list[Run]:
    """Group ascending wanted ranks by the access point that decodes them.

    That is the last one before the picture in decoding order or, for a picture shown before that one (a leading picture
    of an open group), the one before.
    """
    runs: list[Run] = []
    points = table.access_points
    ordinals = table.shown[ranks]
    nearest = np.searchsorted(points, ordinals, side="right") - 1
    leading = table.pts[ordinals] < table.pts[points[nearest]]
    for rank, point in zip(ranks.tolist(), points[np.maximum(nearest - leading, 0)].tolist(), strict=True):
        if not runs or runs[-1].first != point:
            runs.append(Run(point, []))
        runs[-1].ranks.append(rank)
    return runs
