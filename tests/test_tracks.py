"""Tracks: three states, the ego camera that stands for an object, the frames to keep, and the rule of the pairs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import PipelineError
from pipeline.ops.egoexo.tracks import (
    Track,
    camera_pairs,
    choose_ego,
    pairs_of,
    tracks_of_relations,
    tracks_of_take,
    wanted_frames,
)
from pipeline.schema.egoexo_pairs import SETTINGS, VirtualPath
from pipeline.schema.egoexo_take import LeftOutMask, Rle, TakeAnnotation
from tests.processed_takes import CAM1, CAM2, EGO, KITCHEN, KITCHEN_PAIRS, KITCHEN_TARGETS, relations_of

OTHER_EGO = "aria02_214-1"
RLE = Rle(size=(4, 4), counts="04<")


def track(present: tuple[int, ...], absent: tuple[int, ...] = ()) -> Track:
    return Track(present, frozenset(absent))


def subtree(present: list[int], annotated: list[int]) -> dict[str, Any]:
    return {"annotation": {str(frame): {} for frame in present}, "annotated_frames": annotated}


def test_three_states() -> None:
    seen = tracks_of_relations({"mug_0": {EGO: subtree([30], [0, 30])}})["mug_0"][EGO]
    assert [seen.state(frame) for frame in (0, 30, 60)] == ["absent", "present", "unannotated"]
    assert seen.annotated == {0, 30}


def test_a_mask_counts_even_if_annotated_frames_forgets_it() -> None:
    seen = tracks_of_relations({"mug_0": {EGO: subtree([30, 90], [0]), CAM1: {"annotation": {"5": {}}}}})["mug_0"]
    assert seen[EGO] == track((30, 90), (0,)) and seen[CAM1] == track((5,))


def test_frames_count_up_as_numbers() -> None:
    seen = tracks_of_relations({"mug_0": {EGO: subtree([0, 120, 150, 30, 1000], [])}})["mug_0"][EGO]
    assert seen.present == (0, 30, 120, 150, 1000)


def test_what_was_left_out_of_a_take_keeps_its_meaning() -> None:
    object_masks = {"mug_0": {EGO: subtree([0, 30, 60, 90], [0, 30, 60, 90, 120])}}
    annotation = TakeAnnotation(
        scenario="", take_name="", object_masks=object_masks, masks={"mug_0": {EGO: {"0": RLE}}}, subsample_idx=[]
    )
    left_out = [
        LeftOutMask(object="mug_0", camera=EGO, frame=frame, reason=reason)
        for frame, reason in ((30, "empty"), (60, "damaged"), (90, "wrong_size"))
    ]
    seen = tracks_of_take(annotation, left_out)["mug_0"][EGO]
    states = [seen.state(frame) for frame in (0, 30, 60, 90, 120, 150)]
    assert states == ["present", "absent", "unannotated", "unannotated", "absent", "unannotated"]


def test_the_ego_camera_is_the_one_that_shares_most_frames() -> None:
    cameras = {EGO: track((0,), (30,)), OTHER_EGO: track((0, 30), (60,)), CAM1: track((30,), (0, 60))}
    egos = [EGO, OTHER_EGO]
    assert choose_ego(cameras, egos, [CAM1]) == OTHER_EGO
    assert choose_ego(cameras, egos, []) == EGO  # nothing to share: by name
    assert choose_ego(cameras | {EGO: cameras[OTHER_EGO]}, egos[::-1], [CAM1]) == EGO
    assert choose_ego({CAM1: cameras[CAM1]}, egos, [CAM1]) is None


def test_an_object_needs_an_ego_and_an_exo_camera() -> None:
    tracks = tracks_of_relations(relations_of(KITCHEN))
    assert list(camera_pairs(tracks, [EGO], [CAM1, CAM2])) == [
        ("salt/pepper shaker_0", EGO, CAM1),
        ("salt/pepper shaker_0", EGO, CAM2),
        ("cutting board _0", EGO, CAM1),
        ("Oil bottle_12", EGO, CAM2),
    ]


def test_wanted_frames_are_the_annotated_ones_and_those_of_the_other_view() -> None:
    wanted = wanted_frames(tracks_of_relations(relations_of(KITCHEN)), [EGO], [CAM1, CAM2])
    # ego: its own 0 … 120, and cam02's 150 of the shaker; cam01's 120 is its own; cam02: 120 of the ego's shaker.
    assert wanted == {EGO: [0, 30, 60, 90, 120, 150], CAM1: [0, 30, 60, 90, 120], CAM2: [0, 30, 60, 90, 120, 150]}
    tracks = {"mug_0": {EGO: track((7,)), CAM1: track((), (9,)), "unknown": track((1,))}}
    assert wanted_frames(tracks, [EGO], [CAM1]) == {EGO: [7], CAM1: [7, 9]}


def test_the_rule_of_the_pairs() -> None:
    tracks = tracks_of_relations(relations_of(KITCHEN))
    for setting in SETTINGS:
        pairs = list(pairs_of(tracks, [EGO], [CAM1, CAM2], setting))
        assert len(pairs) == KITCHEN_PAIRS[setting]
        assert Counter(pair.target for pair in pairs) == KITCHEN_TARGETS[setting]


FRAMES = st.sets(st.integers(0, 20), max_size=8)
TRACKS = st.dictionaries(
    st.sampled_from(["a_0", "b/c_0", "d _1"]),
    st.dictionaries(
        st.sampled_from([EGO, OTHER_EGO, CAM1, CAM2]),
        st.tuples(FRAMES, FRAMES).map(lambda sets: track(tuple(sorted(sets[0])), tuple(sets[1] - sets[0]))),
    ),
)


@given(TRACKS)
def test_pairs_against_the_rule_in_words(tracks: dict[str, dict[str, Track]]) -> None:
    """Their number is the source camera's masks, summed over objects and exo cameras, and each picture is wanted."""
    egos, exos = [EGO, OTHER_EGO], [CAM1, CAM2]
    wanted = wanted_frames(tracks, egos, exos)
    for setting in SETTINGS:
        expected = 0
        for cameras in tracks.values():
            ego = choose_ego(cameras, egos, exos)
            for camera in (camera for camera in cameras if camera in exos and ego):
                expected += len(cameras[ego if setting == "egoexo" else camera].present)  # type: ignore[index]
        pairs = list(pairs_of(tracks, egos, exos, setting))
        assert len(pairs) == expected == len(set(pairs))
        for pair in pairs:
            assert pair.frame in wanted[pair.ego_camera] and pair.frame in wanted[pair.exo_camera]


