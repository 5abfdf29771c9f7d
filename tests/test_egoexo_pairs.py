"""egoexo-pairs: the rule, the target's state, sampling, and what is not written but counted."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from pipeline.config_egoexo import PairsKnobs
from pipeline.console import Console
from pipeline.egoexo import pairs
from pipeline.errors import PipelineError
from pipeline.knobs import knob_doc
from pipeline.ops.egoexo.sampling import sample_indices, wanted_number
from pipeline.paths import Paths
from pipeline.phases import phase
from pipeline.runner import Summary, run_phase
from pipeline.schema.base import read_model
from pipeline.schema.egoexo_pairs import SETTINGS, TypedPair, VirtualPath
from pipeline.schema.egoexo_release import SPLITS
from pipeline.schema.egoexo_reports import PairsReport
from tests.processed_takes import (
    CAM1,
    CAM2,
    EGO,
    KITCHEN,
    KITCHEN_PAIRS,
    KITCHEN_TARGETS,
    TEST_1,
    TRAIN_1,
    TRAIN_2,
    VAL_1,
    Made,
    relations_of,
    small_dataset,
    write_split,
    write_take,
)

PAGE = Path(__file__).resolve().parents[1] / "docs" / "relations-format.md"
SHARED = Path(__file__).resolve().parents[2] / "shared" / "samples" / "egoexo"


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return small_dataset(tmp_path)


def make_pairs(made: Made, **knobs: Any) -> Summary:
    redo = knobs.pop("redo", ())
    return run_phase(phase("egoexo-pairs"), [made.name], PairsKnobs(**knobs), made.paths, Console(), redo)


def pair_list(made: Made, split: str, setting: str) -> list[list[str]]:
    content: list[list[str]] = json.loads(made.paths.pairs(made.name, split, setting).read_text())
    return content


def typed_list(made: Made, split: str, setting: str) -> list[TypedPair]:
    lines = made.paths.typed_pairs(made.name, split, setting).read_text().splitlines()
    return [TypedPair.model_validate_json(line) for line in lines]


def report_of(made: Made) -> PairsReport:
    return read_model(made.paths.report(made.name, "pairs"), PairsReport, "")


def test_every_pair_of_the_rule_is_written_with_its_targets_state(made: Made) -> None:
    assert make_pairs(made).is_good
    for split, takes in (("train", 2), ("val", 1), ("test", 1)):
        for setting in SETTINGS:
            assert len(pair_list(made, split, setting)) == takes * KITCHEN_PAIRS[setting]
            states = Counter(typed.target for typed in typed_list(made, split, setting))
            assert states == {state: takes * number for state, number in KITCHEN_TARGETS[setting].items()}


def test_a_pair_is_ego_rgb_ego_mask_exo_rgb_exo_mask_in_both_settings(made: Made) -> None:
    make_pairs(made)
    prefix = f"output_dir_toy//{TRAIN_1}"
    assert pair_list(made, "train", "egoexo")[0] == [
        f"{prefix}//{EGO}//salt/pepper shaker_0//rgb//0",
        f"{prefix}//{EGO}//salt/pepper shaker_0//mask//0",
        f"{prefix}//{CAM1}//salt/pepper shaker_0//rgb//0",
        f"{prefix}//{CAM1}//salt/pepper shaker_0//mask//0",
    ]
    assert pair_list(made, "train", "exoego")[0] == pair_list(made, "train", "egoexo")[0]


def test_line_k_of_the_typed_file_is_line_k_of_the_pair_file(made: Made) -> None:
    make_pairs(made, sample_train=0.5, seed=3)
    for split in SPLITS:
        for setting in SETTINGS:
            text = made.paths.pairs(made.name, split, setting).read_text().splitlines()
            content, typed = pair_list(made, split, setting), typed_list(made, split, setting)
            assert len(content) == len(typed) == len(text) > 0
            for line, paths, kind in zip(text, content, typed, strict=True):
                assert json.loads(line.strip("[],").join("[]")) == paths
                for path, camera in zip(paths, [kind.ego_camera] * 2 + [kind.exo_camera] * 2, strict=True):
                    parsed = VirtualPath.parse(path)
                    assert (parsed.take_uid, parsed.camera, parsed.object, parsed.frame) == (
                        kind.take_uid, camera, kind.object, kind.frame,
                    )  # fmt: skip
                assert (kind.split, kind.setting) == (split, setting)


def test_order_is_that_of_the_split_and_frames_count_up_as_numbers(tmp_path: Path) -> None:
    made = Made(Paths(tmp_path), "toy")
    write_split(made.paths, "toy", {"train": [TRAIN_2, TRAIN_1]})
    masks = relations_of({"mug_0": {EGO: ([0, 1000, 120, 30, 90], []), CAM2: ([0], []), CAM1: ([30], [])}})
    for take_uid in (TRAIN_1, TRAIN_2):
        write_take(made.paths, "toy", take_uid, masks)
    assert make_pairs(made).is_good
    order = [(line.take_uid, line.exo_camera, line.frame) for line in typed_list(made, "train", "egoexo")]
    frames = [0, 30, 90, 120, 1000]
    assert order == [(uid, cam, frame) for uid in (TRAIN_2, TRAIN_1) for cam in (CAM2, CAM1) for frame in frames]


def test_all_six_files_are_there_even_for_a_split_without_takes(tmp_path: Path) -> None:
    made = Made(Paths(tmp_path), "toy")
    write_split(made.paths, "toy", {"val": [VAL_1]})
    write_take(made.paths, "toy", VAL_1, relations_of(KITCHEN))
    assert make_pairs(made).is_good
    assert pair_list(made, "train", "egoexo") == [] and typed_list(made, "train", "egoexo") == []
    assert len(list(made.root.glob("*_pairs.json"))) == len(list(made.root.glob("*_pairs_typed.jsonl"))) == 6


def test_paths_are_relative_to_data(made: Made) -> None:
    make_pairs(made)
    for file in made.root.glob("*_pairs*"):
        assert str(made.paths.data) not in file.read_text()
    for path in pair_list(made, "val", "egoexo")[0]:
        parsed = VirtualPath.parse(path)
        picture = made.paths.data / parsed.data_dir / parsed.take_uid / parsed.camera / f"{parsed.frame}.jpg"
        assert parsed.kind == "mask" or picture.is_file()


# ---- pictures and takes that are not there -------------------------------------------------------------------------


def test_a_pair_without_its_pictures_is_counted_and_not_written(made: Made) -> None:
    made.paths.frame("toy", VAL_1, EGO, 0).unlink()
    made.paths.frame("toy", VAL_1, CAM1, 0).unlink()
    made.paths.frame("toy", VAL_1, CAM1, 90).unlink()
    made.paths.frame("toy", VAL_1, CAM2, 90).write_bytes(b"")
    summary = make_pairs(made)
    # Frame 0 is in egoexo with cam01 and cam02, in exoego from cam01 and (bottle) cam02; cam01's 90 is the shaker's and
    # the board's, cam02's the bottle's.
    counts = {file.setting: file for file in report_of(made).files if file.split == "val"}
    assert counts["egoexo"].dropped == {"without_either_picture": 1, "without_ego_picture": 1}
    assert counts["exoego"].dropped == {
        "without_either_picture": 1, "without_ego_picture": 1, "without_exo_picture": 3,
    }  # fmt: skip
    for setting in SETTINGS:
        assert counts[setting].written == len(pair_list(made, "val", setting))
        assert counts[setting].written + sum(counts[setting].dropped.values()) == KITCHEN_PAIRS[setting]
        for typed in typed_list(made, "val", setting):
            for camera in (typed.ego_camera, typed.exo_camera):
                assert made.paths.frame("toy", VAL_1, camera, typed.frame).stat().st_size
    assert summary.dropped == {
        "pairs_without_ego_picture": 2, "pairs_without_either_picture": 2, "pairs_without_exo_picture": 3,
    }  # fmt: skip
    assert not summary.is_good and "are gone" in summary.incomplete["toy"]
    missing = {(item.camera, item.reason): item.frames for item in report_of(made).missing_pictures}
    assert missing == {
        (EGO, pairs.NOT_ON_DISK): [0],
        (CAM1, pairs.NOT_ON_DISK): [0, 90],
        (CAM2, pairs.NOT_ON_DISK): [90],
    }


def test_pictures_that_process_could_not_make_cost_no_second_failure(made: Made) -> None:
    shutil.rmtree(made.paths.take_dir("toy", VAL_1))
    gone = {CAM1: {90: "the video shows 80 frames", 120: "the video shows 80 frames"}}
    write_take(made.paths, "toy", VAL_1, relations_of(KITCHEN), missing=gone)
    summary = make_pairs(made)
    assert summary.is_good and summary.dropped["pairs_without_exo_picture"] == 1 + 3
    [missing] = report_of(made).missing_pictures
    assert (missing.reason, missing.frames) == ("the video shows 80 frames", [90, 120])


def test_a_camera_that_take_json_lacks_is_counted_too(made: Made) -> None:
    file = made.paths.take_facts("toy", TEST_1)
    content = json.loads(file.read_text())
    del content["cameras"][CAM2]
    file.write_text(json.dumps(content))
    summary = make_pairs(made)
    assert summary.dropped == {"pairs_without_exo_picture": 4 + 4}
    [missing] = report_of(made).missing_pictures
    assert (missing.camera, missing.reason) == (CAM2, pairs.NO_CAMERA)


def test_takes_that_are_not_processed_are_reported_and_come_in_later(made: Made) -> None:
    folder = made.paths.take_dir("toy", TRAIN_2)
    folder.rename(made.root.parent / "aside")
    first = make_pairs(made)
    assert not first.is_good and "1 of 4 takes" in first.incomplete["toy"] and TRAIN_2 in first.incomplete["toy"]
    assert report_of(made).not_processed == [TRAIN_2]
    assert len(pair_list(made, "train", "egoexo")) == KITCHEN_PAIRS["egoexo"]
    again = make_pairs(made)
    assert again.skipped == ["toy"] and not again.is_good
    (made.root.parent / "aside").rename(folder)
    last = make_pairs(made)
    assert last.made == ["toy"] and last.is_good
    assert len(pair_list(made, "train", "egoexo")) == 2 * KITCHEN_PAIRS["egoexo"]


def test_a_take_without_both_files_is_not_processed(made: Made) -> None:
    made.paths.take_facts("toy", VAL_1).unlink()
    make_pairs(made)
    assert report_of(made).not_processed == [VAL_1]


@pytest.mark.parametrize("object_masks", [None, {"mug_0": {EGO: {}}}, {"mug_0": {EGO: {"annotation": {"x": {}}}}}])
def test_a_take_that_cannot_be_read_costs_no_other(made: Made, object_masks: Any) -> None:
    file = made.paths.take_annotation("toy", VAL_1)
    file.write_text(json.dumps(json.loads(file.read_text()) | {"object_masks": object_masks}))
    summary = make_pairs(made)
    assert not summary.is_good and f"{VAL_1} cannot be read" in summary.incomplete["toy"]
    assert len(pair_list(made, "train", "exoego")) == 2 * KITCHEN_PAIRS["exoego"]


def test_no_take_at_all_is_an_error(made: Made) -> None:
    for take_uid in (TRAIN_1, TRAIN_2, VAL_1, TEST_1):
        shutil.rmtree(made.paths.take_dir("toy", take_uid))
    assert "no take of" in make_pairs(made).failed["toy"]
    assert not list(made.root.glob("*pairs*"))
    made.paths.split_file("toy").unlink()
    assert "split.json" in make_pairs(made).failed["toy"]


def test_a_take_without_pairs_is_named(made: Made) -> None:
    shutil.rmtree(made.paths.take_dir("toy", VAL_1))
    write_take(made.paths, "toy", VAL_1, relations_of({"mug_0": {CAM1: ([0], [])}}))
    assert make_pairs(made).dropped == {"takes_without_pairs": 1}
    assert "no object" in report_of(made).without_pairs[VAL_1]


def test_a_name_that_no_path_can_hold_costs_only_its_object(made: Made) -> None:
    shutil.rmtree(made.paths.take_dir("toy", VAL_1))
    seen = {EGO: ([0], []), CAM1: ([0], [])}
    odd = {"a//b_0": seen, "/edge/": seen, " blank ": seen, "ünïcode \U0001f600_0": seen}
    write_take(made.paths, "toy", VAL_1, relations_of(odd))
    summary = make_pairs(made)
    assert summary.dropped == {"pairs_with_a_name_that_no_path_can_hold": 2} and not summary.is_good
    assert [line.object for line in typed_list(made, "val", "egoexo")] == list(odd)[1:]
    assert [VirtualPath.parse(paths[3]).object for paths in pair_list(made, "val", "egoexo")] == list(odd)[1:]


def test_empty_masks_are_absent_and_damaged_ones_unannotated(made: Made) -> None:
    for reason, state in (("empty", "absent"), ("damaged", "unannotated"), ("wrong_size", "unannotated")):
        shutil.rmtree(made.paths.take_dir("toy", VAL_1))
        write_take(made.paths, "toy", VAL_1, relations_of({"mug_0": {EGO: ([0, 30], []), CAM1: ([0, 30], [])}}))
        for file in (made.paths.take_annotation("toy", VAL_1), made.paths.take_facts("toy", VAL_1)):
            content = json.loads(file.read_text())
            if "masks" in content:
                del content["masks"]["mug_0"][CAM1]["30"]
            else:
                left_out = {"object": "mug_0", "camera": CAM1, "frame": 30, "reason": reason}
                content["left_out_masks"] = [left_out]
            file.write_text(json.dumps(content))
        assert make_pairs(made).is_good
        assert [line.target for line in typed_list(made, "val", "egoexo")] == ["present", state]
        assert [line.frame for line in typed_list(made, "val", "exoego")] == [0]


# ---- sampling ------------------------------------------------------------------------------------------------------


def test_ratio_and_count(made: Made) -> None:
    make_pairs(made, sample_train=0.25, sample_val=7, sample_test=0)
    assert [len(pair_list(made, "train", setting)) for setting in SETTINGS] == [5, 6]  # of 20 and 22, half up
    assert [len(pair_list(made, "val", setting)) for setting in SETTINGS] == [7, 7]
    assert [len(pair_list(made, "test", setting)) for setting in SETTINGS] == [0, 0]
    train = next(file for file in report_of(made).files if (file.split, file.setting) == ("train", "egoexo"))
    assert (train.by_rule, train.written, train.dropped, train.is_sampled) == (20, 5, {"not_sampled": 15}, True)


def test_asking_for_more_than_there_is_keeps_all_and_says_so(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    assert make_pairs(made, sample_val=500).is_good
    assert len(pair_list(made, "val", "egoexo")) == KITCHEN_PAIRS["egoexo"]
    said = capsys.readouterr().err
    assert "val egoexo: 500 pairs asked for, but there are 10" in said
    make_pairs(made, sample_val=0.01, redo=["egoexo-pairs"])
    assert "0.01 of 10 pairs is none" in capsys.readouterr().err


def test_one_means_all_and_all_places_say_so(made: Made) -> None:
    make_pairs(made, sample_train=1, sample_val=2)
    assert len(pair_list(made, "train", "egoexo")) == 20 and len(pair_list(made, "val", "egoexo")) == 2
    for split in SPLITS:
        documentation = knob_doc(next(item for item in fields(PairsKnobs) if item.name == f"sample_{split}"))
        assert "1 or less is a ratio (1: all), 2 or more an exact number" in documentation.doc
    assert "`SAMPLE_TEST=1` keeps all; the smallest number that can be asked for is 2" in PAGE.read_text()
    with pytest.raises(PipelineError, match=r"1 keeps all.* 2 or more pairs"):
        wanted_number(5, 1.5)


def test_what_is_neither_ratio_nor_number_is_refused(made: Made) -> None:
    assert "1.5" in make_pairs(made, sample_train=1.5).failed["toy"]
    with pytest.raises(PipelineError):
        PairsKnobs(sample_train=-0.1)


def test_a_sample_keeps_the_order_and_depends_on_the_seed(made: Made) -> None:
    make_pairs(made)
    whole = pair_list(made, "train", "exoego")
    drawn = []
    for seed in (1, 1, 2):
        make_pairs(made, sample_train=9, seed=seed, redo=["egoexo-pairs"])
        drawn.append(pair_list(made, "train", "exoego"))
        positions = [whole.index(pair) for pair in drawn[-1]]
        assert positions == sorted(positions) and len(set(positions)) == 9
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.slow
@pytest.mark.parametrize("asked", ["0.3", "8"])
def test_the_same_bytes_whatever_the_hash_seed(made: Made, asked: str) -> None:
    contents = []
    for hash_seed in ("0", "4242"):
        command = [sys.executable, "-m", "pipeline", "egoexo-pairs", "--name", "toy", "--data", str(made.paths.data)]
        options = ["--sample-train", asked, "--redo", "egoexo-pairs"]
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        subprocess.run([*command, *options], env=environment, check=True, capture_output=True)
        contents.append({file.name: file.read_bytes() for file in sorted(made.root.glob("*pairs*"))})
    assert contents[0] == contents[1] and len(contents[0]) == 12


def test_sampling_functions() -> None:
    assert [wanted_number(10, asked) for asked in (0, 0.04, 0.05, 0.55, 1, 2, 10, 11, 1e9)] == [
        0, 0, 1, 6, 10, 2, 10, 10, 10,
    ]  # fmt: skip
    assert wanted_number(0, 0.5) == wanted_number(0, 5) == 0
    assert sample_indices(0, 0, "x") == sample_indices(5, 0, "x") == []
    assert sample_indices(5, 9, "x") == [0, 1, 2, 3, 4]
    small, large = sample_indices(1000, 100, "42"), sample_indices(1000, 300, "42")
    assert len(set(small)) == 100 and small == sorted(small) and set(small) < set(large)
    assert 400 < sum(large) / 300 < 600
    state = random.getstate()
    sample_indices(100, 10, "42")
    assert random.getstate() == state


# ---- the sample release --------------------------------------------------------------------------------------------

README_PAIRS = {
    ("train", "egoexo"): (117, 97, 11, 9), ("train", "exoego"): (135, 97, 20, 18),
    ("val", "egoexo"): (52, 41, 6, 5), ("val", "exoego"): (51, 41, 5, 5),
    ("test", "egoexo"): (73, 59, 2, 12), ("test", "exoego"): (77, 59, 8, 10),
}  # fmt: skip


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason="no reference data here")
def test_the_counts_of_the_sample_release(tmp_path: Path) -> None:
    made = Made(Paths(tmp_path), "sample")
    write_split(made.paths, "sample", json.loads((SHARED / "split.json").read_text()))
    release = SHARED / "s3" / "ego4d-consortium-sharing" / "egoexo-public" / "v2"
    for split in SPLITS:
        takes = json.loads((release / "annotations" / f"relations_{split}.json").read_text())["annotations"]
        for take_uid, take in takes.items():
            sizes = {
                camera: (mask["width"], mask["height"])
                for seen in take["object_masks"].values()
                for camera, subtree in seen.items()
                for mask in subtree["annotation"].values()
            }
            write_take(
                made.paths, "sample", take_uid, take["object_masks"], take["take_name"], sizes,
                stored_wh=dict.fromkeys(sizes, (16, 9)),
            )  # fmt: skip
    assert make_pairs(made).is_good
    for (split, setting), expected in README_PAIRS.items():
        states = Counter(line.target for line in typed_list(made, split, setting))
        found = (states["present"], states["absent"], states["unannotated"])
        assert (len(pair_list(made, split, setting)), *found) == expected, (split, setting)


def test_an_ego_camera_without_pictures_does_not_stand_for_an_object(made: Made) -> None:
    second = "aria02_214-1"
    seen = {"cup_0": {EGO: ([0, 30, 60], []), second: ([0, 30], []), CAM1: ([0, 30, 60], [])}}
    sizes = dict.fromkeys((EGO, second, CAM1), (64, 64))
    gone = {EGO: dict.fromkeys((0, 30, 60), "its video does not open")}
    shutil.rmtree(made.paths.take_dir(made.name, VAL_1))
    write_take(made.paths, made.name, VAL_1, relations_of(seen, sizes), sizes_wh=sizes, missing=gone)
    write_split(made.paths, made.name, {"val": [VAL_1]})
    make_pairs(made)
    assert [VirtualPath.parse(pair[0]).camera for pair in pair_list(made, "val", "egoexo")] == [second, second]


def test_an_ego_camera_without_video_never_becomes_an_exo_camera(made: Made) -> None:
    seen = {"cup_0": {EGO: ([0, 30], []), CAM1: ([0, 30], []), CAM2: ([0], [])}}
    shutil.rmtree(made.paths.take_dir(made.name, VAL_1))
    write_take(made.paths, made.name, VAL_1, relations_of(seen))
    write_split(made.paths, made.name, {"val": [VAL_1]})
    file = made.paths.take_facts(made.name, VAL_1)
    facts = json.loads(file.read_text())
    del facts["cameras"][CAM2]
    file.write_text(json.dumps(facts | {"without_frames": {CAM2: True}}))
    summary = make_pairs(made)
    assert "pairs_without_exo_picture" not in summary.dropped and not summary.dropped
    assert len(pair_list(made, "val", "egoexo")) == 2
