"""egoexo-export: what comes back by egoexo-import is what went out, less what the layout says that it drops."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from pipeline.config_egoexo import ExportKnobs, ImportKnobs, PairsKnobs
from pipeline.console import Console
from pipeline.ops.egoexo.tracks import tracks_of_take
from pipeline.paths import Paths
from pipeline.phases import phase
from pipeline.runner import Summary, run_phase
from pipeline.schema.base import read_model
from pipeline.schema.egoexo_foreign import ExportRecord
from pipeline.schema.egoexo_release import SPLITS, SplitFile
from pipeline.schema.egoexo_take import LeftOutMask, TakeAnnotation, TakeFacts
from pipeline.schema.manifest import Manifest
from tests.custom_world import World, custom_world
from tests.egoexo_line import Line
from tests.processed_takes import CAM1, CAM2, EGO, TEST_1, TRAIN_1, TRAIN_2, VAL_1, Made, small_dataset

SHAKER, BOARD, MUG = "salt/pepper shaker_0", "cutting board _0", "blue mug_0"
TAKES = (TRAIN_1, TRAIN_2, VAL_1, TEST_1)


def pairs_and_all(made: Made) -> Made:
    assert run_phase(phase("egoexo-pairs"), [made.name], PairsKnobs(), made.paths, Console()).is_good
    return made


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set with pairs."""
    return pairs_and_all(small_dataset(tmp_path_factory.mktemp("whole"))).paths.data


@pytest.fixture
def made(whole: Path, tmp_path: Path) -> Made:
    shutil.copytree(whole, tmp_path / "data")
    return Made(Paths(tmp_path / "data"), "toy")


def export(made: Made, layout: str, redo: bool = False, target: str = "") -> Summary:
    knobs = ExportKnobs(name=made.name, export_layout=layout, target=target)
    return run_phase(
        phase("egoexo-export"), [made.name], knobs, made.paths, Console(), ["egoexo-export"] if redo else []
    )


def bring_back(made: Made, layout: str, folder: Path) -> World:
    """Import the exported tree under the same name into another data folder."""
    world = World(made.paths.export(made.name, layout), Paths(folder / "back"), made.name)
    summary = run_phase(
        phase("egoexo-import"), [made.name], ImportKnobs(source=str(world.root)), world.paths, Console()
    )
    assert summary.is_good
    return world


def dropped(made: Made) -> dict[str, int]:
    return read_model(made.paths.manifest("egoexo-export", made.name), Manifest, "").dropped


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def parsed(folder: Path) -> dict[str, Any]:
    """All files; JSON by its content, since whitespace is nobody's business."""
    return {
        name: json.loads(content) if name.endswith(".json") else content for name, content in contents(folder).items()
    }


def states(annotation: TakeAnnotation, facts: TakeFacts) -> dict[tuple[str, str, int], str]:
    """(object, camera, frame) → state, of all that somebody annotated."""
    tracks = tracks_of_take(annotation, facts.left_out_masks)
    return {
        (name, camera, frame): track.state(frame)
        for name, cameras in tracks.items()
        for camera, track in cameras.items()
        for frame in track.annotated
    }


def test_omama_and_back_is_the_same(made: Made, tmp_path: Path) -> None:
    damaged = LeftOutMask(object=BOARD, camera=EGO, frame=30, reason="damaged", detail="no end")
    file = made.paths.take_facts("toy", VAL_1)
    content = json.loads(file.read_text())
    content["left_out_masks"].append(damaged.model_dump())
    content["warnings"].append("odd")
    file.write_text(json.dumps(content))
    annotation_file = made.paths.take_annotation("toy", VAL_1)
    annotation = json.loads(annotation_file.read_text())
    del annotation["masks"][BOARD][EGO]["30"]
    annotation_file.write_text(json.dumps(annotation))
    pairs_and_all(made)
    assert export(made, "omama").is_good
    assert dropped(made) == {}
    root = made.paths.export("toy", "omama")
    assert sorted(place.name for place in root.iterdir()) == ["dataset_jsons", "export.json", "processed"]
    assert (root / f"processed/{VAL_1}/{EGO}/0.jpg").samefile(made.paths.frame("toy", VAL_1, EGO, 0))
    world = bring_back(made, "omama", tmp_path)
    assert parsed(world.paths.output_dir("toy")) == parsed(made.root)
    assert read_model(world.paths.manifest("egoexo-import", "toy"), Manifest, "").dropped == {"damaged_masks": 1}


