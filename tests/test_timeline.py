"""Any segments become a cover of the clip; every change is recorded."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.errors import PipelineError
from pipeline.ops.timeline.boxes import BoxMapper
from pipeline.ops.timeline.repair import Timeline
from pipeline.ops.timeline.repair import repair as repair_segments
from pipeline.ops.timeline.text_times import parse_time, seconds_text

OWN = BoxMapper("rectified_px", (448, 252), (456, 256))
PIXELS = BoxMapper("model_px", (448, 252), (456, 256))


def said(start: object, end: object, text: str | None = "turn the bolt", **more: object) -> dict[str, object]:
    """A segment as a model writes it; idle without text."""
    ecot = {"scene": "bench", "subtask": text, "motion": "clockwise", "prediction": "next bolt"} if text else None
    objects = [{"object_name": "bolt", "bbox": [10, 10, 40, 40], "rigid": True}] if text else []
    segment = {"t_start_s": start, "t_end_s": end, "active": text is not None, "objects": objects, "ecot": ecot}
    return {**segment, **more}


def numbered(*segments: dict[str, object]) -> list[object]:
    return [{"action_id": number, **segment} for number, segment in enumerate(segments, 1)]


def repair(raw: list[object], duration_s: float = 20.0, step_s: float = 1.0, boxes: BoxMapper = OWN) -> Timeline:
    times_s = [index * step_s for index in range(int(duration_s / step_s) + 1)]
    return repair_segments(raw, duration_s, sampling_step_s=step_s, boxes=boxes, sampled_pts_s=times_s)


def spans(timeline: Timeline) -> list[tuple[float, float, bool]]:
    return [(segment.t_start_s, segment.t_end_s, segment.active) for segment in timeline.segments]


def rules(timeline: Timeline) -> list[str]:
    return [entry.rule for entry in timeline.repairs]


CLEAN = numbered(said(0, 3.5), said(3.5, 9.25, None), said(9.25, 14, "cut the film"), said(14, 20))


def test_clean_timeline_needs_nothing() -> None:
    timeline = repair(CLEAN)
    assert rules(timeline) == []
    assert spans(timeline) == [(0, 3.5, True), (3.5, 9.25, False), (9.25, 14, True), (14, 20, True)]
    assert not timeline.needs_review
    assert timeline.said == 4
    assert timeline.quality.coverage_before_repair == 1
    assert timeline.quality.fixes == 0
    assert timeline.quality.active_share == round((20 - 5.75) / 20, 4)
    assert timeline.quality.repeated_text_share == round(1 - 2 / 3, 4)


@pytest.mark.parametrize(
    ("segments", "expected", "rule"),
    [
        ([said(8, 0), said(8, 20)], [(0, 8, True), (8, 20, True)], "swapped"),
        ([said(-2, 8), said(8, 20)], [(0, 8, True), (8, 20, True)], "clamped_start"),
        ([said(0, 8), said(8, 25)], [(0, 8, True), (8, 20, True)], "clamped_end"),
        ([said(0, 8), said(8, 8), said(8, 20)], [(0, 8, True), (8, 20, True)], "dropped_empty"),
        ([said(0, 20), said(21, 25)], [(0, 20, True)], "dropped_empty"),
        ([said(8, 20), said(0, 8)], [(0, 8, True), (8, 20, True)], "reordered"),
        ([said(0, 8), said(0, 8), said(8, 20)], [(0, 8, True), (8, 20, True)], "dropped_duplicate"),
        ([said(0, 10), said(8, 20)], [(0, 8, True), (8, 20, True)], "trimmed_overlap"),
        ([said(0, 20), said(8, 12, None)], [(0, 8, True), (8, 12, False), (12, 20, True)], "split_contained"),
        ([said(0, 20), said(8, 19.5, None)], [(0, 8, True), (8, 20, False)], "trimmed_overlap"),
        ([said(0, 8), said(0, 20, None)], [(0, 8, True), (8, 20, False)], "trimmed_overlap"),
        ([said(0, 20, None), said(0, 8)], [(0, 8, True), (8, 20, False)], "trimmed_overlap"),
        ([said(0, 20, None), said(0, 8), said(8, 20)], [(0, 8, True), (8, 20, True)], "dropped_overlap"),
        ([said(0, 20), said(0, 20, "sweep")], [(0, 20, True)], "dropped_overlap"),
        ([said(0, 8), said(9, 20)], [(0, 9, True), (9, 20, True)], "closed_gap"),
        ([said(0.5, 8), said(8, 20)], [(0, 8, True), (8, 20, True)], "closed_gap"),
        ([said(0, 8), said(8, 19)], [(0, 8, True), (8, 20, True)], "closed_gap"),
        ([said(0, 8), said(8, 19.5)], [(0, 8, True), (8, 20, True)], "closed_gap"),
        ([said(0, 8), said(9.001, 20)], [(0, 8, True), (8, 9.001, False), (9.001, 20, True)], "filled_gap"),
        ([said(2, 8), said(8, 20)], [(0, 2, False), (2, 8, True), (8, 20, True)], "filled_gap"),
        ([said(0, 8), said(8, 15)], [(0, 8, True), (8, 15, True), (15, 20, False)], "filled_gap"),
        ([said("0", "00:08"), said("8.0s", 20)], [(0, 8, True), (8, 20, True)], "parsed_time"),
        ([said(0, 8.00049), said(8, 20)], [(0, 8, True), (8, 20, True)], "rounded_time"),
        ([{"t_start_s": 0, "t_end_s": 20, "objects": [], "ecot": None}], [(0, 20, False)], "inferred_active"),
        ([said(0, 20, active="True")], [(0, 20, True)], "parsed_active"),
        ([{**said(0, 20), "ecot": "turn"}], [(0, 20, True)], "dropped_ecot"),
        ([said(0, 20, active=False)], [(0, 20, False)], "idle_with_ecot"),
        ([said(0, 20, mood="good")], [(0, 20, True)], "dropped_keys"),
        ([said(0, 20, objects=None)], [(0, 20, True)], "normalised_objects"),
        ([said(0, 20, objects=["knife"])], [(0, 20, True)], "normalised_object"),
        ([said(0, 20, objects=[5])], [(0, 20, True)], "dropped_bad_object"),
        ([said(0, 20, "turn \ud800")], [(0, 20, True)], "cleaned_text"),
        ([said(0, 20, action_id=7)], [(0, 20, True)], "renumbered"),
    ],
)
def test_each_rule(segments: list[dict[str, object]], expected: list[tuple[float, float, bool]], rule: str) -> None:
    timeline = repair(numbered(*segments))
    assert spans(timeline) == expected
    assert rule in rules(timeline)


@pytest.mark.parametrize(
    "bad",
    [
        None, 7, "text", [], {}, {"t_start_s": 1}, said(None, 3), said(True, 3), said(float("nan"), 3),
        said("soon", 3), said(1, 10**400), said([1], 2), said("00:75", 80),
    ],
)  # fmt: skip
def test_unusable_segments_are_dropped_with_their_content(bad: object) -> None:
    timeline = repair([*CLEAN, bad])
    assert rules(timeline) == ["dropped_bad_segment"]
    assert timeline.repairs[0].segment == 5
    assert spans(timeline) == spans(repair(CLEAN))


def test_the_same_start_is_no_disorder() -> None:
    assert "reordered" not in rules(repair(numbered(said(0, 8), said(0, 20, None))))


def test_repairs_say_before_and_after() -> None:
    timeline = repair(numbered(said(0, 10), said(8, 25), said(3, 3)))
    assert [(entry.segment, entry.rule, entry.before, entry.after) for entry in timeline.repairs[:1]] == [
        (2, "clamped_end", 25.0, 20.0)
    ]
    trimmed = next(entry for entry in timeline.repairs if entry.rule == "trimmed_overlap")
    assert (trimmed.segment, trimmed.before, trimmed.after) == (1, [0.0, 10.0], [0.0, 8.0])
    empty = next(entry for entry in timeline.repairs if entry.rule == "dropped_empty")
    assert isinstance(empty.before, dict)
    assert empty.before["t_start_s"] == 3


def test_inserted_segments_are_marked_and_following_ones_renumbered() -> None:
    timeline = repair(numbered(said(0, 5), said(10, 20)))
    assert [timeline.flags[number].inferred for number in (1, 2, 3)] == [False, True, False]
    assert [timeline.flags[number].source for number in (1, 2, 3)] == [1, None, 2]
    filled, renumbered = timeline.repairs
    assert (filled.segment, filled.rule, filled.before, filled.after) == (None, "filled_gap", None, [5.0, 10.0])
    assert (renumbered.segment, renumbered.before, renumbered.after) == (2, 2, 3)
    assert timeline.quality.inferred_share == 0.25
    assert timeline.quality.fixes == 1


def test_no_usable_segment_is_told_apart() -> None:
    timeline = repair([{}, 5])
    assert spans(timeline) == [(0, 20, False)]
    assert timeline.said == 0
    assert timeline.flags[1].inferred
    assert timeline.needs_review
    assert repair([]).said == 0


def test_flags() -> None:
    idle_with = said(0, 8, None, objects=[{"object_name": "cup", "bbox": None, "rigid": None}])
    timeline = repair(numbered(idle_with, said(8, 12, objects=[], ecot=None), said(12, 12.5), said(12.5, 20)))
    assert timeline.flags[1].review == ("idle_with_objects",)
    assert timeline.flags[2].review == ("active_without_objects", "active_without_ecot")
    assert timeline.flags[3].review == ("shorter_than_step",)
    assert timeline.flags[4].review == ()
    assert timeline.segments[0].objects[0].object_name == "cup"
    assert not timeline.needs_review


def test_box_time_is_the_sampled_frame_nearest_to_the_middle() -> None:
    timeline = repair(numbered(said(0, 8.6), said(8.6, 20, None)), boxes=PIXELS)
    assert timeline.flags[1].bbox_t_s == 4.0
    assert timeline.flags[2].bbox_t_s is None
    assert timeline.flags[1].model_boxes == ((10, 10, 40, 40),)
    assert timeline.segments[0].objects[0].bbox == (10.18, 10.16, 40.71, 40.63)


def test_box_time_outside_a_cut_segment_is_flagged() -> None:
    timeline = repair(numbered(said(0, 16), said(4, 20)))
    assert timeline.flags[1].bbox_t_s == 8.0
    assert timeline.flags[1].review == ("box_time_outside_segment",)


def test_boxes_of_a_split_segment_stay_where_they_were_seen() -> None:
    timeline = repair(numbered(said(0, 20), said(2, 6, None)))
    first, _, last = timeline.segments
    assert first.objects[0].bbox is None
    assert first.objects[0].object_name == "bolt"
    assert last.objects[0].bbox == (10, 10, 40, 40)
    assert timeline.flags[1].model_boxes == (None,)
    assert "moved_boxes" in rules(timeline)


def test_other_keys_of_the_model_family() -> None:
    item = {"label": "bolt", "bbox_2d": [10, 10, 40, 40], "rigid": True}
    timeline = repair(numbered({**said(0, 20), "objects": [item]}))
    assert rules(timeline) == ["renamed_key", "renamed_key"]
    assert timeline.segments[0].objects[0].object_name == "bolt"
    assert timeline.segments[0].objects[0].bbox == (10, 10, 40, 40)


def test_start_and_end_under_other_names() -> None:
    raw: list[object] = [{"action_id": 1, "start": 0, "end": 20, "active": False, "objects": [], "ecot": None}]
    assert rules(repair(raw)) == ["renamed_key", "renamed_key"]


@pytest.mark.parametrize(
    ("segments", "code"),
    [
        ([said(0, 17), said(17, 20)], "one_segment_covers_most"),
        ([said(k, k + 1, f"step {k}") for k in range(20)], "too_many_segments"),
        ([said(k * 4, k * 4 + 4) for k in range(5)], "repeated_description"),
        ([said(k * 4, k * 4 + 4, f"step {k}") for k in range(5)], "times_on_a_grid"),
        ([said(0, 9)], "low_coverage"),
    ],
)
def test_warnings_ask_for_review(segments: list[dict[str, object]], code: str) -> None:
    timeline = repair(numbered(*segments))
    assert code in [warning.code for warning in timeline.warnings]
    assert timeline.needs_review


def test_every_second_sample_is_no_suspicious_grid() -> None:
    timeline = repair(numbered(*[said(start, end, f"a{start}") for start, end in pairwise([0, 2, 6, 10, 12, 20])]))
    assert timeline.warnings == ()
    few = repair(numbered(said(0, 6, "a"), said(6, 12, "b"), said(12, 20, "c")))
    assert few.warnings == ()


def test_true_duration_is_never_exceeded() -> None:
    timeline = repair(numbered(said(0, 59.9999)), duration_s=59.9996)
    assert timeline.duration_s == timeline.segments[-1].t_end_s == 59.999
    for duration_s in (30.03, 1.001):  # the second, times 1000, is 1000.9999…
        assert repair(numbered(said(0, duration_s)), duration_s=duration_s).repairs == ()
    for no_duration_s in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(PipelineError):
            repair_segments([], no_duration_s, sampling_step_s=1.0, boxes=OWN)


def test_noise_of_floating_point_is_no_fix() -> None:
    assert rules(repair(numbered(said(0, 0.1 + 0.2), said(0.3, 20)))) == []


def test_many_segments_within_one_are_resolved_quickly() -> None:
    inner = [said(k + 0.25, k + 0.5, f"pick {k}") for k in range(3000)]
    timeline = repair(numbered(said(0, 3000), *inner), duration_s=3000.0, step_s=0.1)
    assert len(timeline.segments) == 6001
    backwards = repair(numbered(*reversed(inner)), duration_s=3000.0)
    assert rules(backwards).count("reordered") == 2999


# Floats by the thousandth, so that borders meet; odd values among them.
grid = st.integers(-3000, 25_000).map(lambda ms: ms / 1000)
odd = st.sampled_from([None, True, "12", "00:12", "3.5s", "x", float("nan"), float("inf"), 10**400, [], {}])
loose = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
any_object = loose | st.fixed_dictionaries(
    {}, optional={"object_name": loose, "label": loose, "bbox": st.lists(grid, max_size=5) | loose, "rigid": loose}
)
any_segment = st.fixed_dictionaries(
    {"t_start_s": grid | st.floats() | odd, "t_end_s": grid | odd},
    optional={
        "action_id": loose,
        "active": st.booleans() | loose,
        "objects": st.lists(any_object, max_size=3) | loose,
        "ecot": st.fixed_dictionaries({}, optional={"scene": loose, "subtask": st.text(max_size=4)}) | loose,
        "more": loose,
    },
)
plain_segment = st.builds(said, grid, grid, st.sampled_from([None, "a", "b"]))


@given(st.lists(any_segment | plain_segment | loose, max_size=8), st.floats(0.001, 30), st.sampled_from([0.25, 1.0]))
@example([said(0, 5), said(0, 5, None), said(0, 6), said(1, 5), said(1, 1.2)], 5.4321, 1.0)
def test_any_input_gives_a_cover(raw: list[object], duration_s: float, step_s: float) -> None:
    timeline = repair(raw, duration_s, step_s, PIXELS)
    assert timeline.segments[0].t_start_s == 0
    assert timeline.segments[-1].t_end_s == timeline.duration_s
    assert duration_s - 0.001 < timeline.duration_s <= duration_s + 1e-6
    assert all(earlier.t_end_s == later.t_start_s for earlier, later in pairwise(timeline.segments))
    assert [segment.action_id for segment in timeline.segments] == [*range(1, len(timeline.segments) + 1)]
    assert list(timeline.flags) == [segment.action_id for segment in timeline.segments]

    again = repair([segment.model_dump() for segment in timeline.segments], timeline.duration_s, step_s, OWN)
    assert again.segments == timeline.segments
    assert again.repairs == ()


@given(st.lists(any_segment | plain_segment | loose, max_size=8))
def test_nothing_is_lost_without_a_record(raw: list[object]) -> None:
    timeline = repair(raw)
    kept = {timeline.flags[segment.action_id].source for segment in timeline.segments} - {None}
    dropped = {entry.segment for entry in timeline.repairs if entry.rule.startswith("dropped_")}
    assert kept | dropped >= set(range(1, len(raw) + 1))
    assert timeline.said == len(kept)
    for segment in timeline.segments:
        source = timeline.flags[segment.action_id].source
        touched = {entry.rule for entry in timeline.repairs if entry.segment == source}
        if source is None:
            assert any(entry.after == [segment.t_start_s, segment.t_end_s] for entry in timeline.repairs)
        elif not touched - {"renumbered"}:
            original = raw[source - 1]
            assert isinstance(original, dict)
            ours = segment.model_dump(mode="json")
            assert (ours["t_start_s"], ours["t_end_s"]) == pytest.approx((original["t_start_s"], original["t_end_s"]))
            assert [ours[key] for key in ("active", "ecot")] == [original[key] for key in ("active", "ecot")]
            assert len(ours["objects"]) == len(original["objects"])


@given(st.lists(plain_segment, max_size=10))
def test_the_latest_start_speaks_at_any_time(raw: list[dict[str, object]]) -> None:
    """The overlap rule, told without sheets: at each moment the segment that started last, then the shortest."""
    step_s = 0.001
    timeline = repair(list(raw), 20.0, step_s)
    read = []
    for number, segment in enumerate(raw, 1):
        start, end = sorted((float(str(segment["t_start_s"])), float(str(segment["t_end_s"]))))
        start, end = max(start, 0.0), min(end, 20.0)
        if start < end:
            read.append((start, end, number))
    for piece in timeline.segments:
        if piece.t_end_s - piece.t_start_s <= 2 * step_s:
            continue  # within the tolerance of closed gaps
        moment = (piece.t_start_s + piece.t_end_s) / 2
        here = [item for item in read if item[0] <= moment < item[1]]
        winner = max(here, key=lambda item: (item[0], -item[1], -item[2]))[2] if here else None
        assert timeline.flags[piece.action_id].source == winner


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (3, 3), (2.5, 2.5), ("12", 12), (" 12.50 ", 12.5), ("12.0s", 12), ("12 sec", 12), ("12 seconds", 12),
        ("00:12", 12), ("1:02:03.5", 3723.5), ("<12.0 seconds>", 12), ("-1", -1), (".5", 0.5), ("90:00", 5400),
        (True, None), (None, None), ("", None), ("1,5", None), ("1:75", None), ("1:75:00", None), ("twelve", None),
        ("1e3", None), (float("nan"), None), (float("inf"), None), (10**400, None), ("9" * 5000, None), ("٣", None),
    ],
)  # fmt: skip
def test_times_in_words(value: object, seconds: float | None) -> None:
    assert parse_time(value) == seconds


def test_seconds_text() -> None:
    assert [seconds_text(value) for value in (0, 20, 59.993333, 1.5)] == ["0", "20", "59.993", "1.5"]
