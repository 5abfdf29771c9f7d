"""egoexo-index on the made-up release: what is of use, what is left out and why, and what the exit status says."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.__main__ import main
from pipeline.config_egoexo import DatasetKnobs, IndexKnobs
from pipeline.console import Console
from pipeline.egoexo import listing
from pipeline.egoexo.release import load_take, parent_task_folder, read_index, read_takes, release_dir
from pipeline.egoexo.synthetic import flatten_release
from pipeline.errors import PipelineError
from pipeline.ops.egoexo.tracks import pairs_of, tracks_of_relations
from pipeline.paths import Paths
from pipeline.phases import phase
from pipeline.runner import Summary, run_phase
from pipeline.schema.base import read_model
from pipeline.schema.egoexo_index import IndexReport, TakeProblem
from pipeline.schema.egoexo_pairs import SETTINGS
from pipeline.schema.egoexo_release import SplitFile
from pipeline.schema.manifest import Manifest
from tests.egoexo_world import SMALL_TAKES, small_release

TRAIN, VAL, TEST, HEALTH = (take.take_uid for take in SMALL_TAKES)
NAMES = {take.take_uid: take.take_name for take in SMALL_TAKES}
SHARED = Path(__file__).resolve().parents[2] / "shared" / "samples" / "egoexo"
Edit = Callable[[Any], Any]


@pytest.fixture
def release(tmp_path: Path) -> Path:
    flatten_release(small_release(tmp_path / "buckets"), tmp_path / "release")
    return tmp_path / "release"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "data")


def relations(split: str) -> str:
    return f"annotations/relations_{split}.json"


def edit(file: Path, change: Edit) -> None:
    """Replace a JSON file by what `change` makes of it; the file itself is a link to the buckets' one."""
    document = json.loads(file.read_bytes())
    replace(file, json.dumps(change(document) or document))


def replace(file: Path, content: str | bytes) -> None:
    file.unlink(missing_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)


def index(paths: Paths, release: Path, **knobs: Any) -> Summary:
    asked = IndexKnobs(release=str(release), **(knobs or {"scenario": "cooking"}))
    return run_phase(phase("egoexo-index"), [asked.dataset], asked, paths, Console())


def report(paths: Paths, name: str = "cooking") -> IndexReport:
    return read_model(paths.report(name, "index"), IndexReport, "")


def split(paths: Paths, name: str = "cooking") -> dict[str, list[str]]:
    return read_model(paths.split_file(name), SplitFile, "").model_dump()