def test_baseline_and_back_is_the_same_but_for_what_it_says(made: Made, tmp_path: Path) -> None:
    assert export(made, "baseline").is_good
    root = made.paths.export("toy", "baseline")
    assert set(json.loads((root / VAL_1 / "annotation.json").read_text())) == {"masks", "subsample_idx"}
    assert not (root / VAL_1 / "take.json").exists()
    lost = dropped(made)
    assert lost["typed_pair_files"] == 6 and lost["take_json_files"] == 4
    world = bring_back(made, "baseline", tmp_path)
    absences = 0
    for take_uid in TAKES:
        before = read_model(made.paths.take_annotation("toy", take_uid), TakeAnnotation, "")
        facts = read_model(made.paths.take_facts("toy", take_uid), TakeFacts, "")
        after, after_facts = world.annotation(take_uid), world.facts(take_uid)
        assert after.masks == before.masks
        seen = states(before, facts)
        absences += sum(state == "absent" for state in seen.values())
        assert states(after, after_facts) == {place: state for place, state in seen.items() if state == "present"}
        for camera, of in facts.cameras.items():
            again = after_facts.cameras[camera]
            assert (again.is_ego, again.frames, again.scale) == (of.is_ego, of.frames, of.scale)
            assert contents(world.paths.take_dir("toy", take_uid) / camera) == contents(
                made.paths.take_dir("toy", take_uid) / camera
            )
    assert lost["absences"] == absences > 0
    for split in SPLITS:
        for setting in ("egoexo", "exoego"):
            before_pairs = json.loads(made.paths.pairs("toy", split, setting).read_text())
            assert json.loads(world.paths.pairs("toy", split, setting).read_text()) == before_pairs
    assert world.check().errors == 0


def test_coco_is_coco_and_comes_back_at_the_size_of_its_pictures(made: Made, tmp_path: Path) -> None:
    assert export(made, "coco").is_good
    root = made.paths.export("toy", "coco")
    before = read_model(made.paths.take_annotation("toy", VAL_1), TakeAnnotation, "")
    api = COCO(str(root / VAL_1 / "masks" / f"{CAM1}.json"))
    names = {category["id"]: category["name"] for category in api.dataset["categories"]}
    assert list(names.values()) == list(before.masks)
    for image in api.dataset["images"]:
        picture = cv2.imread(str(root / VAL_1 / CAM1 / image["file_name"]))
        assert picture.shape[:2] == (image["height"], image["width"])
        for annotation in api.loadAnns(api.getAnnIds(image["id"])):
            rle = before.masks[names[annotation["category_id"]]][CAM1][image["file_name"].removesuffix(".jpg")]
            native = coco_mask.decode({"size": list(rle.size), "counts": rle.counts.encode()})
            expected = cv2.resize(native, picture.shape[1::-1], interpolation=cv2.INTER_NEAREST)
            assert np.array_equal(api.annToMask(annotation), expected)
            x, y, width, height = annotation["bbox"]
            assert annotation["area"] == expected.sum()
            rows, columns = np.nonzero(expected)
            assert [x, y, x + width - 1, y + height - 1] == [columns.min(), rows.min(), columns.max(), rows.max()]
    lost = dropped(made)
    masks = sum(
        len(frames)
        for take_uid in TAKES
        for of in read_model(made.paths.take_annotation("toy", take_uid), TakeAnnotation, "").masks.values()
        for frames in of.values()
    )
    vanished = lost.get("masks_that_vanish_at_the_size_of_their_picture", 0)
    assert lost["masks_scaled_to_their_picture"] + vanished == masks
    assert lost["pair_files"] == 6
    world = bring_back(made, "coco", tmp_path)
    for take_uid in TAKES:
        facts = read_model(made.paths.take_facts("toy", take_uid), TakeFacts, "")
        old = states(read_model(made.paths.take_annotation("toy", take_uid), TakeAnnotation, ""), facts)
        new = states(world.annotation(take_uid), world.facts(take_uid))
        assert {place: old[place] for place in new} == new
        assert len(old) - len(new) <= vanished
        assert {camera: of.frames for camera, of in world.facts(take_uid).cameras.items()} == {
            camera: of.frames for camera, of in facts.cameras.items()
        }
    assert world.annotation(VAL_1).scenario == before.scenario
    splits = [read_model(paths.split_file("toy"), SplitFile, "") for paths in (made.paths, world.paths)]
    assert splits[0] == splits[1]
    assert world.check().errors == 0


@pytest.mark.parametrize("layout", ["baseline", "omama", "coco"])
def test_ones_own_data_with_a_worn_camera_of_any_name(tmp_path: Path, layout: str) -> None:
    mine = custom_world(tmp_path)
    for take in ("one", "two"):
        (mine.root / take / "ego").rename(mine.root / take / "head")
        (mine.root / take / "masks/ego").rename(mine.root / take / "masks/head")
    mine.dataset(ego=["head"], scenario="Tea", split={"train": ["two"], "test": ["one"]})
    assert mine.bring().is_good
    made = Made(mine.paths, "mine")
    assert export(made, layout).is_good
    world = bring_back(made, layout, tmp_path)
    for take in ("one", "two"):
        before, after = mine.annotation(take), world.annotation(take)
        assert after.masks == before.masks
        assert mine.facts(take).cameras.keys() == world.facts(take).cameras.keys()
        assert world.facts(take).cameras["head"].is_ego and not world.facts(take).cameras["cam1"].is_ego
        if layout != "baseline":
            assert after == before
            assert states(after, world.facts(take)) == states(before, mine.facts(take))
    if layout == "omama":
        assert parsed(world.paths.output_dir("mine")) == parsed(made.root)


