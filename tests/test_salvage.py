"""Whole objects out of answers that were cut off, dressed up or made to break the reader."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ops.timeline.salvage import salvage

DOCUMENT = [
    {
        "action_id": number,
        "t_start_s": number * 2 - 2,
        "t_end_s": number * 2,
        "active": True,
        "objects": [{"object_name": 'a "part" [left] {2}', "bbox": [1, 2, 30, 40], "rigid": True}],
        "ecot": {"scene": "[t_start_s]", "subtask": "täglich ✂", "motion": "\\", "prediction": "]"},
    }
    for number in range(1, 5)
]
COMPACT = json.dumps(DOCUMENT, separators=(",", ":"), ensure_ascii=False)
WRAPPINGS = {
    "bare": ("", ""),
    "fence": ("```json\n", "\n```"),
    "prose with brackets": ('I see [2] persons [{...}] and {"a": [1]}, so:\n', "\nDone [1]."),
    "wrapper": ('{"segments": ', "}"),
    "wrapper with more before": ('{"clip": "x", "seen": [{"object_name": "y"}], "segments": ', "}"),
}


@pytest.mark.parametrize("name", WRAPPINGS)
@pytest.mark.parametrize("indent", [None, 1])
def test_every_cut_gives_a_prefix_of_whole_objects(name: str, indent: int | None) -> None:
    before, after = WRAPPINGS[name]
    document = json.dumps(DOCUMENT, indent=indent, ensure_ascii=False)
    text = before + document + after
    counts = []
    for cut in range(len(text) + 1):
        found = salvage(text[:cut])
        assert list(found.objects) == DOCUMENT[: len(found.objects)]
        assert (found.state == "complete") <= (len(found.objects) in (0, len(DOCUMENT)))
        if cut >= len(before) + len(document):
            assert found.state == "complete"
        counts.append(len(found.objects))
    assert counts == sorted(counts)
    assert counts[-1] == len(DOCUMENT)
    # Each object counts as soon as its last character is there.
    ends = [len(before) + document.index(f'"action_id": {number}') for number in range(2, 5)]
    assert [counts[end] for end in ends] == [1, 2, 3]


def test_states() -> None:
    assert salvage("").state == "none"
    assert salvage("no array here").state == "none"
    assert salvage("[]") == salvage("```json\n[ ]\n```")
    assert salvage("[]").state == "complete"
    assert salvage("[").state == "truncated"
    assert salvage(COMPACT[:20]).state == "truncated"
    assert salvage(COMPACT[:-1]).state == "truncated"
    assert salvage(COMPACT).trailing_chars == 0
    assert salvage(COMPACT + "\n```\n").trailing_chars == 0
    assert salvage(COMPACT + COMPACT).trailing_chars == len(COMPACT)


def test_an_object_list_inside_a_broken_segment_is_not_the_list_of_segments() -> None:
    broken = COMPACT.replace('"active":true', '"active":True', 1)
    assert salvage(broken).objects == ()
    assert salvage(COMPACT[: COMPACT.index('"ecot"') + 9]).objects == ()
    assert salvage('{"t_start_s":0,"t_end_s":1,"objects":[{"object_name":"a"}],"ecot":{"sc').objects == ()


def test_times_inside_a_broken_segment_are_not_segments() -> None:
    assert salvage('[{"t_start_s":0,"steps":[{"t_start_s":0,"t_end_s":1}],"active":True}]').objects == ()


def test_the_first_array_of_segments_counts() -> None:
    text = "{oops} " + COMPACT + ' {"segments":[{"t_start_s":9,"t_end_s":10}]}'
    assert list(salvage(text).objects) == DOCUMENT


def test_broken_in_the_middle_keeps_what_stood_before() -> None:
    second = COMPACT.index('"action_id":3')
    found = salvage(COMPACT[:second] + "oops " + COMPACT[second:])
    assert (len(found.objects), found.state) == (2, "truncated")


def test_example_in_prose_loses_against_segments() -> None:
    text = 'Objects: [{"object_name": "knife"}]. Segments: ' + COMPACT
    assert list(salvage(text).objects) == DOCUMENT


def test_objects_without_an_array() -> None:
    one = json.dumps(DOCUMENT[0])
    assert salvage(one).objects == (DOCUMENT[0],)
    assert salvage("Here: " + one + "\n" + json.dumps(DOCUMENT[1]) + ",").objects == tuple(DOCUMENT[:2])
    cut = salvage(one + "\n" + one[:40])
    assert (cut.objects, cut.state) == ((DOCUMENT[0],), "truncated")


def test_other_items_between_objects_are_passed_on() -> None:
    found = salvage('[{"t_start_s":0,"t_end_s":1}, 7, null, {"t_start_s":1,"t_end_s":2}]')
    assert found.objects[1:3] == (7, None)
    assert len(salvage('[{"t_start_s":0,"t_end_s":1}, 7').objects) == 1


@pytest.mark.parametrize(("before", "after"), [("[", "]"), ('{"segments":[', "]}")])
def test_keys_that_stand_twice_are_reported(before: str, after: str) -> None:
    found = salvage(before + '{"t_start_s":0,"t_end_s":1},{"t_start_s":1,"t_end_s":2,"t_end_s":3}' + after)
    assert found.objects[1] == {"t_start_s": 1, "t_end_s": 3}
    assert [(twice.item, twice.key, twice.first, twice.kept) for twice in found.duplicates] == [(1, "t_end_s", 2, 3)]


def test_odd_values_do_not_stop_the_reader() -> None:
    text = '[{"t_start_s":NaN,"t_end_s":-Infinity,"a":1e999,"b":' + "9" * 6000 + ',"c":"\\ud800\n"}]'
    found = salvage(text)
    assert found.state == "complete"
    assert found.objects[0]["b"] == float("inf")  # type: ignore[index]


@pytest.mark.parametrize(
    "unit", ["[", "{", "[{", '[{"', '[{"a":', '{"segments":[', '[{"t_start_s":1},', "[,", '"segments":[{', "[{},", "{}"]
)
def test_time_grows_with_the_text_only(unit: str) -> None:
    def seconds(size: int) -> float:
        text = unit * (size // len(unit))
        start = time.process_time()
        salvage(text)
        return time.process_time() - start

    assert seconds(1_000_000) < 10
    assert seconds(400_000) < 20 * seconds(50_000) + 0.2  # 8 times the text; a square would be 64 times


@given(st.text(alphabet='[]{}",:\\ \n`0-9aetNulrsI.', max_size=200) | st.text(max_size=100))
def test_any_text(text: str) -> None:
    found = salvage(text)
    assert found.state in ("complete", "truncated", "none")
    assert found.state != "none" or not found.objects


@given(st.text(alphabet='[{",: \n]}', max_size=20), st.integers(0, len(COMPACT)), st.text(max_size=20))
def test_noise_around_a_cut_document(before: str, cut: int, after: str) -> None:
    salvage(before + COMPACT[:cut] + after)


@given(st.lists(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.booleans(), max_size=4)))
def test_any_array_of_objects_is_read_back(items: list[dict[str, object]]) -> None:
    found = salvage(json.dumps(items))
    assert list(found.objects) == items