@given(
    st.text(min_size=1).filter(lambda name: "//" not in name),
    st.sampled_from(["output_dir_x", "/abs/output_dir_x", "output_dir_x/", "//odd//place/"]),
    st.integers(0, 10**6),
)
def test_a_path_is_read_as_it_was_written(name: str, data_dir: str, frame: int) -> None:
    text = "//".join((data_dir, "uid", EGO, name, "mask", str(frame)))
    parsed = VirtualPath.parse(text, data_dir)
    assert (parsed.data_dir, parsed.take_uid, parsed.camera) == (data_dir, "uid", EGO)
    assert (parsed.object, parsed.kind, parsed.frame) == (name, "mask", frame)
    if not data_dir.endswith("/"):
        assert str(parsed) == text
        assert VirtualPath.parse(text) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a//b//c",
        "d//t//c//o//rgb//x",
        "d//t//c//o//depth//1",
        "d//t//c//rgb//1",
        "d//t//c//o//rgb//-1",
        "d//t//c//o//rgb//²",
    ],
)
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(PipelineError, match="is no path"):
        VirtualPath.parse(text)


@pytest.mark.parametrize(
    "fields",
    [("d//e", "t", "c", "o"), ("d/", "t", "c", "o"), ("d", "t", "c", "o//p"), ("d", "t", "c", ""), ("", "t", "c", "o")],
)
def test_what_no_path_can_hold_is_not_written(fields: tuple[str, str, str, str]) -> None:
    with pytest.raises(PipelineError, match="cannot be a field"):
        str(VirtualPath(*fields, "rgb", 0))
