"""The scan of a relations file gives what json gives, with the place of each take, whatever the window's size."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import PipelineError
from pipeline.ops.egoexo import relations_scan
from pipeline.ops.egoexo.relations_scan import ScannedTake, scan_relations

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


def scan(file: Path, content: bytes | str, window_bytes: int = 1 << 20) -> list[ScannedTake]:
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relations_scan, "WINDOW_BYTES", window_bytes)
        return list(scan_relations(file))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    takes=st.dictionaries(st.text(max_size=6), VALUES, max_size=5),
    others=st.dictionaries(st.sampled_from(["version", "ünits", "date"]), VALUES),
    annotations_first=st.booleans(),
    indent=st.sampled_from([None, 1]),
    escaped=st.booleans(),
    window_bytes=st.integers(1, 40),
)
def test_is_what_json_reads(
    tmp_path: Path,
    takes: dict[str, Any],
    others: dict[str, Any],
    annotations_first: bool,
    indent: int | None,
    escaped: bool,
    window_bytes: int,
) -> None:
    document = {"annotations": takes, **others} if annotations_first else {**others, "annotations": takes}
    raw = json.dumps(document, indent=indent, ensure_ascii=escaped).encode()
    scanned = scan(tmp_path / "r.json", raw, window_bytes)
    assert {take.take_uid: take.content for take in scanned} == takes
    assert [take.take_uid for take in scanned] == list(takes)
    for take in scanned:
        part = raw[take.offset_bytes : take.offset_bytes + take.size_bytes]
        assert json.loads(part) == take.content
        assert hashlib.sha256(part).hexdigest() == take.sha256


@pytest.mark.parametrize("number", ["-1.25e+16", "120", "-0.5", "1E5", "2e-7"])
@pytest.mark.parametrize("window_bytes", range(1, 40))
def test_numbers_at_the_edge_of_the_window(tmp_path: Path, number: str, window_bytes: int) -> None:
    content = f'{{"v": {number}, "annotations": {{"u": {number}, "w": [{number}]}}, "x": {number}}}'
    scanned = scan(tmp_path / "r.json", content, window_bytes)
    assert [take.content for take in scanned] == [float(number), [float(number)]]


def test_a_uid_that_stands_there_twice_comes_twice(tmp_path: Path) -> None:
    scanned = scan(tmp_path / "r.json", '{"annotations": {"a": {"x": 1}, "b": {}, "a": {"x": 2}}}')
    assert [(take.take_uid, take.content) for take in scanned] == [("a", {"x": 1}), ("b", {}), ("a", {"x": 2})]


@pytest.mark.parametrize("window_bytes", [1, 7, 1000])
def test_cut_off_anywhere_is_an_error(tmp_path: Path, window_bytes: int) -> None:
    whole = json.dumps({"a": [1, True], "annotations": {"ü1": {"n": "é\\", "k": [1.5, {}]}, "u2": {}}}).encode()
    assert len(scan(tmp_path / "whole.json", whole, window_bytes)) == 2
    for size in range(len(whole)):
        with pytest.raises(PipelineError, match="damaged or no relations file"):
            scan(tmp_path / "cut.json", whole[:size], window_bytes)


@pytest.mark.parametrize("window_bytes", [1, 5, 1000])
@pytest.mark.parametrize(
    ("content", "place", "said"),
    [
        (b'{"annotations": {"u1": {"a": 1}, "u2": {"a" 2}}}', 44, "delimiter in take u2"),
        (b'{"annotations": {"u1": {"a": tru_}}}', 29, "Expecting value in take u1"),
        ('{"annotations": {"ü": {"é": 1,}}}'.encode(), 32, "take ü"),
        (b'{"annotations": {"u1": {}}} x', 28, "something follows"),
        (b'{"annotations": {"u1": "\xff"}}', 24, "not UTF-8"),
        (b'{"annotations": {"u1": {} "u2": {}}}', 26, ", or } was expected, not '\"'"),
        (b'{"annotations": {1: {}}}', 18, "a key in double quotes"),
        (b'{"annotations": [1]}', 16, "{ was expected, not '['"),
        (b'[{"annotations": {}}]', 0, "{ was expected"),
        (b"<html>", 0, "{ was expected"),
    ],
)
def test_damage_is_named_with_its_place(
    tmp_path: Path, content: bytes, place: int, said: str, window_bytes: int
) -> None:
    with pytest.raises(PipelineError) as error:
        scan(tmp_path / "relations_train.json", content, window_bytes)
    assert said in error.value.problem
    found = int(error.value.problem.partition(" at byte ")[2].partition(":")[0])
    assert abs(found - place) <= 1
    assert "relations_train.json" in error.value.problem
    assert "REDO" in error.value.fix or "--redo" in error.value.fix


def test_without_annotations_it_is_no_relations_file(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match='no key "annotations"'):
        scan(tmp_path / "r.json", '{"takes": {}}')
    assert scan(tmp_path / "r.json", '{"annotations": {}}') == []


def test_nesting_without_end_is_damage(tmp_path: Path) -> None:
    deep = "[" * 200_000 + "]" * 200_000
    with pytest.raises(PipelineError, match="take u is nested too deeply"):
        scan(tmp_path / "r.json", f'{{"annotations": {{"u": {deep}}}}}')


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="cannot be read"):
        list(scan_relations(tmp_path / "none.json"))


def test_memory_is_that_of_a_few_takes_and_progress_adds_up(tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    take = json.dumps({"object_masks": {"cup_0": {"cam01": {"annotation": {"0": "m" * 200_000}}}}})
    with file.open("w") as stream:
        stream.write('{"annotations": {')
        stream.writelines(f'{", " if number else ""}"{number}": {take}' for number in range(300))
        stream.write("}}")
    seen: list[float] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relations_scan, "WINDOW_BYTES", 1 << 20)
        tracemalloc.start()
        assert sum(1 for _ in scan_relations(file, seen.append)) == 300
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak_bytes < 8 << 20 < file.stat().st_size / 5
    assert sum(seen) == 300 * len(take)
