from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.ops.model.mrope import prompt_positions, video_positions
from pipeline.ops.model.sampled_time import (
    clock_ticks,
    grid_middles_s,
    grid_times_s,
    model_times_s,
    temporal_positions,
)

Run = tuple[list[int], int, int]


def slow_positions(pieces: list[int | Run]) -> NDArray[np.int64]:
    """Token by token: a piece is a number of text tokens, or one video's times, rows and columns."""
    columns: list[tuple[int, int, int]] = []
    for piece in pieces:
        start = max((max(column) for column in columns), default=-1) + 1
        if isinstance(piece, int):
            columns += [(start + i, start + i, start + i) for i in range(piece)]
        else:
            times, rows, width = piece
            columns += [(start + t, start + y, start + x) for t in times for y in range(rows) for x in range(width)]
    return np.array(columns, np.int64).reshape(-1, 3).T


run_strategy = st.tuples(
    st.lists(st.integers(0, 400), min_size=1, max_size=6).map(sorted), st.integers(1, 5), st.integers(1, 5)
)


@given(st.lists(st.tuples(st.integers(1, 7), run_strategy), max_size=4), st.integers(0, 9))
def test_positions_equal_a_slow_reference(parts: list[tuple[int, Run]], tail: int) -> None:
    pieces: list[int | Run] = [piece for text, run in parts for piece in (text, run)] + ([tail] if tail else [])
    is_video = np.concatenate(
        [np.zeros(0, bool)]
        + [
            np.zeros(piece, bool) if isinstance(piece, int) else np.ones(len(piece[0]) * piece[1] * piece[2], bool)
            for piece in pieces
        ]
    )
    got = prompt_positions(is_video, [run for _, run in parts])
    np.testing.assert_array_equal(got, slow_positions(pieces))


def test_text_after_three_minutes_goes_on_behind_the_greatest_position() -> None:
    times = temporal_positions([2.0 * step for step in range(90)], 2)
    is_video = np.array([False] * 10 + [True] * 90 * 144 + [False] * 3)
    positions = prompt_positions(is_video, [(times, 9, 16)])
    assert positions[:, 9].tolist() == [9, 9, 9]
    assert positions[:, 10].tolist() == [10, 10, 10]
    assert positions[:, 10 + 143].tolist() == [10, 18, 25]
    assert positions[:, -4].tolist() == [10 + 356, 18, 25]
    assert positions[:, -3:].tolist() == [[367, 368, 369]] * 3


def test_a_prompt_whose_runs_do_not_match_is_refused() -> None:
    with pytest.raises(ValueError, match=r"runs of \[4\] tokens do not match \[3\]"):
        prompt_positions(np.array([False, True, True, True]), [([0], 2, 2)])
    with pytest.raises(ValueError, match="do not match"):
        prompt_positions(np.array([False]), [([0], 2, 2)])


def test_one_video_alone() -> None:
    assert video_positions([0, 4], 1, 2, 5).tolist() == [[5, 5, 9, 9], [5, 5, 5, 5], [5, 6, 5, 6]]


@pytest.mark.parametrize("fps", [0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 29.97])
def test_even_sampling_gives_the_rule_of_equal_steps(fps: float) -> None:
    times = model_times_s([number / fps for number in range(41)], fps)
    seconds_per_grid = 2 / fps
    expected = [int(step * seconds_per_grid * 2 + 1e-9) for step in range(21)]
    assert temporal_positions(grid_times_s(times, 2), 2) == expected


def test_a_frame_that_began_a_little_before_its_instant_keeps_it() -> None:
    pts = [0.0, 1 - 1 / 30, 2 - 0.001, 3.0, 4 - 1 / 30]
    assert model_times_s(pts, 1.0) == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_a_gap_stays_a_gap() -> None:
    times = model_times_s([0.0, 1.0, 7.97, 9.0, 10.0], 1.0)
    assert times == [0.0, 1.0, 8.0, 9.0, 10.0]
    assert grid_times_s(times, 2) == [0.0, 8.0, 10.0]
    assert temporal_positions(grid_times_s(times, 2), 2) == [0, 16, 20]
    assert grid_middles_s(times, 2) == [0.5, 8.5, 10.0]


def test_true_times_are_kept_where_instants_are_not_clear() -> None:
    pts = [0.0, 1 / 30, 1 / 30, 2 / 30]
    assert model_times_s(pts, 29.0) == pts


def test_ticks_tell_any_rate_exactly() -> None:
    assert clock_ticks([0.0, 1 / 3, 2 / 3], 3.0) == [0, 1000, 2000]
