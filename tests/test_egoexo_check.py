"""egoexo-check: a whole data set is good, and each fault put into one is found by its name."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from pipeline.config_egoexo import CheckKnobs, PairsKnobs
from pipeline.console import Console
from pipeline.egoexo.findings import KINDS
from pipeline.ops.pictures.jpeg_file import PictureError, jpeg_size_wh
from pipeline.paths import Paths
from pipeline.phases import phase
from pipeline.runner import Summary, run_phase
from pipeline.schema.base import read_model
from pipeline.schema.egoexo_pairs import SETTINGS
from pipeline.schema.egoexo_reports import CheckReport
from tests.processed_takes import (
    CAM1,
    CAM2,
    EGO,
    KITCHEN_PAIRS,
    TEST_1,
    TRAIN_1,
    TRAIN_2,
    VAL_1,
    Made,
    small_dataset,
    write_picture,
)

SHAKER, BOARD, BOTTLE = "salt/pepper shaker_0", "cutting board _0", "Oil bottle_12"
NAME = "toy"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set with pairs in which nothing is wrong."""
    made = small_dataset(tmp_path_factory.mktemp("whole"), NAME)
    assert run_phase(phase("egoexo-pairs"), [NAME], PairsKnobs(), made.paths, Console()).is_good
    return made.paths.data


@pytest.fixture
def made(whole: Path, tmp_path: Path) -> Made:
    shutil.copytree(whole, tmp_path / "data")
    return Made(Paths(tmp_path / "data"), NAME)


def check(made: Made, **knobs: Any) -> tuple[Summary, CheckReport]:
    summary = run_phase(phase("egoexo-check"), [made.name], CheckKnobs(**knobs), made.paths, Console())
    return summary, read_model(made.paths.report(made.name, "check"), CheckReport, "")


def kinds_of(report: CheckReport) -> dict[str, int]:
    return {kind.kind: kind.number for kind in report.kinds}


def edit(file: Path, change: Callable[[Any], Any]) -> None:
    """Change the JSON in a file; what `change` returns replaces it, unless that is None."""
    content = json.loads(file.read_text())
    changed = change(content)
    file.write_text(json.dumps(content if changed is None else changed))


def annotation(made: Made, change: Callable[[Any], Any]) -> None:
    edit(made.paths.take_annotation(NAME, VAL_1), change)


def facts(made: Made, change: Callable[[Any], Any]) -> None:
    edit(made.paths.take_facts(NAME, VAL_1), change)


def pairs(made: Made, change: Callable[[Any], Any]) -> None:
    """Of the val split, so that train and test stay as they are."""
    edit(made.paths.pairs(NAME, "val", "egoexo"), change)


def typed(made: Made, change: Callable[[list[Any]], Any]) -> None:
    file = made.paths.typed_pairs(NAME, "val", "egoexo")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines = change(lines) or lines
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def mask_of(content: Any) -> Any:
    return content["masks"][BOARD][EGO]["30"]


def put(content: Any, **values: Any) -> None:
    content.update(values)


def counts_of(pixels: Any) -> str:
    encoded: bytes = coco.encode(np.asfortranarray(pixels, np.uint8))["counts"]
    return encoded.decode()


