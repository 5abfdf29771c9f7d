"""A take's frames and masks: what is kept, at which size, in which words; and what is left out, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from lzstring import LZString
from pycocotools import mask as coco

from pipeline.egoexo.processed import read_take
from pipeline.egoexo.synthetic import flatten_release
from pipeline.egoexo.take_masks import read_masks, without_misfits
from pipeline.errors import PipelineError
from pipeline.paths import Paths
from tests.egoexo_line import EGO, NAMES, TEST, TRAIN, VAL, Line, contents


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line.make(tmp_path)


def picture_size_wh(file: Path) -> tuple[int, int]:
    height, width = cv2.imread(str(file)).shape[:2]
    return width, height


def test_frames_masks_and_facts_of_all_takes(line: Line, capfd: pytest.CaptureFixture[str]) -> None:
    line.index()
    summary = line.process()
    assert summary.is_good and len(summary.made) == 3
    assert f"take {NAMES[TRAIN]}, cameras 3, frames 9, masks " in (said := capfd.readouterr().err)
    assert "megabytes before 0." in said and "megabytes after 0." in said
    for uid in (TRAIN, VAL, TEST):
        facts = line.facts(uid)
        assert facts.take_name == NAMES[uid]
        for camera, of in facts.cameras.items():
            assert of.is_ego == camera.startswith("aria")
            assert line.frames(uid, camera) == of.frames == [0, 30, 60]
            size_wh = (176, 176) if of.is_ego else (320, 180)
            assert of.video_size_wh == of.native_size_wh == of.frame_size_wh == size_wh
            assert (of.scale, of.video_frames, of.missing) == (1.0, 90, {})
            assert {picture_size_wh(file) for file in (line.folder(uid) / camera).iterdir()} == {size_wh}
    assert sorted(place.name for place in line.folder(TRAIN).iterdir()) == [
        "annotation.json", EGO, "cam01", "cam02", "take.json",
    ]  # fmt: skip
    assert not (line.paths.data / "work").exists()


def test_annotation_holds_both_forms_of_each_mask(line: Line) -> None:
    line.index()
    line.process(TRAIN)
    written = json.loads(line.paths.take_annotation("cooking", TRAIN).read_text())
    assert list(written) == ["scenario", "take_name", "object_masks", "masks", "subsample_idx"]
    release = line.object_masks(TRAIN)
    assert json.dumps(written["object_masks"]) == json.dumps(release)
    assert (written["scenario"], written["take_name"]) == ("Making Cucumber & Tomato Salad", NAMES[TRAIN])
    assert written["subsample_idx"] == [0, 30, 60]
    assert "salt/pepper shaker_1" in written["masks"] and "cutting board _1" in written["masks"]
    count = 0
    for name, cameras in release.items():
        assert written["masks"][name].keys() == cameras.keys()
        for camera, subtree in cameras.items():
            assert written["masks"][name][camera].keys() == subtree["annotation"].keys()
            for frame, original in subtree["annotation"].items():
                mask = written["masks"][name][camera][frame]
                assert mask["size"] == [original["height"], original["width"]]
                assert mask["counts"] == LZString.decompressFromEncodedURIComponent(original["encodedMask"])
                assert coco.decode(mask).any()
                count += 1
    assert count == line.manifest(TRAIN).made["masks"]


def test_the_same_again_gives_the_same_bytes(line: Line, tmp_path: Path) -> None:
    line.index()
    line.process(TRAIN)
    assert line.process(TRAIN).skipped == [f"cooking/{TRAIN}"]
    other = Line(line.release, Paths(tmp_path / "other"))
    other.index()
    other.process(TRAIN)
    assert contents(other.folder(TRAIN)) == contents(line.folder(TRAIN))


def test_downscaled_videos_are_taken_when_asked_for_and_never_enlarged(line: Line) -> None:
    line.index()
    line.process(TRAIN, parts=("downscaled_takes/448",))
    cameras = line.facts(TRAIN).cameras
    assert {camera.video.split("/")[-2] for camera in cameras.values()} == {"448"}
    for camera in cameras.values():
        assert camera.frame_size_wh == camera.video_size_wh
        assert camera.scale == camera.frame_size_wh[0] / camera.native_size_wh[0]


def test_the_other_size_stands_in_and_that_is_said(line: Line, capfd: pytest.CaptureFixture[str]) -> None:
    line.video(TRAIN, "cam02").unlink()
    line.index()
    assert line.process(TRAIN).is_good
    assert line.facts(TRAIN).cameras["cam02"].video.endswith("downscaled/448/cam02.mp4")
    assert "cam02: there is no full-size video of it" in line.facts(TRAIN).warnings[-1]
    assert f"{NAMES[TRAIN]}: cam02: there is no full-size" in capfd.readouterr().err


def test_the_larger_size_stands_in_and_that_is_said(line: Line, capfd: pytest.CaptureFixture[str]) -> None:
    line.small_video(TRAIN, "cam02").unlink()
    line.index()
    assert line.process(TRAIN, parts=("downscaled_takes/448",)).is_good
    assert f"{NAMES[TRAIN]}: cam02: there is no downscaled video of it" in capfd.readouterr().err


def test_parts_without_videos_are_refused_by_name(line: Line, capfd: pytest.CaptureFixture[str]) -> None:
    line.index()
    summary = line.process(parts=("takess",))
    assert len(summary.failed) == 3 and not summary.made
    assert "PARTS=takess names no part with videos" in capfd.readouterr().err


def test_without_a_word_the_better_size_of_a_release_is_taken(line: Line) -> None:
    line.index()
    line.process(TRAIN, parts=())
    assert line.facts(TRAIN).warnings == []
    assert not [camera for camera in line.facts(TRAIN).cameras.values() if "448" in camera.video]
    for camera in (EGO, "cam01", "cam02"):
        line.video(VAL, camera).unlink()
    line.process(VAL, parts=())
    assert line.facts(VAL).warnings == ["there are no full-size videos of it, so its frames come from 448-pixel ones"]


def test_every_so_many_frames_more(line: Line) -> None:
    line.index()
    assert line.process(TRAIN, every=40).is_good
    assert line.frames(TRAIN, "cam01") == [0, 30, 40, 60, 80]
    assert line.annotation(TRAIN).subsample_idx == [0, 30, 60]


def test_frames_that_a_pair_needs_are_kept_in_the_other_view(line: Line) -> None:
    def change(object_masks: dict[str, Any]) -> None:
        keep = object_masks["Cereal box_0"]
        object_masks.clear()
        object_masks["Cereal box_0"] = {EGO: keep[EGO], "cam01": keep["cam01"]}
        for camera, frames in ((EGO, [30]), ("cam01", [60, 75])):
            mask = next(iter(keep[camera]["annotation"].values()))
            keep[camera].update(annotation={str(frame): mask for frame in frames}, annotated_frames=frames)

    line.edit(TRAIN, change)
    line.index()
    assert line.process(TRAIN).is_good
    assert line.frames(TRAIN, EGO) == line.frames(TRAIN, "cam01") == [30, 60, 75]
    assert line.annotation(TRAIN).subsample_idx == [30, 60, 75]
    assert "cam02" not in line.facts(TRAIN).cameras


def test_names_keep_their_blanks_and_slashes(line: Line) -> None:
    strange = ["a/b ", " a", "x//y", "é 杯_0"]

    def change(object_masks: dict[str, Any]) -> None:
        mask = next(iter(object_masks.values()))
        object_masks.update(dict.fromkeys(strange, mask))

    line.edit(TRAIN, change)
    line.index()
    assert line.process(TRAIN).is_good
    written = json.loads(line.paths.take_annotation("cooking", TRAIN).read_text())
    assert list(written["object_masks"]) == list(line.object_masks(TRAIN))
    assert set(strange) <= written["masks"].keys()


def test_a_mask_that_is_no_mask_is_left_out_with_its_reason(line: Line, capfd: pytest.CaptureFixture[str]) -> None:
    def change(object_masks: dict[str, Any]) -> None:
        track = object_masks["Cereal box_0"]["cam01"]["annotation"]
        track["0"]["encodedMask"] = track["0"]["encodedMask"][:-4]
        track["30"]["encodedMask"] = _encoded(180, 320, empty=True)
        track["60"].update(width=160, height=90, encodedMask=_encoded(90, 160))

    line.edit(TRAIN, change)
    line.index()
    summary = line.process(TRAIN, VAL)
    assert not summary.is_good and list(summary.incomplete) == [f"cooking/{TRAIN}"]
    assert summary.dropped == {"damaged_masks": 1, "empty_masks": 1, "masks_of_a_wrong_size": 1}
    assert "1 masks are damaged" in (said := capfd.readouterr().err) and "1 masks are of a wrong size" in said
    left_out = {(mask.camera, mask.frame): mask for mask in line.facts(TRAIN).left_out_masks}
    assert {place: mask.reason for place, mask in left_out.items()} == {
        ("cam01", 0): "damaged",
        ("cam01", 30): "empty",
        ("cam01", 60): "wrong_size",
    }
    assert left_out["cam01", 60].detail == "160×90, unlike the others of cam01: 320×180"
    assert line.annotation(TRAIN).masks["Cereal box_0"]["cam01"] == {}
    track = read_take(line.paths, "cooking", TRAIN).tracks["Cereal box_0"]["cam01"]
    assert [track.state(frame) for frame in (0, 30, 60)] == ["unannotated", "absent", "unannotated"]
    assert line.frames(TRAIN, "cam01") == [0, 30, 60]
    assert not line.process(TRAIN, VAL).is_good


def _encoded(height: int, width: int, *, empty: bool = False) -> str:
    mask = np.zeros((height, width), np.uint8, order="F")
    if not empty:
        mask[height // 4 : height // 2, width // 4 : width // 2] = 1
    return str(LZString.compressToEncodedURIComponent(coco.encode(mask)["counts"].decode()))


def _mask(**other: Any) -> dict[str, Any]:
    return {"width": 160, "height": 90, "encodedMask": _encoded(90, 160)} | other


@pytest.mark.parametrize(
    ("mask", "detail"),
    [
        (None, "the mask"),
        ({}, "width"),
        (_mask(width=0), "width"),
        (_mask(height="90"), "height"),
        (_mask(encodedMask=None), "encodedMask"),
        (_mask(encodedMask=""), "empty"),
        (_mask(height=91), "runs do not sum"),
        (_mask(encodedMask="!!"), "alphabet"),
    ],
)
def test_damage_of_every_kind(mask: Any, detail: str) -> None:
    track = {"annotation": {"30": mask, "0": _mask()}, "annotated_frames": [0, 30]}
    found = read_masks({"cup_0": {"cam01": track}}, "take")
    assert list(found.masks["cup_0"]["cam01"]) == ["0"]
    (lost,) = found.left_out
    assert (lost.object, lost.camera, lost.frame, lost.reason) == ("cup_0", "cam01", 30, "damaged")
    assert detail in lost.detail


def test_masks_come_in_the_order_of_time() -> None:
    track = {"annotation": {str(frame): _mask() for frame in (120, 0, 30)}}
    assert list(read_masks({"cup_0": {"cam01": track}}, "take").masks["cup_0"]["cam01"]) == ["0", "30", "120"]


@pytest.mark.parametrize(
    "subtree",
    [
        {"annotation": {"abc": _mask()}},
        {"annotation": {"030": _mask()}},
        {"annotation": {"-1": _mask()}},
        {"annotation": {"99999999999999999999": _mask()}},
        {"annotation": []},
        {"annotated_frames": [0]},
        {"annotation": {}, "annotated_frames": ["x"]},
        {"annotation": {}, "annotated_frames": [-30]},
        None,
    ],
)
def test_annotations_of_another_form_are_refused_by_place(subtree: Any) -> None:
    with pytest.raises(PipelineError, match=r"the object masks of take .* cup_0 → cam01"):
        read_masks({"cup_0": {"cam01": subtree}}, "take")


def test_masks_of_another_shape_than_the_video_are_left_out() -> None:
    track = {"annotation": {"0": _mask()}}
    found = read_masks({"cup_0": {"cam01": track, "cam02": track, "cam03": track}}, "take")
    kept = without_misfits(found, {"cam01": (796, 448), "cam02": (90, 160)})
    assert [list(kept.masks["cup_0"][camera]) for camera in ("cam01", "cam02", "cam03")] == [["0"], [], ["0"]]
    assert [(lost.camera, lost.reason, lost.detail) for lost in kept.left_out] == [
        ("cam02", "wrong_size", "masks of 160×90 do not fit a video of 90×160")
    ]


def test_a_camera_that_cannot_name_a_folder_is_refused(line: Line) -> None:
    line.index()
    file = line.paths.take_index(TRAIN)
    file.write_text(file.read_text().replace('"cam01": {', '"../../cam01": {'))
    summary = line.process(TRAIN)
    assert "'../../cam01', which cannot name a folder" in summary.failed[f"cooking/{TRAIN}"]


SHARED = Path(__file__).resolve().parents[2] / "shared" / "samples" / "egoexo"


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason="no sample release here")
@pytest.mark.parametrize("part", ["takes", "downscaled_takes/448"])
def test_sample_release_has_the_states_and_sizes_of_its_truth(tmp_path: Path, part: str) -> None:
    flatten_release(SHARED / "s3", tmp_path / "release")
    line = Line(tmp_path / "release", Paths(tmp_path / "data"))
    truth = {take["take_uid"]: take for take in json.loads((SHARED / "truth/truth.json").read_text())["takes"]}
    seen = 0
    for scenario in ("cooking", "health"):
        line.index(scenario)
        assert line.process(scenario=scenario, parts=(part,)).is_good
        for unit in line.units(scenario):
            take = read_take(line.paths, *unit.split("/"))
            states = {
                name: {
                    camera: {
                        "present": len(track.present),
                        "absent": len(track.absent),
                        "unannotated": 8 - len(track.annotated),
                    }
                    for camera, track in cameras.items()
                }
                for name, cameras in take.tracks.items()
            }
            assert states == truth[take.facts.take_uid]["counts"]
            for camera in take.facts.cameras.values():
                assert camera.frames == [0, 30, 60, 90, 120, 150, 180, 210]
                native = {True: (704, 704), False: (960, 540)}[camera.is_ego]
                small = {True: (448, 448), False: (796, 448)}[camera.is_ego]
                assert camera.frame_size_wh == (native if part == "takes" else small)
            seen += 1
    assert seen == len(truth)
