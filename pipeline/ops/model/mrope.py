"""Rotary positions of a prompt with video, on three axes (time, row, column), as the Qwen-VL models were trained.

Source: the rule in the Qwen2.5-VL report and the original modelling code. transformers 5.3 to 5.23 continue the text
after a video at start + max(rows, columns) in place of the greatest position + 1, so that text and video overlap;
hence these functions, whose result is passed to `generate`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]


def video_positions(times: Sequence[int], rows: int, columns: int, start: int) -> Positions:
    """Positions of one video's tokens: the grid in time-major, then row-major order.

    Args:
        times: temporal position of each grid step, relative to the start.
        rows, columns: tokens (merged patches) per picture side.
        start: position at which the video begins.

    Returns:
        (3, len(times)·rows·columns) int64.
    """
    grid = np.meshgrid(np.asarray(times, np.int64), np.arange(rows), np.arange(columns), indexing="ij")
    return np.stack([axis.reshape(-1) for axis in grid]).astype(np.int64) + start


def prompt_positions(is_video: NDArray[np.bool_], runs: Sequence[tuple[Sequence[int], int, int]]) -> Positions:
    """Positions of a whole prompt: text counts on, a video takes its grid, text goes on at the greatest position + 1.

    Args:
        is_video: (L,) which tokens are visual; each unbroken run is one video (or one picture of it).
        runs: for each run in order its temporal positions, rows and columns, as in `video_positions`.

    Returns:
        (3, L) int64.

    Raises:
        ValueError: the runs do not match the tokens.
    """
    edges = np.flatnonzero(np.diff(is_video.astype(np.int8), prepend=0, append=0))
    spans = list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
    sizes = [len(times) * rows * columns for times, rows, columns in runs]
    if [stop - first for first, stop in spans] != sizes:
        raise ValueError(f"runs of {sizes} tokens do not match {[stop - first for first, stop in spans]} in the prompt")
    positions = np.empty((3, len(is_video)), np.int64)
    done, following = 0, 0
    for (first, stop), (times, rows, columns) in zip(spans, runs, strict=True):
        positions[:, done:first] = following + np.arange(first - done)
        following += first - done
        positions[:, first:stop] = video_positions(times, rows, columns, following)
        following = int(positions[:, first:stop].max()) + 1
        done = stop
    positions[:, done:] = following + np.arange(len(is_video) - done)
    return positions
