"""When the frames of a video were taken, as a model is told it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

TICKS_PER_STEP = 1000
"""A sampling step is this many ticks of the clock in which frame times are handed to a processor."""


def model_times_s(times_s: Sequence[float], fps: float) -> list[float]:
    """Times that stand for the frames: the sampling instants they were taken for, where that is clear.

    The frame shown at an instant began a little earlier (up to one frame of the stream), and floor() would push it a
    whole temporal position back. So each time is moved to the nearest multiple of the sampling step, gaps stay gaps.
    Where two frames would fall on one instant (sampling almost as fast as the stream), the true times are kept.

    Args:
        times_s: true times of the frames in order, seconds from the start of what the model is shown.
        fps: sampling rate, frames per second.
    """
    steps = np.rint(np.asarray(times_s, float) * fps)
    if len(steps) > 1 and np.diff(steps).min() < 1:
        return [float(time) for time in times_s]
    return [float(step) / fps for step in steps]


def clock_ticks(times_s: Sequence[float], fps: float) -> list[int]:
    """The times on a clock that ticks `fps * TICKS_PER_STEP` times a second."""
    return [round(time * fps * TICKS_PER_STEP) for time in times_s]


def grid_times_s(times_s: Sequence[float], frames_per_step: int) -> list[float]:
    """Time of the first frame of each grid step; the last step may be short of frames."""
    return [float(time) for time in times_s[::frames_per_step]]


def grid_middles_s(times_s: Sequence[float], frames_per_step: int) -> list[float]:
    """Mean of first and last time of each grid step; a short last step repeats its last frame."""
    firsts = list(times_s[::frames_per_step])
    lasts = [
        times_s[min(first + frames_per_step, len(times_s)) - 1] for first in range(0, len(times_s), frames_per_step)
    ]
    return [(first + last) / 2 for first, last in zip(firsts, lasts, strict=True)]


def temporal_positions(grid_s: Sequence[float], tokens_per_second: int) -> list[int]:
    """Rotary position of each grid step: whole positions since the start, at `tokens_per_second`.

    For frames taken at equal distances this is int(step · seconds per step · tokens per second).
    """
    # Times are multiples of a step that decimals hit only nearly: 0.30000000000000004 · 10 is 3, and so is 2.9999999.
    return [int(time * tokens_per_second + 1e-6) for time in grid_s]
