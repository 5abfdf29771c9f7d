"""The phase `proposals` and what reads it: one file a camera, nothing empty or twice, resumed after a failure."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.config import CommonKnobs
from pipeline.config_correspondence import ExportProposalsKnobs, ProposalRecallKnobs, ProposalsKnobs
from pipeline.console import Console
from pipeline.correspondence import export_proposals, proposal_recall
from pipeline.correspondence.generators import classical
from pipeline.errors import PipelineError
from pipeline.ops.masks.rle import check_rle, decode_rle, encode_rle
from pipeline.ops.proposals.omama import read_masks, write_frame
from pipeline.ops.proposals.tidy import Found, Limits, tidy
from pipeline.paths import Paths
from pipeline.phases import Phase
from pipeline.runner import Summary, run_phase
from pipeline.schema.base import read_model
from pipeline.schema.manifest import Manifest
from pipeline.schema.proposals import CameraProposals, RecallReport
from tests.processed_takes import CAM1, CAM2, EGO, KITCHEN, TEST_1, VAL_1, Made, relations_of, write_split, write_take
from tests.tiny_sam2 import write_tiny_sam2

NAME = "toy"
UNIT, OTHER = f"{NAME}/{VAL_1}", f"{NAME}/{TEST_1}"
ROW = Phase(
    "proposals", "masks that may be objects", "correspondence", "pipeline.correspondence.proposals", ProposalsKnobs,
    "train", "take", ("egoexo-process",), "data/output_dir_{name}/proposals/…", model="proposals",
)  # fmt: skip
NATIVE_WH = {EGO: (128, 128), CAM1: (192, 128), CAM2: (192, 128)}
STORED_WH = {EGO: (64, 64), CAM1: (96, 64), CAM2: (96, 64)}


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Two takes whose pictures are patches of colour."""
    result = Made(Paths(tmp_path), NAME)
    write_split(result.paths, NAME, {"train": [], "val": [VAL_1], "test": [TEST_1]})
    for uid in (VAL_1, TEST_1):
        take(result, uid)
    return result


def take(made: Made, uid: str, **more: Any) -> None:
    write_take(made.paths, NAME, uid, relations_of(KITCHEN, NATIVE_WH), f"name_{uid[0]}", NATIVE_WH, STORED_WH, **more)


def propose(made: Made, *units: str, redo: bool = False, **knobs: Any) -> Summary:
    given = ProposalsKnobs(**{"name": NAME, "least_share": 0.001, "most_proposals": 20} | knobs)
    return run_phase(ROW, units or [UNIT], given, made.paths, Console(), ["proposals"] if redo else [])


def camera(made: Made, name: str, method: str = "classical", uid: str = VAL_1) -> CameraProposals:
    return read_model(made.paths.take_proposals(NAME, method, uid) / f"{name}.json", CameraProposals, "")


def manifest(made: Made, unit: str = UNIT) -> Manifest:
    return read_model(made.paths.manifest("proposals", unit), Manifest, "")


def recall(made: Made, method: str = "classical", **knobs: Any) -> RecallReport:
    given = ProposalRecallKnobs(data_set=NAME, proposals=method, **knobs)
    assert proposal_recall.main(given, CommonKnobs(data=str(made.paths.data)), Console()) == 0
    return read_model(made.paths.proposals(NAME, method) / "recall.json", RecallReport, "")


def rectangle(size_wh: tuple[int, int], left: int, top: int, width: int, height: int) -> np.ndarray:
    mask = np.zeros((size_wh[1], size_wh[0]), np.uint8)
    mask[top : top + height, left : left + width] = 1
    return mask


# The phase