def test_a_whole_data_set_is_good(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    summary, report = check(made)
    assert summary.is_good and report.is_good and not report.findings
    pictures = len(list(made.root.rglob("*.jpg")))
    masks = 4 * (4 + 3 + 2 + 2 + 4 + 2 + 1 + 2)
    assert report.counts == {
        "takes": 4, "pictures": pictures, "masks": masks, "pairs": 4 * sum(KITCHEN_PAIRS.values()),
    }  # fmt: skip
    assert check(made)[0].made == [NAME]  # each time anew


def test_sampled_pairs_lack_nothing(made: Made) -> None:
    knobs = PairsKnobs(sample_train=0.5, sample_val=3)
    run_phase(phase("egoexo-pairs"), [NAME], knobs, made.paths, Console(), ["egoexo-pairs"])
    assert check(made)[1].is_good
    edit(made.paths.pairs(NAME, "train", "exoego"), lambda content: content[:-1])
    assert set(kinds_of(check(made)[1])) == {"pair_number", "typed_number"}


def test_pairs_of_somebody_else_may_be_some_of_the_rule(made: Made) -> None:
    made.paths.report(NAME, "pairs").unlink()
    for setting in SETTINGS:
        edit(made.paths.pairs(NAME, "val", setting), lambda content: content[2:4])
        lines = made.paths.typed_pairs(NAME, "val", setting).read_text().splitlines(keepends=True)
        made.paths.typed_pairs(NAME, "val", setting).write_text("".join(lines[2:4]))
    assert check(made)[1].is_good


def test_folders_of_later_phases_are_no_orphans(made: Made) -> None:
    for folder in ("proposals", "features"):
        (made.root / folder).mkdir()
        (made.root / folder / "x.npz").write_bytes(b"x")
    assert check(made)[1].is_good


def without_train_2(made: Made) -> None:
    edit(made.paths.split_file(NAME), lambda splits: splits["train"].remove(TRAIN_2))
    assert run_phase(
        phase("egoexo-pairs"), [NAME], PairsKnobs(), made.paths, Console(), ["egoexo-pairs"]
    ).is_good  # its pairs go with it


def test_a_whole_take_that_the_split_no_longer_has_is_no_error(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    without_train_2(made)
    summary, report = check(made)
    assert summary.is_good and report.is_good and kinds_of(report) == {"take_not_in_split": 1}
    (finding,) = report.findings
    assert finding.where == f"{TRAIN_2}/"
    assert f"delete the folder, or put {TRAIN_2} back by SPLIT= or TAKES=" in finding.detail
    assert report.counts["takes"] == 3
    assert "take_not_in_split (warning)" in capsys.readouterr().err


def test_a_broken_take_that_the_split_no_longer_has_is_one(made: Made) -> None:
    without_train_2(made)
    truncate(made.paths.frame(NAME, TRAIN_2, EGO, 30), 0.5)
    summary, report = check(made)
    assert not summary.is_good and kinds_of(report) == {"orphan_file": 1}
    assert "of no take in split.json; delete the folder" in report.findings[0].detail


# ---- one fault, one name -------------------------------------------------------------------------------------------

Fault = Callable[[Made], Any]


def truncate(file: Path, share: float) -> None:
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])