def test_done_is_kept_and_another_layout_is_another_tree(made: Made) -> None:
    assert export(made, "omama").made == ["toy"]
    assert export(made, "omama").skipped == ["toy"]
    assert export(made, "coco").made == ["toy"]
    assert made.paths.export("toy", "omama").is_dir() and made.paths.export("toy", "coco").is_dir()
    assert export(made, "omama", redo=True).made == ["toy"]


def test_a_folder_of_somebody_else_is_never_replaced(made: Made, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.mkdir()
    (target / "thesis.txt").write_text("three years")
    assert "holds files that no export made" in export(made, "omama", target=str(target)).failed["toy"]
    assert (target / "thesis.txt").read_text() == "three years"
    (target / "thesis.txt").unlink()
    assert export(made, "omama", target=str(target)).made == ["toy"]
    assert export(made, "omama", redo=True, target=str(target)).made == ["toy"]
    record = read_model(target / "export.json", ExportRecord, "")
    assert (record.dataset, record.layout, record.takes) == ("toy", "omama", {"train": 2, "val": 1, "test": 1})
    for inside in (made.root / "out", made.paths.data):
        assert "lie within each other" in export(made, "omama", redo=True, target=str(inside)).failed["toy"]


HARM: dict[str, tuple[Callable[[Made], Any], str]] = {
    "picture gone": (
        lambda made: made.paths.frame("toy", VAL_1, EGO, 0).unlink(),
        f"1 pictures that {VAL_1}/take.json lists are gone in {EGO}",
    ),
    "take not processed": (
        lambda made: made.paths.take_facts("toy", VAL_1).unlink(),
        f"take {VAL_1} left out: ",
    ),
    "take damaged": (
        lambda made: made.paths.take_annotation("toy", VAL_1).write_text("{"),
        f"take {VAL_1} left out: ",
    ),
}


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize("layout", ["baseline", "omama", "coco"])
def test_what_is_missing_is_said_and_the_rest_goes_out(made: Made, layout: str, harm: str) -> None:
    change, expected = HARM[harm]
    change(made)
    summary = export(made, layout)
    assert summary.made == ["toy"] and expected in summary.incomplete["toy"]


def test_nothing_to_export(tmp_path: Path) -> None:
    made = small_dataset(tmp_path)
    for take_uid in TAKES:
        shutil.rmtree(made.paths.take_dir("toy", take_uid))
    assert "there is no take to export" in export(made, "omama").failed["toy"]
    assert not made.paths.export("toy", "omama").exists()


def test_masks_that_vanish_and_frames_without_a_picture(made: Made, tmp_path: Path) -> None:
    file = made.paths.take_annotation("toy", VAL_1)
    annotation = json.loads(file.read_text())
    dot = np.zeros((64, 96), np.uint8, "F")
    dot[1, 1] = 1
    annotation["masks"][SHAKER][CAM1]["0"]["counts"] = coco_mask.encode(dot)["counts"].decode()
    file.write_text(json.dumps(annotation))
    facts = json.loads(made.paths.take_facts("toy", VAL_1).read_text())
    facts["cameras"][CAM2]["frames"].remove(150)
    facts["cameras"][CAM2]["frames"].remove(0)
    made.paths.take_facts("toy", VAL_1).write_text(json.dumps(facts))
    assert export(made, "coco").is_good
    lost = dropped(made)
    assert lost["masks_that_vanish_at_the_size_of_their_picture"] >= 1
    assert (lost["masks_without_a_picture"], lost["absences_without_a_picture"]) == (2, 1)
    world = bring_back(made, "coco", tmp_path)
    seen = states(world.annotation(VAL_1), world.facts(VAL_1))
    assert (SHAKER, CAM1, 0) not in seen, "small is not absent"
    assert seen[SHAKER, CAM1, 30] == "absent"


@pytest.mark.slow
def test_what_egoexo_process_made_goes_out_and_comes_back(tmp_path: Path) -> None:
    line = Line.make(tmp_path)
    line.index()
    line.process()
    made = pairs_and_all(Made(line.paths, "cooking"))
    assert export(made, "omama").is_good
    world = bring_back(made, "omama", tmp_path)
    assert parsed(world.paths.output_dir("cooking")) == parsed(made.root)
    assert world.check().errors == 0
    assert export(made, "baseline", redo=True).is_good
    assert bring_back(made, "baseline", tmp_path / "other").check().errors == 0