def test_every_picture_has_its_masks(made: Made, capfd: pytest.CaptureFixture[str]) -> None:
    assert propose(made).is_good
    assert "no weights" in capfd.readouterr().err
    for name, stored in STORED_WH.items():
        file = camera(made, name)
        assert (file.method, file.size_wh) == ("classical", stored)
        assert file.settings["most_proposals"] == 20
        on_disk = (made.paths.take_dir(NAME, VAL_1) / name).glob("*.jpg")
        assert sorted(file.frames, key=int) == list(file.frames)
        assert set(file.frames) == {picture.stem for picture in on_disk}
        for proposals in file.frames.values():
            assert 0 < len(proposals) <= 20
            keys = [(-one.area, one.box_xyxy, one.counts) for one in proposals]
            assert keys == sorted(set(keys))
            for one in proposals:
                mask = check_rle(one.counts, (stored[1], stored[0]))
                assert (mask.area, mask.box_xyxy) == (one.area, one.box_xyxy)
    counts = manifest(made)
    assert counts.made["pictures"] == sum(len(camera(made, name).frames) for name in STORED_WH)
    assert counts.made["pictures_without_proposals"] == 0
    assert counts.details["settings"]["work_side"] == 960


def test_made_once_and_with_the_same_bytes_again(made: Made) -> None:
    assert propose(made).made == [UNIT]
    file = made.paths.take_proposals(NAME, "classical", VAL_1) / f"{EGO}.json"
    before = file.read_bytes()
    assert propose(made).skipped == [UNIT]
    assert propose(made, redo=True).made == [UNIT]
    assert file.read_bytes() == before
    assert "--most-proposals" in propose(made, most_proposals=5).failed[UNIT]


def test_pictures_that_cannot_be_used_are_counted(made: Made) -> None:
    made.paths.frame(NAME, VAL_1, EGO, 30).write_bytes(b"no picture")
    made.paths.frame(NAME, VAL_1, CAM1, 0).unlink()
    cv2.imwrite(str(made.paths.frame(NAME, VAL_1, CAM1, 60)), np.zeros((10, 10, 3), np.uint8))
    summary = propose(made)
    assert summary.dropped["pictures_that_do_not_open"] == 1
    assert summary.dropped["pictures_not_there"] == 1
    assert summary.dropped["pictures_of_another_size"] == 1
    for text in (f"that do not open of {EGO} (30)", f"not there of {CAM1} (0)", f"another size of {CAM1} (60)"):
        assert text in summary.incomplete[UNIT]
    assert "30" not in camera(made, EGO).frames
    shutil.rmtree(made.paths.take_dir(NAME, TEST_1) / EGO)
    for name in (CAM1, CAM2):
        shutil.rmtree(made.paths.take_dir(NAME, TEST_1) / name)
    assert "no picture" in propose(made, OTHER).failed[OTHER]


def test_a_picture_without_anything_has_an_empty_list(made: Made) -> None:
    cv2.imwrite(str(made.paths.frame(NAME, VAL_1, EGO, 30)), np.full((64, 64, 3), 90, np.uint8))
    assert propose(made).is_good
    assert camera(made, EGO).frames["30"] == []
    assert manifest(made).made["pictures_without_proposals"] == 1


