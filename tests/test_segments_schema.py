"""What an annotations file may hold."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.ops.timeline.json_values import excerpt
from pipeline.schema.segments import Annotations, BoxSpace, Repair, Segment
from tests.test_parse import WINDOWS, annotate

FILE: dict[str, Any] = json.loads(annotate(*WINDOWS).model_dump_json())


def changed(path: str, value: object) -> str:
    """The valid file with one value replaced; `path` is dotted."""
    file = copy.deepcopy(FILE)
    *parents, last = [int(key) if key.isdigit() and "flags" not in path else key for key in path.split(".")]
    target: Any = file
    for key in parents:
        target = target[key]
    target[last] = value
    return json.dumps(file)


def test_the_file_reads_back() -> None:
    assert Annotations.model_validate_json(json.dumps(FILE)).model_dump(mode="json") == json.loads(json.dumps(FILE))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("segments", []),
        ("segments.0.action_id", 2),
        ("segments.0.t_start_s", 0.5),
        ("segments.0.t_start_s", "0"),
        ("segments.0.t_end_s", 0),
        ("segments.0.t_end_s", 19),
        ("segments.0.active", 1),
        ("segments.0.ecot.mood", "good"),
        ("segments.0.objects.0.bbox", [1, 2, 3]),
        ("segments.0.objects.0.bbox", [3, 2, 1, 4]),
        ("segments.0.objects.0.bbox", [-1, 2, 3, 4]),
        ("segments.0.objects.0.bbox", [1, 2, 457, 4]),
        ("segments.0.objects.0.bbox", [1, 2, 4, 256.5]),
        ("segments.0.objects", []),
        ("segments.2.ecot", {"scene": "a", "subtask": "b", "motion": "c", "prediction": "d"}),
        ("duration_s", 60),
        ("extra", 1),
        ("flags", {}),
        ("flags.1.model_boxes", []),
        ("boxes.size_wh", [0, 256]),
        ("boxes.space", "raw_px"),
        ("boxes.map_digest", None),
        ("quality.active_share", 1.5),
        ("repairs.0.rule", "Two Words"),
        ("provenance.sampling.fps", 0),
    ],
)
def test_what_contradicts_itself_is_refused(path: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Annotations.model_validate_json(changed(path, value))


def test_footage_without_intrinsics() -> None:
    space = BoxSpace(space="raw_px", size_wh=(456, 256), rectified_K=None, map_digest=None, balance=None)
    assert space.space == "raw_px"


def test_an_idle_segment_may_have_objects() -> None:
    Segment.model_validate_json(
        '{"action_id":1,"t_start_s":0,"t_end_s":1,"active":false,'
        '"objects":[{"object_name":null,"bbox":null,"rigid":null}],"ecot":null}'
    )


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(5000).map(lambda power: 10**power),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values)
def test_any_value_of_a_model_fits_into_a_repair(value: object) -> None:
    kept = excerpt(value)
    entry = Repair(segment=1, rule="dropped_bad_segment", before=kept, after=None)
    assert Repair.model_validate_json(entry.model_dump_json()) == entry


def test_excerpts_are_bounded() -> None:
    deep: list[object] = []
    for _ in range(900):
        deep = [deep, "x" * 10_000]
    assert len(json.dumps(excerpt(deep))) < 10_000
    assert len(json.dumps(excerpt({str(index): index for index in range(100_000)}))) < 2_000
    assert excerpt("a\ud800b") == "a\ufffdb"
    assert excerpt("😀") == "😀"
