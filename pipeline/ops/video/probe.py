"""What a video file holds, found by reading its packets once without decoding."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from pipeline.ops.video.packet_table import NO_TIME, PacketTable
from pipeline.ops.video.packets import scan

LONG_GAP_S = 1.0
LONG_GAP_STEPS = 5.0
UNEVEN = 0.01
"""Steps that differ from the median by more than this share make a frame rate variable."""


@dataclass(frozen=True)
class VideoProbe:
    """Facts of a video stream. Times are seconds since its first shown frame.

    Attributes:
        codec: FFmpeg's name: "hevc", "h264", …
        width, height: stored size in pixels.
        start_s: the first shown frame's own timestamp, not 0 in every file.
        duration_s: end of the last shown frame.
        frames: pictures that are shown.
        average_fps: frames / duration_s; 0 when the duration is unknown.
        variable_frame_rate: whether the steps between frames differ by more than 1 % and one unit of the time base.
        keyframes: pictures at which decoding can begin.
        keyframe_interval_s: median time between them, to the end for a single one.
        declared_frames: what the container claims, 0 if it claims nothing.
        truncated: the file has less than it declares, ends in the middle of a packet or cannot be read to its end.
        packets_without_time: pictures that can never be chosen, since the container does not say when they are shown.
        packets_damaged: packets that are visibly cut off or overwritten.
        packets_hidden: pictures that are never shown: before an edit list's start, cut from their keyframe, or after a
            hole at a cut-off end.
        repeated_times: frames with the same timestamp as the one before.
        gaps_s: (start, end) of stretches in which one frame stands for more than 1 s and five usual steps.
        read_errors: what the container reader complained about.
    """

    codec: str
    width: int
    height: int
    pixel_format: str
    time_base: Fraction
    start_s: float
    duration_s: float
    frames: int
    average_fps: float
    variable_frame_rate: bool
    keyframes: int
    keyframe_interval_s: float
    declared_frames: int
    truncated: bool
    packets_without_time: int
    packets_damaged: int
    packets_hidden: int
    repeated_times: int
    gaps_s: tuple[tuple[float, float], ...]
    read_errors: tuple[str, ...]

    @property
    def size_wh(self) -> tuple[int, int]:
        """Stored picture size in pixels."""
        return self.width, self.height


def probe(video: Path) -> VideoProbe:
    """Read a file's packets once and describe its video stream.

    Raises:
        PipelineError: not a readable video with at least one picture that has a timestamp.
    """
    return describe(scan(video))


def describe(table: PacketTable) -> VideoProbe:
    """The facts that a packet table shows."""
    times_s, duration_s = table.times_s, table.duration_s
    steps_s = np.diff(times_s)
    tolerance_s = max(table.frame_step_s * UNEVEN, 1.5 * float(table.time_base))
    long_step_s = max(LONG_GAP_S, LONG_GAP_STEPS * table.frame_step_s)
    without_time = int(np.count_nonzero(table.pts == NO_TIME))
    return VideoProbe(
        codec=table.codec,
        width=table.width,
        height=table.height,
        pixel_format=table.pixel_format,
        time_base=table.time_base,
        start_s=float(table.start_ticks * table.time_base),
        duration_s=duration_s,
        frames=len(table.shown),
        average_fps=len(table.shown) / duration_s if duration_s else 0.0,
        variable_frame_rate=bool(np.any(np.abs(steps_s - table.frame_step_s) > tolerance_s)),
        keyframes=len(table.access_points),
        keyframe_interval_s=table.keyframe_interval_s,
        declared_frames=table.declared_frames,
        truncated=table.is_cut_off,
        packets_without_time=without_time,
        packets_damaged=int(np.count_nonzero(table.is_damaged)),
        packets_hidden=len(table) - len(table.shown) - without_time,
        repeated_times=int(np.count_nonzero(steps_s == 0)),
        gaps_s=tuple(
            (float(times_s[index]), float(times_s[index + 1])) for index in np.flatnonzero(steps_s > long_step_s)
        ),
        read_errors=table.read_errors,
    )