def reasons(problems: list[TakeProblem]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for problem in problems:
        found.setdefault(problem.reason, []).append(problem.take_uid)
    return found


def split_file(tmp_path: Path, **uids: list[str]) -> str:
    replace(tmp_path / "my_split.json", json.dumps({"train": [], "val": [], "test": []} | uids))
    return str(tmp_path / "my_split.json")


# --- what is there


def test_split_by_relations_files_and_numbers(
    paths: Paths, release: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    summary = index(paths, release)
    assert summary.is_good and summary.made == ["cooking"]
    assert split(paths) == {"train": [TRAIN], "val": [VAL], "test": [TEST]}
    found = report(paths)
    assert found.takes == {
        "train": {"Making Cucumber & Tomato Salad": 1},
        "val": {"Cooking Scrambled Eggs": 1},
        "test": {"Cooking Scrambled Eggs": 1},
    }
    masks = observations = objects = cameras = 0
    for uid, name in ((TRAIN, "train"), (VAL, "val"), (TEST, "test")):
        tracks = json.loads((release / relations(name)).read_bytes())["annotations"][uid]["object_masks"]
        objects += len(tracks)
        cameras += len({camera for of in tracks.values() for camera in of})
        for of in tracks.values():
            for track in of.values():
                masks += len(track["annotation"])
                observations += len(track["annotated_frames"])
    assert masks and observations > masks
    assert found.counts == {
        "takes": 3, "cameras": cameras, "objects": objects, "masks": masks, "observations": observations
    }  # fmt: skip
    assert not found.left_out and not found.warnings
    text = capfd.readouterr().err
    assert "cooking" in text and "together" in text and "Cooking Scrambled Eggs" in text


def test_take_index_points_at_the_take(paths: Paths, release: Path) -> None:
    index(paths, release)
    one = read_index(paths, TRAIN)
    assert (one.take_name, one.parent_task, one.university) == ("cmu_cooking_01_1", "cooking", "cmu")
    assert one.root_dir == "takes/cmu_cooking_01_1" and one.duration_s == pytest.approx(3.0)
    assert list(one.cameras) == ["aria01_214-1", "cam01", "cam02"]
    assert [camera.is_ego for camera in one.cameras.values()] == [True, False, False]
    assert {camera.told_by for camera in one.cameras.values()} == {"captures.json"}
    for camera in one.cameras.values():
        assert (release / one.root_dir / camera.video).is_file()
    assert load_take(release, one) == json.loads((release / relations("train")).read_bytes())["annotations"][TRAIN]
    assert read_index(paths, TEST).split == "test"


def test_all_takes_and_a_scenario_of_one_split(paths: Paths, release: Path) -> None:
    assert index(paths, release, scenario="all").is_good
    assert split(paths, "all") == {"train": [TRAIN, HEALTH], "val": [VAL], "test": [TEST]}
    assert index(paths, release, scenario="health").is_good
    assert split(paths, "health") == {"train": [HEALTH], "val": [], "test": []}


def test_second_run_does_nothing_and_a_second_data_set_parses_nothing(
    paths: Paths, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index(paths, release)
    files = sorted((paths.release() / "index").rglob("*.json"))
    before = [(file.name, file.stat().st_mtime_ns) for file in files]
    assert index(paths, release).skipped == ["cooking"]
    monkeypatch.setattr(listing, "scan_relations", lambda *_: pytest.fail("parsed again"))
    assert index(paths, release, scenario="all").is_good
    after = [(file.name, file.stat().st_mtime_ns) for file in files]
    assert after == before


def test_a_damaged_listing_is_made_again(paths: Paths, release: Path) -> None:
    index(paths, release)
    replace(paths.relations_listing("train"), "{}")
    assert index(paths, release, scenario="all").is_good


def test_a_changed_take_changes_its_index_alone(paths: Paths, release: Path) -> None:
    index(paths, release, scenario="all")
    place = paths.take_index
    before = {uid: place(uid).read_bytes() for uid in NAMES}

    def drop_a_mask(document: Any) -> None:
        (masks, *_) = (
            track["annotation"]
            for cameras in document["annotations"][HEALTH]["object_masks"].values()
            for track in cameras.values()
            if track["annotation"]
        )
        masks.popitem()

    edit(release / relations("train"), drop_a_mask)
    assert index(paths, release, scenario="all").made == ["all"]
    assert {uid for uid in NAMES if place(uid).read_bytes() != before[uid]} == {HEALTH}
    assert load_take(release, read_index(paths, HEALTH))


def test_a_release_that_changed_under_the_index_is_noticed(paths: Paths, release: Path) -> None:
    index(paths, release)
    one = read_index(paths, TRAIN)
    content = (release / relations("train")).read_bytes()
    replace(
        release / relations("train"),
        content[: one.relations.offset_bytes] + b" " + content[one.relations.offset_bytes :],
    )
    with pytest.raises(PipelineError, match="changed since it was indexed"):
        load_take(release, one)
    (release / relations("train")).unlink()
    with pytest.raises(PipelineError, match="cannot be read"):
        load_take(release, one)


# --- the split


def test_own_split_decides(paths: Paths, release: Path, tmp_path: Path) -> None:
    summary = index(paths, release, scenario="cooking", split=split_file(tmp_path, train=[TEST], test=[TRAIN]))
    assert summary.is_good
    assert split(paths) == {"train": [TEST], "val": [], "test": [TRAIN]}
    assert reasons(report(paths).left_out) == {"in no split": [VAL]}
    assert sorted(reasons(report(paths).warnings)["annotated for another split"]) == sorted([TEST, TRAIN])
    assert read_index(paths, TEST).split == "test"  # a fact of the release, so that no data set changes another's


def test_official_splits_name_takes_of_other_benchmarks(paths: Paths, release: Path) -> None:
    def more(document: Any) -> None:
        document["split_to_take_uids"]["train"].append("pose_1")
        document["split_to_take_uids"]["hidden"] = [VAL]
        document["split_to_take_uids"]["val"].remove(VAL)

    edit(release / "annotations/splits.json", more)
    edit(release / "takes.json", lambda takes: [*takes, takes[0] | {"take_uid": "pose_1", "take_name": "cmu_pose_1"}])
    summary = index(paths, release, scenario="cooking", split=str(release / "annotations/splits.json"))
    assert summary.is_good
    assert split(paths) == {"train": [TRAIN], "val": [], "test": [TEST]}
    assert reasons(report(paths).left_out) == {"in a split of another name": [VAL], "of other benchmarks": ["pose_1"]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", "no split file"),
        ('{"train": "abc"}', "no split file"),
        ('{"train": [1]}', "no split file"),
        ('{"train": ["a"]', "no split file"),
        ('{"training": ["a"]}', "names no take; its keys are training"),
        ("{}", "names no take"),
    ],
)
def test_damaged_split_file(paths: Paths, release: Path, tmp_path: Path, content: str, said: str) -> None:
    replace(tmp_path / "s.json", content)
    summary = index(paths, release, scenario="cooking", split=str(tmp_path / "s.json"))
    assert said in summary.failed["cooking"]


def test_missing_split_file(paths: Paths, release: Path) -> None:
    assert "is no file" in index(paths, release, scenario="cooking", split="none.json").failed["cooking"]


# --- what is not there


def test_unknown_uids_of_the_split_are_reported(paths: Paths, release: Path, tmp_path: Path) -> None:
    """66 takes of the published training split are not in the release."""
    lost = [f"lost-{number}" for number in range(66)]
    own = split_file(tmp_path, train=[*lost, TRAIN], val=[VAL])
    summary = index(paths, release, scenario="all", split=own)
    assert not summary.is_good and summary.made == ["all"]
    assert summary.dropped == {"not in the release": 66, "in no split": 2}
    assert summary.incomplete["all"] == "66 takes not in the release (lost-0, lost-1, lost-2, …)"
    assert split(paths, "all")["train"] == [TRAIN]
    assert reasons(report(paths, "all").left_out)["not in the release"] == lost
    again = index(paths, release, scenario="all", split=own)
    assert again.skipped and not again.is_good  # each later run says so too


def test_a_release_that_lacks_a_relations_file_says_so(
    paths: Paths, release: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (release / relations("test")).unlink()
    summary = index(paths, release)
    assert summary.made == ["cooking"] and split(paths)["test"] == []
    assert summary.dropped == {"splits_without_annotations": 1}
    assert "has no relations_{test}.json" in capfd.readouterr().err


def test_unknown_uids_of_a_split_file_make_the_exit_status_1(paths: Paths, release: Path, tmp_path: Path) -> None:
    summary = index(paths, release, scenario="cooking", split=split_file(tmp_path, train=["lost", TRAIN], val=[VAL]))
    assert summary.dropped == {"in no split": 1}
    assert "names 1 takes that this release does not have (lost)" in summary.incomplete["cooking"]
    assert reasons(report(paths).warnings) == {"not in the release, of unknown scenario": ["lost"]}
    assert report(paths).warnings[0].detail == "it has no annotations"


def without(uid: str) -> Edit:
    return lambda takes: [take for take in takes if take["take_uid"] != uid]


def test_annotated_takes_that_are_not_in_the_release(paths: Paths, release: Path) -> None:
    """The text of its scenario, which another take has too, says which parent task it is of."""
    edit(release / "takes.json", without(VAL))
    summary = index(paths, release)
    assert not summary.is_good
    assert split(paths) == {"train": [TRAIN], "val": [], "test": [TEST]}
    (problem,) = report(paths).left_out
    assert (problem.take_name, problem.split, problem.reason) == (NAMES[VAL], "val", "not in the release")
    assert (problem.scenario, problem.parent_task) == ("Cooking Scrambled Eggs", "cooking")
    assert "it has annotations" in problem.detail
    assert index(paths, release, scenario="health").is_good
    assert not report(paths, "health").left_out and not report(paths, "health").warnings


def test_a_take_of_a_scenario_that_nothing_tells(paths: Paths, release: Path) -> None:
    edit(release / "takes.json", without(TRAIN))
    for scenario in ("cooking", "health"):
        assert index(paths, release, scenario=scenario).is_good
        (warning,) = report(paths, scenario).warnings
        assert (warning.take_uid, warning.reason) == (TRAIN, "not in the release, of unknown scenario")
        assert "'Making Cucumber & Tomato Salad'" in warning.detail
    assert index(paths, release, scenario="all").incomplete == {"all": f"1 take not in the release ({NAMES[TRAIN]})"}
    assert not report(paths, "all").warnings


def test_takes_left_out_by_scenario_and_split(
    paths: Paths, release: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    edit(release / "takes.json", without(VAL))
    edit(release / relations("train"), lambda document: document["annotations"][TRAIN].update(object_masks=[]))
    index(paths, release, scenario="all", split=split_file(tmp_path, train=[TRAIN, HEALTH], val=[VAL, "lost"]))
    assert report(paths, "all").left_out_takes == {
        "train": {"Making Cucumber & Tomato Salad": {"with damaged annotations": 1}},
        "val": {"Cooking Scrambled Eggs": {"not in the release": 1}, "unknown": {"not in the release": 1}},
        "none": {"Cooking Scrambled Eggs": {"in no split": 1}},
    }
    parents = {problem.take_uid: problem.parent_task for problem in report(paths, "all").left_out}
    assert parents == {TRAIN: "cooking", VAL: "cooking", "lost": "", TEST: "cooking"}
    lines = [" ".join(line.split()) for line in capfd.readouterr().err.splitlines()]
    assert any(line.endswith("left out why train val test split none takes") for line in lines)
    assert any(line.endswith("Cooking Scrambled Eggs not in the release 0 1 0 0 1") for line in lines)
    assert any(line.endswith("unknown not in the release 0 1 0 0 1") for line in lines)


def test_takes_of_the_split_without_annotations(paths: Paths, release: Path, tmp_path: Path) -> None:
    edit(release / relations("val"), lambda document: {"annotations": {}})
    summary = index(paths, release, scenario="cooking", split=split_file(tmp_path, train=[TRAIN], val=[VAL, HEALTH]))
    assert not summary.is_good
    assert reasons(report(paths).left_out) == {"without annotations": [VAL], "in no split": [TEST]}


def cut_cameras(keep: Callable[[str], bool]) -> Edit:
    def change(document: Any) -> None:
        masks = document["annotations"][TRAIN]["object_masks"]
        for name in masks:
            masks[name] = {camera: track for camera, track in masks[name].items() if keep(camera)}

    return change


@pytest.mark.parametrize(
    ("keep", "reason"),
    [
        (lambda camera: not camera.startswith("aria"), "without ego camera"),
        (lambda camera: camera.startswith("aria"), "without exo camera"),
        (lambda camera: False, "without ego camera"),
    ],
)
def test_takes_without_one_kind_of_camera(
    paths: Paths, release: Path, keep: Callable[[str], bool], reason: str
) -> None:
    edit(release / relations("train"), cut_cameras(keep))
    summary = index(paths, release)
    assert not summary.is_good and summary.dropped == {reason: 1}
    assert split(paths) == {"train": [], "val": [VAL], "test": [TEST]}
    assert "annotated cameras: " in report(paths).left_out[0].detail


def second_ego(document: Any) -> None:
    for cameras in document["annotations"][TRAIN]["object_masks"].values():
        if "aria01_214-1" in cameras:
            cameras["aria02_214-1"] = cameras["aria01_214-1"]


def test_two_ego_cameras_are_reported_and_used(paths: Paths, release: Path) -> None:
    edit(release / relations("train"), second_ego)
    summary = index(paths, release)
    assert summary.made == ["cooking"] and "1 take with two ego cameras" in summary.incomplete["cooking"]
    assert split(paths)["train"] == [TRAIN]
    problem = report(paths).warnings[0]
    assert (problem.reason, problem.take_uid) == ("with two ego cameras", TRAIN)
    assert "aria01_214-1, aria02_214-1" in problem.detail
    assert any("two ego cameras" in warning for warning in read_index(paths, TRAIN).warnings)


# --- who wears which camera


def wear(captures: Any, camera: str, is_ego: bool | None) -> None:
    for capture in captures:
        for entry in capture["cameras"]:
            if entry["cam_id"] == camera:
                entry["is_ego"] = is_ego


def test_captures_tell_an_egocentric_gopro(paths: Paths, release: Path) -> None:
    edit(release / "captures.json", lambda captures: wear(captures, "cam02", True))
    assert index(paths, release).made == ["cooking"]
    cameras = read_index(paths, TRAIN).cameras
    assert [name for name, camera in cameras.items() if camera.is_ego] == ["aria01_214-1", "cam02"]
    assert cameras["cam02"].told_by == "captures.json"


def test_takes_json_tells_where_captures_do_not(paths: Paths, release: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def gopro(takes: Any) -> None:
        wear([take["capture"] for take in takes if take["capture"]], "cam01", True)

    edit(release / "captures.json", lambda captures: wear(captures, "cam01", None))
    edit(release / "takes.json", gopro)
    index(paths, release)
    cameras = read_index(paths, TRAIN).cameras
    assert (cameras["cam01"].is_ego, cameras["cam01"].told_by) == (True, "takes.json")
    assert (cameras["cam02"].is_ego, cameras["cam02"].told_by) == (False, "captures.json")
    (release / "captures.json").unlink()
    assert index(paths, release).made == ["cooking"]
    assert "captures.json is not there" in capfd.readouterr().err
    assert {camera.told_by for camera in read_index(paths, TRAIN).cameras.values()} == {"takes.json"}


def test_the_name_tells_where_nothing_else_does(paths: Paths, release: Path) -> None:
    (release / "captures.json").unlink()
    edit(release / "takes.json", lambda takes: [take | {"capture": None} for take in takes])
    assert index(paths, release).is_good
    cameras = read_index(paths, TRAIN).cameras
    assert {camera.told_by for camera in cameras.values()} == {"name"}
    assert [camera.is_ego for camera in cameras.values()] == [True, False, False]
    assert len(reasons(report(paths).warnings)["with a camera that no metadata know"]) == 3


def test_cameras_are_found_by_their_video_file(paths: Paths, release: Path) -> None:
    """captures.json may call a camera otherwise than its video file is called."""

    def rename(entries: Any) -> None:
        for entry in entries:
            for camera in (entry.get("capture") or entry)["cameras"]:
                camera["cam_id"] = {"aria01": "glasses"}.get(camera["cam_id"], camera["cam_id"])
            videos = entry.get("frame_aligned_videos", {})
            if "aria01" in videos:
                videos["glasses"] = videos.pop("aria01")

    edit(release / "captures.json", rename)
    edit(release / "takes.json", rename)
    index(paths, release)
    camera = read_index(paths, TRAIN).cameras["aria01_214-1"]
    assert (camera.is_ego, camera.told_by) == (True, "captures.json")


def test_paths_that_lead_out_of_the_release_are_not_believed(paths: Paths, release: Path) -> None:
    def lead_out(takes: Any) -> None:
        for take in takes:
            take["root_dir"] = "../../elsewhere"
            take["frame_aligned_videos"]["cam01"]["0"]["relative_path"] = "/etc/cam01.mp4"

    edit(release / "takes.json", lead_out)
    index(paths, release)
    one = read_index(paths, TRAIN)
    assert one.root_dir == "takes/cmu_cooking_01_1"
    assert one.cameras["cam01"].video == "frame_aligned_videos/cam01.mp4"


# --- twice


def test_uid_twice_in_one_relations_file(paths: Paths, release: Path) -> None:
    content = json.loads((release / relations("train")).read_bytes())["annotations"]
    one, other = json.dumps(content[TRAIN]), json.dumps(content[HEALTH])
    replace(release / relations("train"), f'{{"annotations": {{"{TRAIN}": {one}, "{TRAIN}": {one}}}}}')
    summary = index(paths, release)
    assert not summary.is_good and split(paths)["train"] == [TRAIN]
    assert reasons(report(paths).warnings) == {"there twice, the same": [TRAIN]}
    replace(release / relations("train"), f'{{"annotations": {{"{TRAIN}": {one}, "{TRAIN}": {other}}}}}')
    summary = index(paths, release)
    assert not summary.is_good and split(paths) == {"train": [], "val": [VAL], "test": [TEST]}
    assert reasons(report(paths).left_out) == {"there twice, not the same": [TRAIN]}


def test_uid_in_two_relations_files(paths: Paths, release: Path, tmp_path: Path) -> None:
    annotations = json.loads((release / relations("train")).read_bytes())["annotations"]
    edit(release / relations("test"), lambda document: document["annotations"].update({TRAIN: annotations[TRAIN]}))
    summary = index(paths, release)
    assert not summary.is_good and split(paths) == {"train": [], "val": [VAL], "test": [TEST]}
    (problem,) = report(paths).left_out
    assert (problem.reason, problem.detail) == ("in two splits", "the relations files: train, test")
    assert problem.take_name == "cmu_cooking_01_1"
    own = split_file(tmp_path, train=[TRAIN], val=[VAL], test=[TEST])
    index(paths, release, name="mine", split=own)  # the split decides, the contents are the same
    assert split(paths, "mine")["train"] == [TRAIN]


def test_uid_twice_in_takes_json(paths: Paths, release: Path) -> None:
    edit(release / "takes.json", lambda takes: [*takes, takes[0]])
    summary = index(paths, release)
    assert not summary.is_good and split(paths)["train"] == [TRAIN]
    assert reasons(report(paths).warnings) == {"there twice, the same": [TRAIN]}
    edit(release / "takes.json", lambda takes: [*takes[:-1], takes[0] | {"take_name": "other"}])
    index(paths, release)
    assert reasons(report(paths).left_out) == {"there twice, not the same": [TRAIN]}


def test_uid_twice_in_the_split_file(paths: Paths, release: Path, tmp_path: Path) -> None:
    own = split_file(tmp_path, train=[TRAIN, TRAIN, VAL], val=[VAL], test=[TEST, HEALTH])
    summary = index(paths, release, scenario="cooking", split=own)
    assert not summary.is_good
    assert split(paths) == {"train": [TRAIN], "val": [], "test": [TEST]}
    assert reasons(report(paths).left_out) == {"in two splits": [VAL]}
    assert reasons(report(paths).warnings) == {"there twice, the same": [TRAIN]}


# --- damage


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda take: take.pop("object_masks"), "object_masks is missing"),
        (lambda take: take.update(object_masks=[]), "object_masks is a list"),
        (lambda take: take.update(scenario=None), "scenario is missing, expected text"),
        (lambda take: take["object_masks"].update(cup_0=7), "'cup_0' is a int, expected cameras"),
        (lambda take: take["object_masks"].update(cup_0={"../up": {"annotation": {}}}), "cannot name a folder"),
        (lambda take: take["object_masks"].update(cup_0={"cam01": {}}), "no masks under `annotation`"),
        (lambda take: take["object_masks"].update(cup_0={"cam01": {"annotation": {"1.5": {}}}}), "'1.5' is no number"),
        (lambda take: take["object_masks"].update(cup_0={"cam01": {"annotation": {"030": {}}}}), "'030' is no number"),
        (
            lambda take: take["object_masks"].update(cup_0={"cam01": {"annotation": {}, "annotated_frames": [10**9]}}),
            "annotated_frames is not a list of frame numbers",
        ),
        (
            lambda take: take["object_masks"].update(cup_0={"cam01": {"annotation": {}, "annotated_frames": ["0"]}}),
            "annotated_frames is not a list of frame numbers",
        ),
    ],
)
def test_damaged_take_is_left_out(paths: Paths, release: Path, damage: Callable[[Any], Any], said: str) -> None:
    edit(release / relations("train"), lambda document: damage(document["annotations"][TRAIN]) and None)
    summary = index(paths, release)
    assert not summary.is_good and summary.made
    (problem,) = report(paths).left_out
    assert (problem.reason, problem.take_uid) == ("with damaged annotations", TRAIN)
    assert said in problem.detail
    assert split(paths) == {"train": [], "val": [VAL], "test": [TEST]}


HALF = "\ud83e"


@pytest.mark.parametrize("place", ["scenario", "take_name", "object", "camera", "uid"])
def test_half_a_surrogate_pair_costs_its_take_alone(paths: Paths, release: Path, place: str) -> None:
    def change(document: Any) -> None:
        take = document["annotations"][TRAIN]
        if place in take:
            take[place] += HALF
        elif place == "object":
            take["object_masks"][f"knife{HALF}_0"] = next(iter(take["object_masks"].values()))
        elif place == "camera":
            next(iter(take["object_masks"].values()))[f"cam09{HALF}"] = {"annotation": {}}
        else:
            document["annotations"][TRAIN + HALF] = document["annotations"].pop(TRAIN)

    edit(release / relations("train"), change)
    summary = index(paths, release, scenario="all")
    assert summary.made and not summary.is_good
    (problem,) = report(paths, "all").left_out
    assert problem.reason == "with damaged annotations" and problem.take_uid.startswith(TRAIN)
    assert place in problem.detail and "\\ud83e" in problem.detail
    assert "half a surrogate pair, in bytes " in problem.detail and relations("train") in problem.detail
    assert split(paths, "all")["train"] == [HEALTH] and split(paths, "all")["test"] == [TEST]
    assert index(paths, release, scenario="all").skipped


@pytest.mark.parametrize(
    "odd",
    [
        {"is_dropped": None},
        {"duration_sec": float("nan")},
        {"duration_sec": "long"},
        {"task_name": HALF, "university_name": 7},
        {"frame_aligned_videos": [], "capture": {"cameras": 1}, "root_dir": None},
    ],
)
def test_optional_fields_of_takes_json_may_be_odd(paths: Paths, release: Path, odd: dict[str, Any]) -> None:
    edit(release / "takes.json", lambda takes: [take | odd if take["take_uid"] == TRAIN else take for take in takes])
    assert index(paths, release).is_good
    assert split(paths)["train"] == [TRAIN]
    if "duration_sec" in odd:
        assert read_index(paths, TRAIN).duration_s is None


@pytest.mark.parametrize("odd", [{"take_name": None}, {"take_name": f"a{HALF}"}])
def test_damaged_entry_of_takes_json_costs_its_take_alone(
    paths: Paths, release: Path, odd: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    edit(
        release / "takes.json",
        lambda takes: ["x", *(take | odd if take["take_uid"] == TRAIN else take for take in takes)],
    )
    summary = index(paths, release)
    assert not summary.is_good and summary.made
    (problem,) = report(paths).left_out
    assert (problem.take_uid, problem.reason) == (TRAIN, "damaged in takes.json")
    assert problem.parent_task == "cooking" and "take_name: " in problem.detail
    assert split(paths) == {"train": [], "val": [VAL], "test": [TEST]}
    text = capfd.readouterr().err
    assert "2 damaged entries are left out" in text and "entry 0: " in text
    assert index(paths, release, scenario="health").is_good


@pytest.mark.parametrize("content", ["{}", '["x", {}]'])
def test_takes_json_without_takes(paths: Paths, release: Path, content: str) -> None:
    replace(release / "takes.json", content)
    assert "takes.json is damaged" in index(paths, release).failed["cooking"]


def test_uid_that_would_lead_out_of_the_folder(paths: Paths, release: Path) -> None:
    for name in (relations("train"), "takes.json"):
        replace(release / name, (release / name).read_bytes().replace(TRAIN.encode(), b"../../x"))
    index(paths, release)
    assert reasons(report(paths).left_out) == {"with damaged annotations": ["../../x"]}


@pytest.mark.parametrize("name", ["takes.json", "captures.json", relations("val")])
def test_cut_off_files(paths: Paths, release: Path, name: str) -> None:
    content = (release / name).read_bytes()
    replace(release / name, content[: len(content) // 2])
    summary = index(paths, release)
    assert "damaged" in summary.failed["cooking"] and Path(name).name in summary.failed["cooking"]
    assert not paths.split_file("cooking").exists()


def test_missing_relations_files(paths: Paths, release: Path) -> None:
    (release / relations("test")).unlink()
    assert index(paths, release).is_good
    assert split(paths) == {"train": [TRAIN], "val": [VAL], "test": []}
    for name in ("train", "val"):
        (release / relations(name)).unlink()
    assert "has no annotations/relations_{train,val,test}.json" in index(paths, release).failed["cooking"]


def test_missing_release(paths: Paths, release: Path) -> None:
    (release / "takes.json").unlink()
    assert "takes.json, which does not exist" in index(paths, release).failed["cooking"]
    assert "is no folder" in index(paths, release / "none", scenario="cooking").failed["cooking"]
    with pytest.raises(PipelineError, match=r"takes\.json does not exist"):
        read_takes(release)
    assert release_dir(paths, DatasetKnobs()) == paths.release()


def test_no_index_yet(paths: Paths) -> None:
    with pytest.raises(PipelineError, match="does not exist"):
        read_index(paths, TRAIN)


# --- what the user asks for


def test_scenario_without_takes_names_those_that_have_some(paths: Paths, release: Path) -> None:
    summary = index(paths, release, scenario="bike_repair")
    assert summary.failed["bike_repair"] == "SCENARIO=bike_repair has no take with annotations in this release"
    asked = IndexKnobs(release=str(release), scenario="bike_repair")
    status = main(["egoexo-index", "--scenario", "bike_repair", "--release", asked.release], {"DATA": str(paths.data)})
    assert status == 1


def test_scenario_texts_are_shown_as_they_are(paths: Paths, release: Path, capfd: pytest.CaptureFixture[str]) -> None:
    edit(release / relations("val"), lambda document: document["annotations"][VAL].update(scenario="cut [/] paste"))
    assert index(paths, release).is_good
    assert "cut [/] paste" in capfd.readouterr().err


def test_scenarios_are_named_with_their_numbers(paths: Paths, release: Path, capfd: pytest.CaptureFixture[str]) -> None:
    index(paths, release, scenario="bike_repair")
    assert "cooking 3, health 1; all stands for every take" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("parent_task", "folder"),
    [
        ("Cooking", "cooking"),
        ("Bike Repair", "bike_repair"),
        ("Rock Climbing ", "rock_climbing"),
        ("Health/COVID-19", "health_covid-19"),
        (None, "unknown"),
        ("//", "unknown"),
    ],
)
def test_parent_task_as_folder(parent_task: str | None, folder: str) -> None:
    assert parent_task_folder(parent_task) == folder
    IndexKnobs(scenario=folder)


def test_own_list_of_names_and_uids(paths: Paths, release: Path) -> None:
    assert index(paths, release, name="mine", takes=(HEALTH, "cmu_cooking_01_2")).is_good
    assert split(paths, "mine") == {"train": [HEALTH], "val": [VAL], "test": []}


def test_own_list_in_a_file(paths: Paths, release: Path, tmp_path: Path) -> None:
    takes = tmp_path / "takes.txt"
    takes.write_text(f"# mine\n{HEALTH}  # by uid\n\ncmu_cooking_01_2\r\n")
    assert index(paths, release, name="mine", takes=(str(takes),)).is_good
    assert split(paths, "mine") == {"train": [HEALTH], "val": [VAL], "test": []}
    takes.write_text("iiith_cooking_57_2\n")
    assert index(paths, release, name="mine", takes=(str(takes),)).made == ["mine"]  # the file's content counts
    assert split(paths, "mine") == {"train": [], "val": [], "test": [TEST]}
    takes.write_text("\n# nothing\n")
    assert "names no take" in index(paths, release, name="mine", takes=(str(takes),)).failed["mine"]
    takes.write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in index(paths, release, name="mine", takes=(str(takes),)).failed["mine"]


def test_own_list_with_unknown_names(paths: Paths, release: Path, capfd: pytest.CaptureFixture[str]) -> None:
    summary = index(paths, release, name="mine", takes=("cmu_coking_01_2", HEALTH, "none.txt"))
    assert not summary.is_good and summary.dropped == {"not in the release": 2}
    assert split(paths, "mine")["train"] == [HEALTH]
    details = [problem.detail for problem in report(paths, "mine").left_out]
    assert "did you mean" in details[0] and "cmu_cooking_01_2" in details[0]
    assert details[1] == "no such take name, uid or file"
    assert "did you mean" in capfd.readouterr().err


def test_own_list_with_nothing_of_use_saves_its_report(paths: Paths, release: Path) -> None:
    summary = index(paths, release, name="mine", takes=("nothing",))
    assert summary.failed["mine"] == "no take of mine is of use: 1 not in the release"
    assert reasons(report(paths, "mine").left_out) == {"not in the release": ["nothing"]}
    assert not paths.split_file("mine").exists()


def test_own_list_with_own_split(paths: Paths, release: Path, tmp_path: Path) -> None:
    own = split_file(tmp_path, train=[HEALTH], val=["lost"])
    asked = ("cmu_cooking_01_2", HEALTH, "lost")
    summary = index(paths, release, name="mine", takes=asked, split=own)
    assert not summary.is_good
    assert split(paths, "mine") == {"train": [HEALTH], "val": [], "test": []}
    assert reasons(report(paths, "mine").left_out) == {"not in the release": ["lost"], "in no split": [VAL]}


def test_own_list_with_the_official_split(paths: Paths, release: Path) -> None:
    """A take that was asked for by name is missed, though it belongs to another benchmark."""
    edit(release / "annotations/splits.json", lambda splits: splits["split_to_take_uids"]["train"].append("pose_1"))
    edit(release / "takes.json", lambda takes: [*takes, takes[0] | {"take_uid": "pose_1", "take_name": "cmu_pose_1"}])
    official = str(release / "annotations/splits.json")
    summary = index(paths, release, name="mine", takes=(HEALTH, "cmu_pose_1"), split=official)
    assert not summary.is_good
    assert reasons(report(paths, "mine").left_out) == {"without annotations": ["pose_1"]}


def test_a_list_needs_a_name(paths: Paths, release: Path, capfd: pytest.CaptureFixture[str]) -> None:
    common = ["egoexo-index", "--release", str(release), "--data", str(paths.data)]
    assert main([*common, "--takes", HEALTH], {}) == 2
    assert "without NAME=" in capfd.readouterr().err
    assert main([*common, "--name", "mine"], {}) == 1
    assert "does not say which takes it is made of" in capfd.readouterr().err
    assert main([*common, "--name", "mine", "--takes", HEALTH], {}) == 0


def test_a_name_for_a_split_alone(paths: Paths, release: Path, tmp_path: Path) -> None:
    assert index(paths, release, name="mine", split=split_file(tmp_path, test=[HEALTH, TEST])).made == ["mine"]
    assert split(paths, "mine") == {"train": [], "val": [], "test": [HEALTH, TEST]}


def test_exit_status_and_release_untouched(paths: Paths, release: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in release.rglob("*")}
    for folder in (release, release / "annotations"):
        folder.chmod(0o555)
    common = ["--release", str(release), "--data", str(paths.data)]
    assert main(["egoexo-index", "--scenario", "cooking", *common], {}) == 0
    assert {file: file.stat().st_mtime_ns for file in release.rglob("*")} == before
    for folder in (release, release / "annotations"):
        folder.chmod(0o755)
    edit(release / relations("train"), cut_cameras(lambda camera: camera == "cam01"))
    assert main(["egoexo-index", "--scenario", "cooking", *common], {}) == 1
    manifest = read_model(paths.manifest("egoexo-index", "cooking"), Manifest, "")
    assert manifest.dropped == {"without ego camera": 1}
    assert manifest.made["takes"] == 2


# --- the sample release


@pytest.mark.shared
def test_sample_release_counts_as_its_readme(paths: Paths, tmp_path: Path) -> None:
    if not SHARED.exists():
        pytest.skip("no sample release here")
    flatten_release(SHARED / "s3", tmp_path / "release")
    assert index(paths, tmp_path / "release", scenario="all").is_good
    assert split(paths, "all") == json.loads((SHARED / "split.json").read_bytes())
    truth = json.loads((SHARED / "truth" / "truth.json").read_bytes())
    pairs: Counter[tuple[str, str, str]] = Counter()
    for take in truth["takes"]:
        one = read_index(paths, take["take_uid"])
        expected: dict[str, list[int]] = {}
        for cameras in take["counts"].values():
            for camera, states in cameras.items():
                row = [1, states["present"], states["present"] + states["absent"]]
                expected[camera] = [sum(pair) for pair in zip(expected.get(camera, [0, 0, 0]), row, strict=True)]
        found = {name: [of.objects, of.masks, of.observations] for name, of in one.cameras.items()}
        assert found == expected
        assert [name for name, camera in one.cameras.items() if camera.is_ego] == [take["ego"]]
        tracks = tracks_of_relations(load_take(tmp_path / "release", one)["object_masks"])
        exos = [name for name, camera in one.cameras.items() if not camera.is_ego]
        for setting in SETTINGS:
            for pair in pairs_of(tracks, [take["ego"]], exos, setting):
                pairs[one.split, setting, "pairs"] += 1
                pairs[one.split, setting, f"target_{pair.target}"] += 1
    assert pairs == {
        (name, setting, column): number
        for name, settings in truth["pairs"].items()
        for setting, columns in settings.items()
        for column, number in columns.items()
    }
