"""Stretches to ask for, where to go on, and how answers are joined."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import PipelineError
from pipeline.ops.timeline.drafts import Draft, RepairLog
from pipeline.ops.timeline.salvage import salvage
from pipeline.ops.timeline.windows import Part, follow_up, join_windows, split_windows
from pipeline.schema.segments import Ecot


def test_a_clip_that_fits_is_one_window() -> None:
    assert [(window.start_s, window.end_s) for window in split_windows(59.9996, 60, 5)] == [(0, 59.999)]
    assert [(window.start_s, window.end_s) for window in split_windows(0.5, 60, 5)] == [(0, 0.5)]


def test_equal_windows_share_the_overlap() -> None:
    windows = split_windows(180, 60, 6)
    assert [(window.start_s, window.end_s) for window in windows] == [(0, 49.5), (43.5, 93), (87, 136.5), (130.5, 180)]


@given(st.floats(0.01, 2000), st.floats(1, 300), st.floats(0, 0.9))
def test_windows_cover_without_slivers(duration_s: float, window_s: float, overlap_share: float) -> None:
    overlap_s = window_s * overlap_share
    windows = split_windows(duration_s, window_s, overlap_s)
    assert windows[0].start_s == 0
    assert duration_s - 0.0011 < windows[-1].end_s <= duration_s + 1e-6
    lengths = [window.end_s - window.start_s for window in windows]
    assert max(lengths) <= window_s + 0.001
    assert max(lengths) - min(lengths) < 0.0021
    if len(windows) > 1:
        assert min(lengths) > overlap_s
        assert min(lengths) >= (window_s + overlap_s) / 2 - 0.002
    for earlier, later in pairwise(windows):
        assert earlier.end_s - later.start_s == pytest.approx(overlap_s, abs=0.0011)


@pytest.mark.parametrize(("window_s", "overlap_s"), [(0, 0), (10, 10), (10, 11), (10, -1)])
def test_windows_that_do_not_advance_are_refused(window_s: float, overlap_s: float) -> None:
    with pytest.raises(PipelineError):
        split_windows(100, window_s, overlap_s)


def answer(*spans: tuple[object, object], cut: bool = False) -> str:
    text = json.dumps([{"t_start_s": start, "t_end_s": end} for start, end in spans])
    return text[:-1] + ', {"t_st' if cut else text


@pytest.mark.parametrize(
    ("text", "action", "from_s"),
    [
        (answer((0, 5), (5, 20)), "accept", None),
        (answer((0, 5)), "accept", None),
        (answer((0, 5), (5, 12), cut=True), "continue", 12),
        (answer((0, "00:05"), (5, "12.5s"), cut=True), "continue", 12.5),
        (answer((0, 5), (5, 19.5), cut=True), "accept", None),
        (answer((0, 5), (5, 30), cut=True), "accept", None),
        (answer((0, 0.5), cut=True), "retry", None),
        (answer(cut=True), "retry", None),
        ("[]", "retry", None),
        ("sorry", "retry", None),
        ('[{"scene": 1}]', "retry", None),
        (answer((3, 3)), "retry", None),
        (answer((0, 5), *[(5, 8)] * 9), "continue", 8),
        (answer((0, 5), *[(5, 8)] * 9, cut=True), "continue", 8),
        (answer((0, 5), (5, 8), (3, 18), (2, 4), (1, 5)), "continue", 8),
        (answer((5, 12), (0, 5), (12, 20)), "accept", None),
        (answer((-5, -1), cut=True), "retry", None),
    ],
)
def test_follow_up(text: str, action: str, from_s: float | None) -> None:
    found = follow_up(salvage(text), length_s=20, step_s=1)
    assert (found.action, found.from_s) == (action, from_s)


@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=8), st.booleans(), st.floats(1, 100))
def test_a_continuation_always_gets_ahead(spans: list[tuple[float, float]], cut: bool, length_s: float) -> None:
    found = follow_up(salvage(answer(*spans, cut=cut)), length_s=length_s, step_s=0.5)
    if found.from_s is not None:
        assert found.from_s + 0.001 >= 0.5
        assert length_s - found.from_s > 0.499


def draft(start_s: float, end_s: float, text: str | None = "a") -> Draft:
    ecot = Ecot(scene=None, subtask=text, motion=None, prediction=None) if text else None
    return Draft(number=1, start_ms=round(start_s * 1000), end_ms=round(end_s * 1000), active=bool(text), ecot=ecot)


def join(
    *parts: tuple[float, float, list[Draft]], continues: bool = False
) -> tuple[list[tuple[float, float, str]], list[str]]:
    log = RepairLog()
    made = [
        Part(round(start_s * 1000), round(end_s * 1000), tuple(drafts), continues and index > 0)
        for index, (start_s, end_s, drafts) in enumerate(parts)
    ]
    joined = join_windows(made, 1000, log)
    texts = [(one.start_ms / 1000, one.end_ms / 1000, (one.ecot.subtask if one.ecot else "") or "") for one in joined]
    return texts, [entry.rule for entry in log.repairs]


def test_the_border_is_where_an_action_ends() -> None:
    first = (0, 60, [draft(0, 40), draft(40, 57, "b"), draft(57, 60, "c")])
    second = (50, 110, [draft(50, 57, "b"), draft(57, 110, "c")])
    assert join(first, second) == (
        [(0, 40, "a"), (40, 57, "b"), (57, 110, "c")],
        ["dropped_in_overlap", "dropped_in_overlap"],
    )


def test_without_an_end_inside_the_border_is_the_middle_and_one_action_stays_one() -> None:
    joined, rules = join((0, 60, [draft(0, 60, "Turn it.")]), (50, 110, [draft(50, 110, "turn it")]))
    assert joined == [(0, 110, "Turn it.")]
    assert rules == ["trimmed_at_border", "trimmed_at_border", "merged_across_border"]


def test_different_actions_are_not_merged() -> None:
    assert join((0, 60, [draft(0, 60)]), (50, 110, [draft(50, 110, "b")]))[0] == [(0, 55, "a"), (55, 110, "b")]
    assert join((0, 60, [draft(0, 60, None)]), (50, 110, [draft(50, 110)]))[0] == [(0, 55, ""), (55, 110, "a")]


def test_idle_is_merged_with_idle() -> None:
    assert join((0, 60, [draft(0, 60, None)]), (60, 110, [draft(60, 110, None)]))[0] == [(0, 110, "")]


def test_an_end_that_only_one_saw_does_not_split_the_other_ones_action() -> None:
    first = (0, 60, [draft(0, 57), draft(57, 60, "b")])
    assert join(first, (50, 110, [draft(50, 110)]))[0] == [(0, 110, "a")]


def test_repeated_actions_away_from_the_border_stay_apart() -> None:
    joined, _ = join((0, 60, [draft(0, 30), draft(30, 54)]), (50, 110, [draft(55, 80), draft(80, 110)]))
    assert joined == [(0, 30, "a"), (30, 54, "a"), (55, 80, "a"), (80, 110, "a")]


def test_where_one_says_nothing_the_other_keeps_the_word() -> None:
    assert join((0, 60, [draft(0, 60)]), (50, 110, [draft(59, 110, "b")]))[0] == [(0, 59, "a"), (59, 110, "b")]
    assert join((0, 60, [draft(0, 51)]), (50, 110, [draft(50, 110, "b")]))[0] == [(0, 51, "a"), (51, 110, "b")]
    late = join((0, 60, [draft(0, 51)]), (50, 110, [draft(50, 55, "b"), draft(55, 110, "c")]))[0]
    assert late == [(0, 51, "a"), (51, 55, "b"), (55, 110, "c")]
    assert join((0, 60, [draft(0, 40)]), (50, 110, [draft(50, 110)]))[0] == [(0, 40, "a"), (50, 110, "a")]
    assert join((0, 60, [draft(0, 60)]), (50, 110, []))[0] == [(0, 60, "a")]


def test_a_continuation_speaks_from_its_start() -> None:
    first = (0, 100, [draft(0, 30), draft(30, 43, "b"), draft(43, 60, "loop")])
    joined, rules = join(first, (43, 100, [draft(43, 70, "b"), draft(70, 100, "c")]), continues=True)
    assert joined == [(0, 30, "a"), (30, 43, "b"), (43, 70, "b"), (70, 100, "c")]
    assert rules == ["dropped_in_overlap"]


@st.composite
def part(draw: st.DrawFn) -> tuple[float, float, list[Draft]]:
    start = draw(st.integers(0, 50))
    end = start + draw(st.integers(5, 60))
    borders = sorted(draw(st.sets(st.integers(start, end), max_size=8)))
    drafts = [draft(a, b, draw(st.sampled_from(["a", "b", None]))) for a, b in pairwise(borders) if draw(st.booleans())]
    return start, end, drafts


@given(st.lists(part(), max_size=4).map(lambda parts: sorted(parts, key=lambda one: one[:2])), st.booleans())
def test_joined_segments_are_in_order_and_apart(parts: list[tuple[float, float, list[Draft]]], continues: bool) -> None:
    joined, _ = join(*parts, continues=continues)
    assert all(start < end for start, end, _ in joined)
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(joined))
