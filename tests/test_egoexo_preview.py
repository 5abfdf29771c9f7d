"""egoexo-preview: the same object in the same colour in both views, its states in words, moments worth looking at."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.config_egoexo import PreviewKnobs
from pipeline.console import Console
from pipeline.ops.egoexo.moments import choose_moments, most_seen
from pipeline.ops.egoexo.tracks import Track, tracks_of_relations
from pipeline.ops.pictures.outlines import COLOURS, Outline, borders, outlined, pen_of, shown_name
from pipeline.ops.pictures.take_sheet import VIEW_HEIGHT, View, take_sheet
from pipeline.phases import phase
from pipeline.runner import Summary, run_phase
from pipeline.schema.base import read_model
from pipeline.schema.manifest import Manifest
from tests.processed_takes import CAM1, CAM2, EGO, KITCHEN, VAL_1, Made, relations_of, small_dataset, write_take

NAME = "toy"
UNIT = f"{NAME}/{VAL_1}"
GREY = np.full((120, 160, 3), 128, np.uint8)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return small_dataset(tmp_path, NAME)


def preview(made: Made, **knobs: Any) -> Summary:
    return run_phase(phase("egoexo-preview"), [UNIT], PreviewKnobs(**knobs), made.paths, Console())


def sheet_of(made: Made) -> np.ndarray:
    return cv2.imread(str(made.paths.take_preview(NAME, VAL_1)))[..., ::-1].astype(int)


def manifest_of(made: Made) -> Manifest:
    return read_model(made.paths.manifest("egoexo-preview", UNIT), Manifest, "")


def again(made: Made, objects: Any, **more: Any) -> None:
    """The val take made anew with these objects."""
    shutil.rmtree(made.paths.take_dir(NAME, VAL_1))
    write_take(made.paths, NAME, VAL_1, objects, **more)


def near(picture: np.ndarray, colour: tuple[int, int, int], distance: int = 30) -> np.ndarray:
    return np.abs(picture.astype(int) - colour).max(-1) < distance


def disc(x: int, y: int, radius: int) -> np.ndarray:
    mask = np.zeros((120, 160), np.uint8)
    cv2.circle(mask, (x, y), radius, 1, -1)
    return mask


def test_a_sheet_is_made_for_a_take(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    assert preview(made).is_good
    sheet = sheet_of(made)
    assert sheet.shape[0] > 4 * VIEW_HEIGHT and sheet.shape[1] == VIEW_HEIGHT + 2 * 720 + 2 * 10
    counts = manifest_of(made).made
    assert (counts["moments"], counts["views"]) == (4, 3) and counts["masks"] > 8
    assert f"{VAL_1}.jpg" in capsys.readouterr().err


def test_each_object_has_its_colour_in_every_view(made: Made) -> None:
    seen = {EGO: ([0, 30], []), CAM1: ([0, 30], [])}
    again(made, relations_of({"one_0": seen, "two_0": seen}))
    assert preview(made, rows=2).is_good
    sheet = sheet_of(made)
    ego, exo = sheet[:, :VIEW_HEIGHT], sheet[:, VIEW_HEIGHT + 10 :]
    for number in (0, 1):
        for view in (ego, exo):
            assert near(view[100:], COLOURS[number]).sum() > 200
    assert near(ego[100:], COLOURS[3]).sum() < near(ego[100:], COLOURS[0]).sum() / 4


def test_the_outline_runs_along_the_mask() -> None:
    drawn = outlined(GREY, [Outline("mug_0", pen_of(1), disc(100, 70, 30))], 320)
    assert drawn.shape == (240, 320, 3)
    ys, xs = np.nonzero(near(drawn, COLOURS[1], 8)[110:])
    distance = np.hypot(xs - 200, ys + 110 - 140)
    assert np.all(np.abs(distance - 60) < 4) and len(xs) > 150
    assert np.array_equal(drawn[138:142, 198:202], np.full((4, 4, 3), 128))


def test_holes_and_parts_are_outlined_and_an_empty_mask_is_not() -> None:
    ring = disc(60, 60, 40) - disc(60, 60, 20)
    assert len(borders(ring)) == 2 and len(borders(np.maximum(ring, disc(140, 20, 8)))) == 3
    for line in borders(ring):
        assert np.array_equal(line[0], line[-1])
    assert borders(np.zeros((9, 9), np.uint8)) == []
    empty = Outline("x", pen_of(0), np.zeros((120, 160), np.uint8))
    assert np.array_equal(outlined(GREY, [empty], 160), GREY)


def test_masks_may_be_of_another_size_than_the_picture() -> None:
    small, large = disc(100, 70, 30), cv2.resize(disc(100, 70, 30), (960, 720), interpolation=cv2.INTER_NEAREST)
    of_small, of_large = (
        near(outlined(GREY, [Outline("m", pen_of(0), mask)], 640), COLOURS[0]) for mask in (small, large)
    )
    around = cv2.dilate(of_large.astype(np.uint8), np.ones((9, 9))).astype(bool)
    assert (of_small & around).sum() > 0.95 * of_small.sum()


def test_more_objects_than_colours_are_told_apart_by_dashes() -> None:
    pens = [pen_of(number) for number in range(2 * len(COLOURS))]
    assert len(set(pens)) == len(pens)
    mask = disc(80, 60, 50)
    solid, dashed = (near(outlined(GREY, [Outline("", pen, mask)], 160), COLOURS[2], 8).sum() for pen in pens[2::7])
    assert 0.3 * solid < dashed < 0.8 * solid


def test_names_stay_inside_the_picture_and_apart() -> None:
    corner = np.zeros((120, 160), np.uint8)
    corner[:6, 150:] = 1
    drawn = outlined(GREY, [Outline(f"object_{number}", pen_of(number), corner) for number in range(3)], 320)
    tops = [np.nonzero(near(drawn, COLOURS[number], 8).any(1))[0].max() for number in range(3)]
    assert tops == sorted(set(tops)) and drawn.shape == (240, 320, 3)


@pytest.mark.parametrize(
    ("name", "shown"), [("a/b _0", "a/b _0"), ("mug_0 ", '"mug_0 "'), ("x\ty\ud800z", "x y z"), ("", '""')]
)
def test_odd_names_can_be_drawn(name: str, shown: str) -> None:
    assert shown_name(name) == shown
    outlined(GREY, [Outline(name, pen_of(0), disc(30, 30, 9))], 160)


def test_states_are_said_in_words_above_each_view() -> None:
    def tops(unseen: list[Any]) -> int:
        return take_sheet(["head"], [], [[View("frame 0", GREY, (160, 120), [], unseen)]]).shape[0]

    pen = pen_of(0)
    assert tops([("mug_0", pen, "absent")]) > tops([])
    many = [(f"a long object name_{number}", pen_of(number), "not annotated") for number in range(9)]
    assert tops(many) > tops(many[:1])
    sheet = take_sheet([], [], [[View("frame 0", GREY, (160, 120), [], [("mug_0", pen, "absent")])]])
    assert near(sheet[:-VIEW_HEIGHT], COLOURS[0], 2).sum() > 500


def test_a_view_without_a_picture_says_why(made: Made) -> None:
    again(made, relations_of(KITCHEN), missing={CAM1: dict.fromkeys(range(0, 240, 30), "the video shows 0 frames")})
    made.paths.frame(NAME, VAL_1, CAM2, 30).write_bytes(b"no jpeg")
    assert preview(made, rows=24).is_good
    assert near(sheet_of(made), (58, 60, 66), 6).sum() > 2 * 300 * VIEW_HEIGHT


def test_a_take_seen_from_one_side_only(made: Made) -> None:
    again(made, relations_of({"mug_0": {CAM1: ([0, 30], [60])}}))
    assert preview(made).is_good
    assert manifest_of(made).made["moments"] == 3


def test_a_take_with_many_cameras_shows_those_that_see_most(made: Made) -> None:
    cameras = {f"cam0{number}": (list(range(0, 30 * number, 30)), []) for number in range(1, 6)}
    sizes = dict.fromkeys(cameras, (96, 64)) | {EGO: (64, 64)}
    again(made, relations_of({"mug_0": {EGO: ([0], []), **cameras}}, sizes), sizes_wh=sizes)
    summary = preview(made)
    assert summary.is_good and summary.dropped == {"cameras_not_shown": 2}
    assert manifest_of(made).made["views"] == 4


def test_what_cannot_be_drawn_is_an_error(made: Made) -> None:
    for file in made.paths.take_dir(NAME, VAL_1).rglob("*.jpg"):
        file.unlink()
    assert "has no picture" in preview(made).failed[UNIT]
    again(made, relations_of(KITCHEN))
    file = made.paths.take_annotation(NAME, VAL_1)
    content = json.loads(file.read_text())
    for frames in content["masks"]["cutting board _0"].values():
        for mask in frames.values():
            mask["counts"] = mask["counts"][:-1]
    file.write_text(json.dumps(content))
    assert "does not decode" in preview(made).failed[UNIT]
    file.unlink()
    assert "annotation.json" in preview(made).failed[UNIT]


# ---- moments -------------------------------------------------------------------------------------------------------


def test_moments_are_spread_and_show_objects_in_both_views() -> None:
    def track(*frames: int) -> Track:
        return Track(frames, frozenset())

    tracks = {
        "a_0": {EGO: track(30, 90, 150), CAM1: track(30, 60, 150)},
        "b_0": {EGO: track(30, 120), CAM1: track(90, 120, 150)},
    }
    pictures = {EGO: set(range(0, 181, 30)), CAM1: set(range(0, 181, 30))}
    assert choose_moments(tracks, [EGO], [CAM1], pictures, 2) == [30, 150]
    assert choose_moments(tracks, [EGO], [CAM1], pictures, 24) == list(range(0, 181, 30))
    assert choose_moments(tracks, [EGO], [CAM1], {EGO: {0, 60, 90}, CAM1: {90, 30}}, 4) == [90]
    assert choose_moments(tracks, [EGO], [CAM1], {EGO: {60, 0}}, 4) == [0, 60]
    assert choose_moments(tracks, [EGO], [CAM1], {}, 4) == []


def test_the_cameras_that_see_most_in_their_own_order() -> None:
    tracks = tracks_of_relations(relations_of(KITCHEN))
    assert most_seen(tracks, [CAM2, CAM1], 2) == [CAM2, CAM1]
    assert most_seen(tracks, [CAM2, CAM1], 1) == [CAM1]
    assert most_seen({}, [], 3) == []