def rewrite(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def replace_camera(content: Any, camera: str, by: str) -> None:
    content[0] = [path.replace(camera, by) for path in content[0]]


def empty_mask(content: Any) -> None:
    mask_of(content)["counts"] = counts_of(np.zeros((64, 64)))


def other_mask(content: Any) -> None:
    mask_of(content)["counts"] = counts_of(np.eye(64))


def other_size(content: Any) -> None:
    put(mask_of(content), size=[32, 32], counts=counts_of(np.ones((32, 32))))


def drop_camera(content: Any) -> None:
    for cameras in content["object_masks"].values():
        cameras.pop(CAM2, None)


FAULTS: dict[str, tuple[set[str], Fault]] = {
    # name of the fault → kinds that must be found, the fault itself
    "no split.json": (
        {"split_missing"},
        lambda made: made.paths.split_file(NAME).unlink(),
    ),
    "split.json is cut off": ({"split_invalid"}, lambda made: truncate(made.paths.split_file(NAME), 0.5)),
    "split.json is empty": ({"split_empty"}, lambda made: made.paths.split_file(NAME).write_text("{}")),
    "a take in two splits": (
        {"split_overlap"},
        lambda made: edit(made.paths.split_file(NAME), lambda content: content["test"].append(VAL_1)),
    ),
    "a take that was never processed": (
        {"take_missing"},
        lambda made: edit(made.paths.split_file(NAME), lambda content: content["test"].append("5" * 8)),
    ),
    "a take's folder is gone": (
        {"take_missing", "pair_picture_missing"},
        lambda made: shutil.rmtree(made.paths.take_dir(NAME, VAL_1)),
    ),
    "no annotation.json": ({"annotation_missing"}, lambda made: made.paths.take_annotation(NAME, VAL_1).unlink()),
    "annotation.json is cut off": (
        {"annotation_invalid"},
        lambda made: truncate(made.paths.take_annotation(NAME, VAL_1), 0.5),
    ),
    "annotation.json is a list": ({"annotation_invalid"}, lambda made: annotation(made, lambda content: [content])),
    "object_masks of another shape": (
        {"annotation_invalid"},
        lambda made: annotation(made, lambda content: put(content, object_masks={"mug_0": [1]})),
    ),
    "no masks": ({"annotation_keys"}, lambda made: annotation(made, lambda content: content.pop("masks") and None)),
    "one key too many": ({"annotation_keys"}, lambda made: annotation(made, lambda content: put(content, extra=1))),
    "no take.json": ({"facts_missing"}, lambda made: made.paths.take_facts(NAME, VAL_1).unlink()),
    "take.json is cut off": ({"facts_invalid"}, lambda made: truncate(made.paths.take_facts(NAME, VAL_1), 0.9)),
    "take.json without cameras": ({"facts_invalid"}, lambda made: facts(made, lambda content: {"take_uid": VAL_1})),
    "take.json of another take": (
        {"facts_disagree"},
        lambda made: facts(made, lambda content: put(content, take_uid=TEST_1)),
    ),
    "two names of a take": ({"facts_disagree"}, lambda made: facts(made, lambda content: put(content, take_name="x"))),
    "subsample_idx lacks a frame": (
        {"subsample_idx_wrong"},
        lambda made: annotation(made, lambda content: content["subsample_idx"].pop() and None),
    ),
    "subsample_idx is out of order": (
        {"subsample_idx_wrong"},
        lambda made: annotation(made, lambda content: content["subsample_idx"].reverse()),
    ),
    "a camera is not in take.json": (
        {"camera_missing", "orphan_file"},
        lambda made: facts(made, lambda content: content["cameras"].pop(CAM2) and None),
    ),
    "a camera without a picture": (
        {"camera_without_frames", "orphan_file", "scale_wrong"},
        lambda made: facts(
            made,
            lambda content: put(content["cameras"][CAM1], frames=[], scale=0.5),
        ),
    ),
    "a null mask": (
        {"mask_invalid", "pair_mask_missing", "typed_state_wrong"},
        lambda made: annotation(made, lambda content: put(content["masks"][BOARD][EGO], **{"30": None})),
    ),
    "a mask without a size": (
        {"mask_invalid"},
        lambda made: annotation(made, lambda c: mask_of(c).pop("size") and None),
    ),
    "counts as a list": ({"mask_invalid"}, lambda made: annotation(made, lambda c: put(mask_of(c), counts=[1, 2]))),
    "masks of a camera as a list": (
        {"mask_invalid", "mask_lost"},
        lambda made: annotation(made, lambda content: put(content["masks"][BOARD], **{CAM1: []})),
    ),
    "counts cut off": (
        {"mask_damaged"},
        lambda made: annotation(made, lambda content: put(mask_of(content), counts=mask_of(content)["counts"][:-1])),
    ),
    "counts with a foreign letter": (
        {"mask_damaged"},
        lambda made: annotation(made, lambda content: put(mask_of(content), counts="~" + mask_of(content)["counts"])),
    ),
    "a mask at half its size": (
        {"mask_damaged"},
        lambda made: annotation(made, lambda c: put(mask_of(c), size=[32, 64])),
    ),
    "a mask of no pixel": ({"mask_empty", "pair_mask_missing"}, lambda made: annotation(made, empty_mask)),
    "a mask of another size": ({"mask_size", "mask_forms_differ"}, lambda made: annotation(made, other_size)),
    "a mask that nobody drew": (
        {"mask_unknown"},
        lambda made: annotation(made, lambda c: put(c["masks"][BOARD][EGO], **{"90": dict(mask_of(c))})),
    ),
    "a mask is gone": (
        {"mask_lost", "pair_mask_missing"},
        lambda made: annotation(made, lambda content: content["masks"][BOARD][EGO].pop("30") and None),
    ),
    "another mask than the release's": ({"mask_forms_differ"}, lambda made: annotation(made, other_mask)),
    "encodedMask is damaged": (
        {"mask_forms_differ"},
        lambda made: annotation(
            made, lambda content: put(content["object_masks"][BOARD][EGO]["annotation"]["30"], encodedMask="!")
        ),
    ),
    "encodedMask is gone": (
        {"mask_forms_differ"},
        lambda made: annotation(
            made, lambda c: c["object_masks"][BOARD][EGO]["annotation"]["30"].pop("encodedMask") and None
        ),
    ),
    "a picture is gone": (
        {"frame_missing", "pair_picture_missing"},
        lambda made: made.paths.frame(NAME, VAL_1, EGO, 30).unlink(),
    ),
    "a wanted frame is not listed": (
        {"frame_missing", "pair_picture_missing"},
        lambda made: (
            made.paths.frame(NAME, VAL_1, EGO, 30).unlink(),
            facts(made, lambda content: content["cameras"][EGO]["frames"].remove(30)),
        ),
    ),
    "a picture is cut off": ({"picture_damaged"}, lambda made: truncate(made.paths.frame(NAME, VAL_1, CAM1, 30), 0.9)),
    "a picture is empty": (
        {"picture_damaged"},
        lambda made: made.paths.frame(NAME, VAL_1, CAM1, 30).write_bytes(b""),
    ),
    "a picture is no JPEG": (
        {"picture_damaged"},
        lambda made: made.paths.frame(NAME, VAL_1, CAM1, 30).write_text("<html>"),
    ),
    "a picture of another size": (
        {"picture_size"},
        lambda made: write_picture(made.paths.frame(NAME, VAL_1, CAM1, 30), (48, 32), 0),
    ),
    "a scale that is not so": (
        {"scale_wrong"},
        lambda made: facts(made, lambda content: put(content["cameras"][CAM1], scale=0.5)),
    ),
    "masks of another size than take.json's": (
        {"mask_size", "scale_wrong"},
        lambda made: facts(made, lambda content: put(content["cameras"][CAM1], native_size_wh=[64, 96])),
    ),
    "a picture too many": (
        {"orphan_file"},
        lambda made: write_picture(made.paths.frame(NAME, VAL_1, CAM1, 7), (24, 16), 0),
    ),
    "a padded frame number": (
        {"orphan_file"},
        lambda made: shutil.copy(made.paths.frame(NAME, VAL_1, EGO, 30), made.root / VAL_1 / EGO / "030.jpg"),
    ),
    "a half-written file": ({"orphan_file"}, lambda made: (made.root / ".split.json.1.partial").write_text("{")),
    "a take of no split": (
        {"orphan_file"},
        lambda made: shutil.copytree(made.root / VAL_1, made.root / "left over"),
    ),
    "a file that nobody knows": ({"orphan_file"}, lambda made: (made.root / VAL_1 / "notes.txt").write_text("?")),
    "an absolute video path": (
        {"absolute_path"},
        lambda made: facts(made, lambda content: put(content["cameras"][EGO], video="/data/me/takes/x.mp4")),
    ),
    "an absolute path in a warning": (
        {"absolute_path"},
        lambda made: facts(made, lambda content: content["warnings"].append("could not open '/home/me/x.mp4'")),
    ),
    "an absolute path in a pair": (
        {"absolute_path"},
        lambda made: rewrite(made.paths.pairs(NAME, "val", "egoexo"), "output_dir_toy", "/data/me/output_dir_toy"),
    ),
    "pairs of another data set": (
        {"pair_path_prefix"},
        lambda made: rewrite(made.paths.pairs(NAME, "val", "egoexo"), "output_dir_toy", "output_dir_other"),
    ),
    "a pair file is gone": ({"pair_file_missing"}, lambda made: made.paths.pairs(NAME, "test", "exoego").unlink()),
    "a pair file is cut off": (
        {"pair_file_invalid"},
        lambda made: truncate(made.paths.pairs(NAME, "val", "exoego"), 0.6),
    ),
    "a pair file holds a mapping": (
        {"pair_file_invalid"},
        lambda made: pairs(made, lambda content: {"pairs": content}),
    ),
    "a pair of three": (
        {"pair_file_invalid", "pair_lost"},
        lambda made: pairs(made, lambda content: content[0].pop() and None),
    ),
    "a path without its frame": (
        {"pair_path_invalid", "pair_lost"},
        lambda made: pairs(made, lambda content: put_path(content, 0, 2, content[0][2].rpartition("//")[0])),
    ),
    "exo before ego": (
        {"pair_roles", "pair_lost"},
        lambda made: pairs(made, lambda content: [[*content[0][2:], *content[0][:2]], *content[1:]]),
    ),
    "mask before rgb": (
        {"pair_roles"},
        lambda made: pairs(made, lambda content: [[content[0][index] for index in (1, 0, 3, 2)], *content[1:]]),
    ),
    "two frames in a pair": (
        {"pair_roles"},
        lambda made: pairs(made, lambda content: put_path(content, 0, 3, content[0][3].rpartition("//")[0] + "//60")),
    ),
    "a pair of another split's take": (
        {"pair_wrong_split", "pair_lost", "typed_differs"},
        lambda made: pairs(made, lambda content: replace_camera(content, VAL_1, TRAIN_1)),
    ),
    "a pair of a frame that is not there": (
        {"pair_picture_missing", "pair_mask_missing", "typed_differs"},
        lambda made: pairs(made, lambda content: [[f"{path[:-1]}999" for path in content[0]], *content[1:]]),
    ),
    "a pair without a source mask": (
        {"pair_mask_missing"},
        lambda made: pairs(made, lambda content: [[path.replace("//0", "//90") for path in content[0]], *content[1:]]),
    ),
    "a pair twice": (
        {"pair_duplicate", "pair_number", "typed_number"},
        lambda made: pairs(made, lambda content: [*content, content[0]]),
    ),
    "a pair is lost": (
        {"pair_lost", "pair_number", "typed_number", "typed_differs"},
        lambda made: pairs(made, lambda content: content[1:]),
    ),
    "a pair with a view that lacks the object": (
        {"pair_not_of_rule"},
        lambda made: pairs(
            made, lambda content: [*content, [path.replace(CAM1, CAM2) for path in board_pair(content)]]
        ),
    ),
    "the report of the pairs is damaged": (
        {"pairs_report_invalid"},
        lambda made: truncate(made.paths.report(NAME, "pairs"), 0.5),
    ),
    "another number than the report says": (
        {"pair_number"},
        lambda made: edit(made.paths.report(NAME, "pairs"), lambda content: put(content["files"][0], written=3)),
    ),
    "a typed file is gone": (
        {"typed_file_missing"},
        lambda made: made.paths.typed_pairs(NAME, "val", "egoexo").unlink(),
    ),
    "a typed line that is no JSON": (
        {"typed_file_invalid"},
        lambda made: rewrite(made.paths.typed_pairs(NAME, "val", "egoexo"), "}\n", "\n"),
    ),
    "a typed line with a state of its own": (
        {"typed_file_invalid"},
        lambda made: typed(made, lambda lines: put(lines[0], target="maybe")),
    ),
    "a typed line too few": ({"typed_number"}, lambda made: typed(made, lambda lines: lines[:-1])),
    "a typed line too many": ({"typed_number"}, lambda made: typed(made, lambda lines: [*lines, lines[0]])),
    "typed lines in another order": ({"typed_differs"}, lambda made: typed(made, lambda lines: lines[::-1])),
    "typed lines of the other setting": (
        {"typed_differs"},
        lambda made: typed(made, lambda lines: [line | {"setting": "exoego"} for line in lines]),
    ),
    "an unannotated target called absent": (
        {"typed_state_wrong"},
        lambda made: typed(
            made,
            lambda lines: [line | {"target": line["target"].replace("unannotated", "absent")} for line in lines],
        ),
    ),
}


def put_path(content: Any, pair: int, index: int, path: str) -> None:
    content[pair][index] = path


def board_pair(content: Any) -> list[str]:
    found: list[str] = next(paths for paths in content if BOARD in paths[0] and paths[0].endswith("//30"))
    return found


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found_by_its_name(made: Made, name: str) -> None:
    expected, fault = FAULTS[name]
    fault(made)
    summary, report = check(made)
    found = kinds_of(report)
    assert expected <= found.keys(), f"{name}: found {found}"
    errors = [kind for kind in report.kinds if kind.severity == "error"]
    assert report.is_good == (not errors) and summary.is_good == report.is_good
    for kind in errors:
        assert f"{kind.number} {kind.kind}" in summary.failed[NAME]


def test_what_process_already_reported_is_a_warning(made: Made) -> None:
    made.paths.frame(NAME, VAL_1, EGO, 30).unlink()
    facts(made, lambda content: content["cameras"][EGO]["frames"].remove(30))
    facts(made, lambda content: put(content["cameras"][EGO]["missing"], **{"30": "the video shows 20 frames"}))
    annotation(made, lambda content: content["masks"][SHAKER][CAM2].pop("150") and None)  # nothing else was seen then
    left_out = {"object": SHAKER, "camera": CAM2, "frame": 150, "reason": "damaged", "detail": "cut off"}
    facts(made, lambda content: put(content, left_out_masks=[left_out]))
    run_phase(phase("egoexo-pairs"), [NAME], PairsKnobs(), made.paths, Console())
    summary, report = check(made)
    assert kinds_of(report) == {"frame_known_missing": 1, "mask_left_out": 1}
    assert summary.is_good and report.is_good and report.warnings == 2


def test_every_kind_is_found_by_some_test() -> None:
    injected = set[str]().union(*(kinds for kinds, _ in FAULTS.values()))
    assert KINDS.keys() == injected | {"frame_known_missing", "mask_left_out", "take_not_in_split"}


def test_all_faults_are_collected_in_one_run(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["no annotation.json", "a pair file is gone", "a half-written file"]
    expected = set[str]().union(*(FAULTS[name][0] for name in names))
    for name in names:
        FAULTS[name][1](made)
    for frame in (0, 30, 60, 90, 120):
        made.paths.frame(NAME, TRAIN_2, CAM1, frame).unlink()
    summary, report = check(made)
    assert expected | {"frame_missing"} <= kinds_of(report).keys()
    said = capsys.readouterr().err
    assert "there is no" not in said and "a take has no annotation.json" in said
    assert "… and 2 more" in said and f"{TRAIN_2}/cam01/0.jpg" in said
    assert "test_exoego_pairs.json" in said and summary.failed


def test_the_report_of_a_failed_check_replaces_an_earlier_good_one(made: Made) -> None:
    assert check(made)[1].is_good
    manifest = made.paths.manifest("egoexo-check", NAME)
    assert manifest.exists()
    made.paths.frame(NAME, VAL_1, EGO, 30).unlink()
    assert not check(made)[1].is_good
    assert not manifest.exists()


def test_json_on_request(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    made.paths.frame(NAME, VAL_1, EGO, 30).unlink()
    _, report = check(made, json=True)
    assert CheckReport.model_validate_json(capsys.readouterr().out) == report


def test_nothing_at_all(tmp_path: Path) -> None:
    made = Made(Paths(tmp_path), NAME)
    summary, report = check(made)
    assert summary.failed and {"split_missing", "pair_file_missing", "typed_file_missing"} == kinds_of(report).keys()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}, {"subsampling": 0}, {"quality": 5}])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_any_whole_jpeg_opens(mode: str, options: dict[str, Any]) -> None:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (37, 61, 3), np.uint8)
    Image.fromarray(noise).convert(mode).save(file, "JPEG", **options)
    assert jpeg_size_wh(file.getvalue()) == jpeg_size_wh(file.getvalue() + b"\0" * 9) == (61, 37)
    for size in (0, 2, 300, len(file.getvalue()) - 2):
        with pytest.raises(PictureError):
            jpeg_size_wh(file.getvalue()[:size])


@pytest.mark.parametrize("damage", ["cut", "noise"])
def test_damage_inside_a_jpeg_is_seen(damage: str) -> None:
    draw = np.random.default_rng(0)
    picture = np.kron(draw.integers(0, 256, (88, 88, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=95)
    content = file.getvalue()
    for share in (0.3, 0.5, 0.8):
        at, length = int(len(content) * share), len(content) // 20
        inside = b"" if damage == "cut" else draw.bytes(length)
        damaged = content[:at] + inside + content[at + length :]
        with pytest.raises(PictureError):
            jpeg_size_wh(damaged)
