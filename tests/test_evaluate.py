"""evaluate and ground-truth: files in, files out, and what is said of a prediction file that cannot be scored."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.config import CommonKnobs
from pipeline.config_correspondence import EvaluateKnobs, GroundTruthKnobs
from pipeline.console import Console
from pipeline.correspondence import evaluate, ground_truth
from pipeline.correspondence.cases import choose_cases
from pipeline.errors import PipelineError
from pipeline.ops.evaluation.files import (
    empty_results,
    read_ground_truth,
    read_predictions,
    write_ground_truth,
    write_predictions,
)
from pipeline.ops.evaluation.findings import findings
from pipeline.ops.evaluation.ground_truth import truth_of_relations
from pipeline.ops.evaluation.protocols import PROTOCOLS, score_all
from pipeline.ops.evaluation.queries import queries
from pipeline.schema.evaluation import FindingRow, FindingsFile, Metrics
from tests.evaluation_world import COUNTS, EGO, TAKES, perfect, rectangle, rle, small_truth, truth_json, varied
from tests.processed_takes import CAM1, CAM2, KITCHEN_TARGETS, VAL_1, relations_of, small_dataset

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden" / "evaluation"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """gt.json, results of one direction, and a submission of both."""
    truth = small_truth()
    (tmp_path / "gt.json").write_text(json.dumps(truth_json()))
    both = {"ego-exo": varied(truth, "ego-exo"), "exo-ego": varied(truth, "exo-ego")}
    write_predictions(tmp_path / "one.json", {"exo-ego": both["exo-ego"]})
    write_predictions(tmp_path / "both.json.gz", both)  # type: ignore[arg-type]
    return tmp_path


def run(folder: Path, predictions: str = "one.json", **knobs: Any) -> int:
    knobs = {"ground_truth": str(folder / "gt.json"), "out": str(folder / "out"), "draws": 100} | knobs
    return evaluate.main(EvaluateKnobs(predictions=str(folder / predictions), **knobs), CommonKnobs(), Console())


def metrics_in(folder: Path) -> Metrics:
    return Metrics.model_validate_json((folder / "metrics.json").read_bytes())


# The command


def test_one_direction(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(files) == 0
    metrics = metrics_in(files / "out")
    assert (metrics.protocol, metrics.direction) == ("official", "exo-ego")
    assert (metrics.counts.present, metrics.counts.absent, metrics.counts.unannotated) == COUNTS["exo-ego"]
    rows = [json.loads(line) for line in (files / "out/items.jsonl").read_text().splitlines()]
    asked = list(queries(small_truth(), "exo-ego"))
    assert [(row["take"], row["object"], row["source"], row["target"], str(row["frame"])) for row in rows] == [
        (query.take, query.object, query.source, query.target, query.frame) for query in asked
    ]
    ious = [row["iou"] for row in rows if row["gt_exists"]]
    assert metrics.aggregate.iou == np.mean(ious)
    assert all(row["iou"] is None for row in rows if not row["gt_exists"])
    for name in ("iou_by_size.png", "success_curve.png"):
        picture = cv2.imread(str(files / "out" / name))
        assert picture is not None
        assert picture.std() > 10
    said = capsys.readouterr().out
    assert f"{metrics.aggregate.iou:.4f}" in said
    assert "15 present" in said
    assert "corrected metrics" in said
    assert not (files / "out/findings.json").exists()


def test_a_submission_has_a_folder_for_each_direction(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(files, "both.json.gz", json=True) == 0
    shown = json.loads(capsys.readouterr().out)
    for direction in ("ego-exo", "exo-ego"):
        metrics = metrics_in(files / "out" / direction)
        assert metrics.direction == direction
        assert shown[direction] == metrics.model_dump(mode="json")
    assert run(files, out=str(files / "alone")) == 0
    alone, together = (metrics_in(files / name) for name in ("alone", "out/exo-ego"))
    assert alone.model_dump(exclude={"predictions_sha256"}) == together.model_dump(exclude={"predictions_sha256"})


def test_one_direction_of_a_submission(files: Path) -> None:
    assert run(files, "both.json.gz", direction="ego-exo") == 0
    assert metrics_in(files / "out").direction == "ego-exo"
    with pytest.raises(PipelineError, match="only has exo-ego"):
        run(files, direction="ego-exo")


def test_the_same_inputs_give_the_same_bytes(files: Path) -> None:
    for out in ("a", "b"):
        assert run(files, out=str(files / out)) == 0
    for file in (files / "a").iterdir():
        assert file.read_bytes() == (files / "b" / file.name).read_bytes(), file


def test_protocols_differ_and_say_which(files: Path) -> None:
    for protocol in PROTOCOLS:
        assert run(files, protocol=protocol, out=str(files / protocol), threshold=0.35) == 0
    official, omama, corrected = (metrics_in(files / name) for name in ("official", "omama", "corrected"))
    assert [one.protocol for one in (official, omama, corrected)] == list(PROTOCOLS)
    assert official.aggregate.iou == corrected.aggregate.iou
    assert official.aggregate.contour_accuracy != corrected.aggregate.contour_accuracy
    assert corrected.aggregate.contour_accuracy == official.corrected.registered_contour_accuracy
    assert official.corrected == corrected.corrected


def test_pictures_of_cases(files: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(0)
    for take in TAKES[:2]:
        for camera in (EGO, "cam01", "gp02"):
            for frame in (0, 30, 60, 90, 120):
                file = tmp_path / "data/output_dir_toy" / take / camera / f"{frame}.jpg"
                file.parent.mkdir(parents=True, exist_ok=True)
                size = (48, 48, 3) if camera == EGO else (27, 48, 3)
                cv2.imwrite(str(file), cv2.GaussianBlur(random.integers(0, 256, size, np.uint8), (9, 9), 0))
    for data_set in (str(tmp_path / "data/output_dir_toy"), "toy"):
        knobs = EvaluateKnobs(
            ground_truth=str(files / "gt.json"),
            predictions=str(files / "one.json"),
            out=str(files / "out"),
            data_set=data_set,
            draws=0,
            cases=6,
        )
        assert evaluate.main(knobs, CommonKnobs(data=str(tmp_path / "data")), Console()) == 0
    for name in ("worst_cases.jpg", "best_cases.jpg"):
        picture = cv2.imread(str(files / "out" / name))
        assert picture is not None
        assert picture.shape[0] > 4 * 360  # two objects in each of two takes
    assert "4 frames are not there" in capfd.readouterr().err  # both views of two objects of the third take
    with pytest.raises(PipelineError, match="is a folder"):
        run(files, data_set="nowhere")


def test_cases_are_the_worst_and_the_best_once_an_object() -> None:
    truth = small_truth()
    items = list(score_all(truth, varied(truth, "exo-ego"), "exo-ego", PROTOCOLS["official"]))
    worst, best = (choose_cases(items, 4, is_worst=is_worst) for is_worst in (True, False))
    scores = [item.scores.iou for item in items if item.scores]
    assert [item.scores and item.scores.iou for item in worst] == sorted(
        item.scores.iou for item in worst if item.scores
    )
    assert worst[0].scores is not None
    assert best[0].scores is not None
    assert (worst[0].scores.iou, best[0].scores.iou) == (min(scores), max(scores))
    assert len({(item.query.take, item.query.object) for item in worst}) == 4


@pytest.mark.parametrize("flag", ["ground_truth", "predictions", "out"])
def test_what_must_be_given(files: Path, flag: str) -> None:
    knobs = {"ground_truth": "gt.json", "predictions": "p.json", "out": "out"} | {flag: ""}
    with pytest.raises(PipelineError, match=f"needs --{flag.replace('_', '-')}"):
        evaluate.main(EvaluateKnobs(**knobs), CommonKnobs(), Console())  # type: ignore[arg-type]


# Files that are none


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no ground truth"),
        (b"[]", "no ground truth"),
        (b"{", "no ground truth"),
        (b'{"annotations": {}}', "at least 1"),
        (b'{"annotations": {"t": {"masks": {}}}}', "annotated_frames"),
        (b'{"annotations": {"t": {"masks": {"o": []}, "annotated_frames": {}}}}', "masks → o: "),
        (gzip.compress(b'{"annotations"')[:-9], "cannot be unpacked"),
    ],
)
def test_ground_truth_that_is_none(files: Path, content: bytes, words: str) -> None:
    (files / "gt.json").write_bytes(content)
    with pytest.raises(PipelineError, match=words):
        run(files)


@pytest.mark.parametrize(
    ("size", "counts", "words"),
    [([96, 96], "zz", "alphabet"), ([96, 96], "04", "do not sum"), ([1, 500], "d?", "too long and thin")],
)
def test_damaged_masks_of_the_ground_truth(files: Path, size: list[int], counts: str, words: str) -> None:
    content = truth_json()
    content["annotations"]["take-a"]["masks"]["cup_0"][EGO]["0"] = {"size": size, "counts": counts}
    (files / "gt.json").write_text(json.dumps(content))
    with pytest.raises(PipelineError, match=f"damaged masks, 1 in all: take-a / cup_0 / {EGO} / 0: .*({words})"):
        run(files)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b"[1]", "neither"),
        (b'{"exo_ego": 1}', "keys exo_ego"),
        (b'{"exo-ego": {"version": "xx"}}', "no results"),
        (b'{"exo-ego": null}', "no results"),
    ],
)
def test_predictions_that_are_none(files: Path, content: bytes, words: str) -> None:
    (files / "one.json").write_bytes(content)
    with pytest.raises(PipelineError, match=words):
        run(files)


def test_missing_files_are_named(files: Path) -> None:
    with pytest.raises(PipelineError, match=r"gone\.json does not exist"):
        run(files, "gone.json")
    with pytest.raises(PipelineError, match="cannot be read"):
        run(files, "")


def test_ground_truth_without_anything_to_score(files: Path) -> None:
    take = {"masks": {"cup": {EGO: {}}}, "annotated_frames": {}, "subsample_idx": []}
    (files / "gt.json").write_text(json.dumps({"annotations": {"t": take}}))
    write_predictions(files / "one.json", {"ego-exo": {"t": {"masks": {"cup": {}}, "subsample_idx": []}}})
    with pytest.raises(PipelineError, match="nothing to score"):
        run(files)


# Findings

PAIR = f"cam01_{EGO}"
PLACE = f"take-b / cup_0 / {PAIR} / 0"


def record(results: Any) -> Any:
    return results["take-b"]["masks"]["cup_0"][PAIR]["0"]


def mask(results: Any) -> Any:
    return record(results)["pred_mask"]


FAULTS: list[tuple[str, Callable[[Any], Any], str, str]] = [
    ("take missing", lambda r: r.pop("take-a"), "take-a", "nothing"),
    ("take surplus", lambda r: r.update(other={}), "other", "a surplus take"),
    ("take a list", lambda r: r.update({"take-a": []}), "take-a", "a list"),
    ("masks missing", lambda r: r["take-a"].pop("masks"), "take-a", "no masks"),
    ("masks a list", lambda r: r["take-a"].update(masks=[]), "take-a / masks", "a list"),
    ("subsample missing", lambda r: r["take-a"].pop("subsample_idx"), "take-a", "no subsample_idx"),
    ("object missing", lambda r: r["take-a"]["masks"].pop("board _0"), "take-a / board _0", "nothing"),
    ("object stripped", lambda r: r["take-a"]["masks"].update(cup={}), "take-a / cup", "a surplus object"),
    ("object null", lambda r: r["take-a"]["masks"].update(cup_0=None), "take-a / cup_0", "null"),
    ("pair missing", lambda r: r["take-b"]["masks"]["cup_0"].pop(PAIR), f"take-b / cup_0 / {PAIR}", "nothing"),
    (
        "pair surplus",
        lambda r: r["take-b"]["masks"]["board _0"].update({PAIR: {}}),
        f"take-b / board _0 / {PAIR}",
        "a surplus camera pair",
    ),
    ("pair text", lambda r: r["take-b"]["masks"]["cup_0"].update({PAIR: ""}), f"take-b / cup_0 / {PAIR}", "text"),
    ("frame missing", lambda r: r["take-b"]["masks"]["cup_0"][PAIR].pop("0"), PLACE, "nothing"),
    (
        "frame surplus",
        lambda r: r["take-b"]["masks"]["cup_0"][PAIR].update({"00": {}}),
        f"take-b / cup_0 / {PAIR} / 00",
        "a surplus frame",
    ),
    ("record a number", lambda r: r["take-b"]["masks"]["cup_0"][PAIR].update({"0": 5}), PLACE, "a number"),
    ("no confidence", lambda r: record(r).pop("confidence"), PLACE, "no confidence"),
    ("list confidence", lambda r: record(r).update(confidence=[0.5]), f"{PLACE} / confidence", "[0.5]"),
    ("text confidence", lambda r: record(r).update(confidence="0.5"), f"{PLACE} / confidence", "'0.5'"),
    ("true confidence", lambda r: record(r).update(confidence=True), f"{PLACE} / confidence", "True"),
    ("NaN confidence", lambda r: record(r).update(confidence=float("nan")), f"{PLACE} / confidence", "nan"),
    ("huge confidence", lambda r: record(r).update(confidence=10**400), f"{PLACE} / confidence", "1000"),
    ("no mask", lambda r: record(r).pop("pred_mask"), PLACE, "no pred_mask"),
    ("null mask", lambda r: record(r).update(pred_mask=None), f"{PLACE} / pred_mask", "null"),
    ("no size", lambda r: mask(r).pop("size"), f"{PLACE} / pred_mask", "size None"),
    ("size text", lambda r: mask(r).update(size=["480", 480]), f"{PLACE} / pred_mask", "size ['480', 480]"),
    ("size of three", lambda r: mask(r).update(size=[480, 480, 1]), f"{PLACE} / pred_mask", "size [480, 480, 1]"),
    ("counts a list", lambda r: mask(r).update(counts=[1, 2]), f"{PLACE} / pred_mask", "counts that are a list"),
    ("counts damaged", lambda r: mask(r).update(counts=mask(r)["counts"][:-1]), f"{PLACE} / pred_mask", "run"),
    ("negative size", lambda r: mask(r).update(size=[-480, 480]), f"{PLACE} / pred_mask", "size that no picture has"),
    (
        "native size",
        lambda r: record(r).update(pred_mask=rle(rectangle((96, 96), 1, 1, 5, 5))),
        f"{PLACE} / pred_mask",
        "96×96",
    ),
    (
        "turned",
        lambda r: record(r).update(pred_mask=rle(rectangle((480, 270), 1, 1, 5, 5))),
        f"{PLACE} / pred_mask",
        "480×270",
    ),
]


@pytest.mark.parametrize(("fault", "place", "got"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS])
def test_each_fault_is_one_finding(fault: Callable[[Any], Any], place: str, got: str) -> None:
    truth = small_truth()
    results = perfect(truth, "exo-ego")
    fault(results)
    (found,) = findings(truth, results, "exo-ego", official_sizes=True, number_confidence=True)
    assert found.place == place
    assert found.got.startswith(got)
    assert found.expected


def test_results_that_are_no_object() -> None:
    (found,) = findings(small_truth(), ["take"], "exo-ego", official_sizes=True, number_confidence=True)
    assert found == FindingRow(place="results", got="a list", expected="an object with takes")


def test_frames_that_are_never_scored_must_be_there_too() -> None:
    truth = small_truth()
    results = perfect(truth, "ego-exo")
    del results["take-a"]["masks"]["cup_0"][f"{EGO}_cam01"]["120"]
    (found,) = findings(truth, results, "ego-exo", official_sizes=True, number_confidence=True)
    assert found.place == f"take-a / cup_0 / {EGO}_cam01 / 120"


def test_findings_are_told_and_written(files: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(files) == 0
    truth = small_truth()
    results = perfect(truth, "exo-ego")
    for query in queries(truth, "exo-ego"):
        record_there = results[query.take]["masks"][query.object][query.pair][query.frame]
        record_there["confidence"] = [record_there["confidence"]]
        record_there["pred_mask"]["size"] = [1, 1]
    write_predictions(files / "one.json", {"exo-ego": results})
    capfd.readouterr()
    assert run(files) == 1
    said = capfd.readouterr()
    assert "36 findings" in said.err
    assert said.err.count(": got ") == 20
    assert said.out == ""
    written = FindingsFile.model_validate_json((files / "out/findings.json").read_bytes())
    assert (written.total, len(written.findings), written.direction) == (36, 36, "exo-ego")
    assert [file.name for file in (files / "out").iterdir()] == ["findings.json"]  # nothing of the run before


def test_a_sound_direction_is_scored_beside_one_with_findings(files: Path) -> None:
    truth = small_truth()
    broken = perfect(truth, "ego-exo")
    del broken["take-c"]
    write_predictions(files / "both.json.gz", {"ego-exo": broken, "exo-ego": perfect(truth, "exo-ego")})
    assert run(files, "both.json.gz") == 1
    assert (files / "out/ego-exo/findings.json").exists()
    assert metrics_in(files / "out/exo-ego").aggregate.balanced_accuracy == 1


# Writing


def test_what_is_written_can_be_read_again(tmp_path: Path) -> None:
    truth = small_truth()
    for name in ("gt.json", "gt.json.gz"):
        write_ground_truth(tmp_path / name, truth_json()["annotations"])
        assert read_ground_truth(tmp_path / name).truth == truth
    assert gzip.decompress((tmp_path / "gt.json.gz").read_bytes()) == (tmp_path / "gt.json").read_bytes()
    assert json.loads((tmp_path / "gt.json").read_text()) == truth_json()
    results = perfect(truth, "ego-exo")
    write_predictions(tmp_path / "p.json.gz", {"ego-exo": results})
    assert read_predictions(tmp_path / "p.json.gz").results == {"ego-exo": results}
    content = json.loads(gzip.decompress((tmp_path / "p.json.gz").read_bytes()))
    assert {key: content["ego-exo"][key] for key in ("version", "challenge")} == {"version": "xx", "challenge": "xx"}


def test_objects_of_one_view_are_in_the_results_too() -> None:
    results = empty_results(small_truth(), "ego-exo")
    assert results["take-a"]["masks"]["board _0"] == {}
    assert list(results["take-a"]["masks"]["cup_0"]) == [f"{EGO}_cam01", f"{EGO}_gp02"]
    assert results["take-a"]["subsample_idx"] == [0, 30, 60, 90, 120]


# Ground truth


def make_truth(**knobs: Any) -> int:
    return ground_truth.main(GroundTruthKnobs(**knobs), CommonKnobs(), Console())


def test_ground_truth_of_processed_takes(tmp_path: Path) -> None:
    made = small_dataset(tmp_path)
    out = tmp_path / "gt.json.gz"
    assert make_truth(data_set=str(made.root), split="val", out=str(out)) == 0
    truth = read_ground_truth(out).truth
    assert list(truth.annotations) == [VAL_1]
    take = truth.annotations[VAL_1]
    assert take.scenario == "Making Cucumber & Tomato Salad"
    assert take.ego_cameras == ["aria01_214-1"]
    for direction, setting in (("ego-exo", "egoexo"), ("exo-ego", "exoego")):
        (files := tmp_path / setting).mkdir()
        (files / "gt.json").write_bytes(gzip.decompress(out.read_bytes()))
        write_predictions(files / "one.json", {direction: _silent(truth, direction)})  # type: ignore[dict-item]
        assert run(files) == 0
        counts, expected = metrics_in(files / "out").counts, KITCHEN_TARGETS[setting]
        assert (counts.present, counts.absent, counts.unannotated) == tuple(
            expected[state] for state in ("present", "absent", "unannotated")
        )


def _silent(truth: Any, direction: Any) -> Any:
    """Nothing found anywhere; sizes of the takes of tests/processed_takes.py."""
    results = empty_results(truth, direction)
    for uid, take in results.items():
        for name, pairs in take["masks"].items():
            for pair, records in pairs.items():
                source = next(camera for camera in truth.annotations[uid].masks[name] if pair.startswith(camera))
                target = pair.removeprefix(f"{source}_")
                size_hw = (320, 480) if target in (CAM1, CAM2) else (480, 480)
                for frame in truth.annotations[uid].masks[name][source]:
                    records[frame] = {"pred_mask": rle(np.zeros(size_hw, np.uint8)), "confidence": 0.0}
    return results


def test_a_second_ego_camera_is_left_out(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made = small_dataset(tmp_path)
    file = made.paths.take_annotation(made.name, VAL_1)
    annotation = json.loads(file.read_text())
    cup = annotation["object_masks"]["salt/pepper shaker_0"]
    cup["aria02_214-1"] = {"annotation": {}, "annotated_frames": [0]}
    annotation["masks"]["salt/pepper shaker_0"]["aria02_214-1"] = {}
    file.write_text(json.dumps(annotation))
    facts_file = made.paths.take_facts(made.name, VAL_1)
    facts = json.loads(facts_file.read_text())
    facts["cameras"]["aria02_214-1"] = facts["cameras"]["aria01_214-1"]
    facts_file.write_text(json.dumps(facts))
    assert make_truth(data_set=str(made.root), split="val", out=str(tmp_path / "gt.json")) == 0
    take = read_ground_truth(tmp_path / "gt.json").truth.annotations[VAL_1]
    assert list(take.masks["salt/pepper shaker_0"]) == ["aria01_214-1", CAM1, CAM2]
    assert "aria02_214-1: a second ego camera" in capfd.readouterr().err


def test_ground_truth_of_a_relations_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    objects = relations_of({"cup_0": {EGO: ([0, 30, 60], [90]), CAM1: ([0, 30], [60])}})
    ego = objects["cup_0"][EGO]
    ego["annotation"]["30"]["encodedMask"] = "broken"
    ego["annotated_frames"] = [30, 60, 90]  # a mask at 0 that is not listed
    take = {"scenario": "Cooking", "take_name": "cmu_1", "object_masks": objects}
    (tmp_path / "relations_val.json").write_text(json.dumps({"annotations": {"uid-1": take}}))
    assert make_truth(relations=str(tmp_path / "relations_val.json"), out=str(tmp_path / "gt.json")) == 0
    read = read_ground_truth(tmp_path / "gt.json").truth.annotations["uid-1"]
    assert list(read.masks["cup_0"][EGO]) == ["0", "60"]
    assert read.annotated_frames["cup_0"][EGO] == [60, 90]
    assert read.scenario == "Cooking"
    assert "uid-1 / cup_0 / aria01_214-1 / 30" in capfd.readouterr().err


def test_ground_truth_needs_one_source(tmp_path: Path) -> None:
    for knobs in ({}, {"data_set": "a", "relations": "b"}):
        with pytest.raises(PipelineError, match="one of --data-set and --relations"):
            make_truth(out=str(tmp_path / "gt.json"), **knobs)
    with pytest.raises(PipelineError, match="no file"):
        make_truth(relations=str(tmp_path / "gone.json"), out=str(tmp_path / "gt.json"))
    (tmp_path / "odd.json").write_text('{"annotations": {"uid-1": {"object_masks": 5}}}')
    with pytest.raises(PipelineError, match=r"uid-1 of .*odd\.json"):
        make_truth(relations=str(tmp_path / "odd.json"), out=str(tmp_path / "gt.json"))


@pytest.mark.shared
@pytest.mark.skipif(not GOLDEN.exists(), reason="no reference data here")
def test_the_raw_relations_give_the_official_ground_truth() -> None:
    raw, expected = (
        json.loads(gzip.decompress((GOLDEN / name).read_bytes()))["annotations"]
        for name in ("relations_raw.json.gz", "ground_truth.json.gz")
    )
    for uid, take in raw.items():
        made = truth_of_relations(take)
        assert not made.left_out
        assert {key: made.content[key] for key in expected[uid]} == expected[uid]
        assert list(made.content["masks"]) == list(expected[uid]["masks"])