def test_what_was_done_before_a_failure_is_kept(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    real = classical.find_things

    def failing(rgb: np.ndarray, **more: Any) -> Any:
        seen.append(1)
        if len(seen) == 6:
            raise PipelineError("stopped", "go on")
        return real(rgb, **more)

    monkeypatch.setattr("pipeline.correspondence.proposals.cores", lambda: 1)
    monkeypatch.setattr(classical, "find_things", failing)
    assert propose(made).failed == {UNIT: "stopped"}
    assert not made.paths.take_proposals(NAME, "classical", VAL_1).exists()
    first = len(seen)
    assert propose(made).is_good
    assert len(seen) - first == int(manifest(made).made["pictures"]) - (first - 1)


def test_a_changed_picture_is_looked_at_again(made: Made) -> None:
    propose(made)
    before = camera(made, EGO)
    cv2.imwrite(str(made.paths.frame(NAME, VAL_1, EGO, 30)), np.full((64, 64, 3), 90, np.uint8))
    assert propose(made).made == [UNIT]
    assert camera(made, EGO).frames["30"] == []
    assert camera(made, EGO).frames["60"] == before.frames["60"]


@pytest.mark.parametrize(
    ("knobs", "text"),
    [
        ({"proposals": "folder"}, "--masks-from"),
        ({"masks_from": "x"}, "--masks-from"),
        ({"proposals": "fastsam"}, "its weights are not fetched"),
        ({"least_share": 0.5, "most_share": 0.2}, "--least-share"),
        ({"proposals": "sam"}, "--proposals"),
    ],
)
def test_nonsense_is_refused(knobs: dict[str, Any], text: str) -> None:
    with pytest.raises(PipelineError, match=text):
        ProposalsKnobs(**knobs)


def test_sam2_by_the_phase(made: Made, tmp_path: Path) -> None:
    weights = write_tiny_sam2(tmp_path / "sam2")
    knobs = {
        "proposals": "sam2", "proposals_model": str(weights), "points_per_side": 3, "least_quality": 0.0,
        "least_stability": 0.0, "most_share": 1.0, "device": "cpu",
    }  # fmt: skip
    assert propose(made, **knobs).is_good
    file = camera(made, EGO, "sam2")
    assert file.settings["points_per_side"] == 3
    assert any(file.frames.values())
    assert all(one.score is not None for proposals in file.frames.values() for one in proposals)


def test_fastsam_that_is_not_there_is_said_before_anything_is_loaded(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.models.fastsam.PACKAGE", "no_such_package_here")
    assert "ultralytics" in propose(made, proposals="fastsam", proposals_model="FastSAM-x.pt").failed[UNIT]


# What every generator's masks go through


def test_empty_and_equal_masks_and_those_beyond_limits_are_dropped_and_counted() -> None:
    size = (20, 10)
    places = [(0, 0, 0, 0), (1, 1, 4, 4), (1, 1, 4, 4), (0, 0, 20, 10), (2, 2, 1, 1), (8, 1, 5, 5), (9, 3, 3, 3)]
    masks = [rectangle(size, *place) for place in places]
    found = [Found(encode_rle(mask), score) for mask, score in zip(masks, (9, 1, 4, 9, 9, 3, 2), strict=True)]
    result = tidy([*found, Found("no mask", 9.0)], size, Limits(2, 0.01, 0.5))
    assert [(one.area, one.box_xyxy, one.score) for one in result.proposals] == [
        (25, (8, 1, 13, 6), 3),
        (16, (1, 1, 5, 5), 4),
    ]
    assert result.dropped == {
        "empty_masks": 1,
        "duplicate_masks": 1,
        "masks_too_large": 1,
        "masks_too_small": 1,
        "damaged_masks": 1,
        "masks_above_the_limit": 1,
    }
    assert tidy([], size, Limits(2)).proposals == []


# Folders of masks


def folder_knobs(folder: Path, **more: Any) -> dict[str, Any]:
    return {"proposals": "folder", "masks_from": str(folder), "least_share": 0.0, "most_share": 1.0} | more


def test_omamas_tree_is_written_and_read(made: Made, tmp_path: Path) -> None:
    assert propose(made, UNIT, OTHER).is_good
    out = tmp_path / "omama"
    knobs = ExportProposalsKnobs(data_set=NAME, out=str(out))
    assert export_proposals.main(knobs, CommonKnobs(data=str(made.paths.data)), Console()) == 0
    ego = out / "Masks_VAL_EXO2EGO" / VAL_1 / EGO
    assert (out / "Masks_TEST_EGO2EXO" / TEST_1 / CAM2).is_dir()
    masks, boxes = np.load(ego / "30_masks.npz"), np.load(ego / "30_boxes.npy")
    first = camera(made, EGO).frames["30"][0]
    assert masks.files == ["arr_0"]
    assert masks["arr_0"].dtype == np.uint8
    assert masks["arr_0"].shape == (len(camera(made, EGO).frames["30"]), 64, 64)
    assert np.array_equal(masks["arr_0"][0], decode_rle(first.counts, (64, 64)))
    left, top, right, bottom = first.box_xyxy
    assert (boxes.dtype, boxes[0].tolist()) == (np.float32, [left, top, right - left, bottom - top])
    assert propose(made, UNIT, OTHER, **folder_knobs(out)).is_good
    for name in STORED_WH:
        given, again = camera(made, name), camera(made, name, "folder")
        assert {frame: [one.counts for one in of] for frame, of in given.frames.items()} == {
            frame: [one.counts for one in of] for frame, of in again.frames.items()
        }
        assert all(one.score is None for of in again.frames.values() for one in of)


def test_no_masks_in_omamas_form(tmp_path: Path) -> None:
    write_frame(tmp_path, "0", [], (64, 64))
    assert np.load(tmp_path / "0_masks.npz")["arr_0"].ndim < 3
    assert len(read_masks(tmp_path / "0_masks.npz")) == 0
    assert np.load(tmp_path / "0_boxes.npy").shape == (0, 4)
    np.savez(tmp_path / "other.npz", masks=np.zeros((1, 2, 2)))
    np.savez(tmp_path / "text.npz", np.array([[["a"]]]))
    (tmp_path / "damaged.npz").write_bytes((tmp_path / "0_masks.npz").read_bytes()[:40])
    for name, text in (("other", "no array arr_0"), ("text", "holds <U1"), ("damaged", "cannot"), ("gone", "cannot")):
        with pytest.raises(PipelineError, match=text):
            read_masks(tmp_path / f"{name}.npz")


def test_pictures_of_masks(made: Made, tmp_path: Path) -> None:
    home = tmp_path / "masks" / f"name_{VAL_1[0]}" / EGO
    home.mkdir(parents=True)
    labels = rectangle((128, 128), 0, 0, 40, 40) * 7 + rectangle((128, 128), 60, 60, 20, 20) * 200
    cv2.imwrite(str(home / "30.png"), labels)  # twice the stored size
    colours = np.zeros((64, 64, 3), np.uint8)
    colours[:10, :10], colours[20:30, 20:40] = (1, 0, 0), (0, 0, 1)
    cv2.imwrite(str(home / "60.png"), colours)
    (home / "0").mkdir()
    for number in range(2):
        cv2.imwrite(str(home / "0" / f"{number}.png"), rectangle((64, 64), 5 * number, 3, 9, 9) * 255)
    cv2.imwrite(str(home / "90.png"), np.zeros((64, 64), np.uint8))
    summary = propose(made, **folder_knobs(tmp_path / "masks"))
    assert summary.is_good
    boxes = {frame: [one.box_xyxy for one in of] for frame, of in camera(made, EGO, "folder").frames.items()}
    assert boxes == {
        "0": [(0, 3, 9, 12), (5, 3, 14, 12)],
        "30": [(0, 0, 20, 20), (30, 30, 40, 40)],
        "60": [(20, 20, 40, 30), (0, 0, 10, 10)],
        "90": [],
    }
    assert summary.dropped["pictures_without_masks_in_the_folder"] > 0
    assert not (made.paths.take_proposals(NAME, "folder", VAL_1) / f"{CAM1}.json").exists()
    cv2.imwrite(str(home / "0" / "1.png"), rectangle((64, 64), 50, 50, 9, 9) * 255)
    assert propose(made, **folder_knobs(tmp_path / "masks")).made == [UNIT]
    changed = camera(made, EGO, "folder").frames["0"]
    assert [one.box_xyxy for one in changed] == [(0, 3, 9, 12), (50, 50, 59, 59)]


def test_masks_changed_after_a_failure_are_read_again(made: Made, tmp_path: Path) -> None:
    home = tmp_path / "masks" / VAL_1
    for name, frame in ((EGO, "0"), (EGO, "30"), (CAM1, "0")):
        (home / name).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(home / name / f"{frame}.png"), rectangle(STORED_WH[name], 2, 2, 9, 9))
    (home / CAM1 / "0.png").write_bytes(b"no picture")
    assert not propose(made, **folder_knobs(tmp_path / "masks")).is_good
    for name, frame in ((EGO, "0"), (CAM1, "0")):
        cv2.imwrite(str(home / name / f"{frame}.png"), rectangle(STORED_WH[name], 5, 5, 9, 9))
    assert propose(made, **folder_knobs(tmp_path / "masks")).is_good
    frames = camera(made, EGO, "folder").frames
    assert {frame: one.box_xyxy for frame, (one,) in frames.items()} == {"0": (5, 5, 14, 14), "30": (2, 2, 11, 11)}


def test_masks_of_another_picture_are_refused(made: Made, tmp_path: Path) -> None:
    home = tmp_path / "masks" / VAL_1 / CAM1
    home.mkdir(parents=True)
    cv2.imwrite(str(home / "0.png"), rectangle((64, 64), 0, 0, 9, 9))
    assert "has masks of 64×64" in propose(made, **folder_knobs(tmp_path / "masks")).failed[UNIT]
    (home / "0.png").write_bytes(b"no picture")
    assert "does not open" in propose(made, **folder_knobs(tmp_path / "masks")).failed[UNIT]
    assert "has no masks of take" in propose(made, OTHER, **folder_knobs(tmp_path / "masks")).failed[OTHER]


# Recall


def test_exact_masks_are_all_found(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    annotation = json.loads(made.paths.take_annotation(NAME, VAL_1).read_text())
    for cameras in annotation["masks"].values():
        for name, frames in cameras.items():
            width, height = STORED_WH[name]
            for frame, mask in frames.items():
                small = cv2.resize(
                    decode_rle(mask["counts"], mask["size"]), (width, height), interpolation=cv2.INTER_NEAREST
                )
                place = tmp_path / "masks" / VAL_1 / name / frame
                place.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(place / f"{len(list(place.iterdir()))}.png"), small * 255)
    assert propose(made, **folder_knobs(tmp_path / "masks")).is_good
    report = recall(made, "folder", split="val")
    assert report.overall.best_iou == 1
    assert report.overall.recall_at_iou_75 == 1
    true = sum(len(frames) for cameras in annotation["masks"].values() for frames in cameras.values())
    assert (report.overall.masks, report.frames_without_proposals, report.vanished) == (true, 0, 0)
    assert sum(group.masks for group in report.breakdowns["size"].values()) == true
    assert set(report.breakdowns["view"]) == {"ego", "exo"}
    assert "1.000" in capsys.readouterr().out
    for name in ("recall_by_size.png", "recall_curve.png"):
        assert cv2.imread(str(made.paths.proposals(NAME, "folder") / name)) is not None


def test_recall_by_hand(made: Made, tmp_path: Path) -> None:
    object_masks = relations_of({"mug_0": {EGO: ([0, 30], []), CAM1: ([0], [])}}, NATIVE_WH)
    shutil.rmtree(made.paths.take_dir(NAME, VAL_1))
    write_take(made.paths, NAME, VAL_1, object_masks, "name_3", NATIVE_WH, STORED_WH, {CAM1: {0: "gone"}})
    file = made.paths.take_annotation(NAME, VAL_1)
    annotation = json.loads(file.read_text())
    of_ego = annotation["masks"]["mug_0"][EGO]
    of_ego["0"]["counts"] = encode_rle(rectangle(NATIVE_WH[EGO], 0, 0, 40, 20))
    of_ego["30"]["counts"] = encode_rle(rectangle(NATIVE_WH[EGO], 1, 1, 1, 1))  # between the pixels that are kept
    file.write_text(json.dumps(annotation))
    home = tmp_path / "masks" / VAL_1 / EGO
    home.mkdir(parents=True)
    cv2.imwrite(str(home / "0.png"), rectangle(STORED_WH[EGO], 0, 0, 12, 10))  # 120 of 200 pixels
    cv2.imwrite(str(home / "30.png"), rectangle(STORED_WH[EGO], 0, 0, 12, 10))
    propose(made, **folder_knobs(tmp_path / "masks"))
    report = recall(made, "folder", split="val", json=True)
    assert report.overall.best_iou == pytest.approx(0.3)
    assert (report.overall.recall_at_iou_50, report.overall.recall_at_iou_75) == (0.5, 0)
    assert (report.vanished, report.masks_without_picture, report.frames) == (1, 1, 2)
    assert report.breakdowns["size"]["below 0.1 %"].best_iou == 0
    assert report.breakdowns["size"]["above 2 %"].best_iou == pytest.approx(0.6)


def test_recall_without_proposals_or_masks(made: Made) -> None:
    with pytest.raises(PipelineError, match=r"bash run\.sh proposals"):
        recall(made)
    with pytest.raises(PipelineError, match="no true mask"):
        recall(made, split="train")
    with pytest.raises(PipelineError, match="--data-set"):
        proposal_recall.main(ProposalRecallKnobs(), CommonKnobs(), Console())
