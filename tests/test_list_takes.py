"""list-takes: filters, table and JSON, with and without relations files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.__main__ import main
from pipeline.egoexo.synthetic import flatten_release
from tests.egoexo_world import SMALL_TAKES, small_release

COOKING = ["cmu_cooking_01_1", "cmu_cooking_01_2", "iiith_cooking_57_2"]
HEALTH = "georgiatech_covid_03_4"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a take beside the annotated ones that has neither masks nor a known length."""
    folder = tmp_path_factory.mktemp("list_takes")
    flatten_release(small_release(folder / "buckets"), folder / "release")
    takes = json.loads((folder / "release/takes.json").read_bytes())
    bare = {"take_uid": "bike-1", "take_name": "cmu_bike_1", "parent_task_name": "Bike Repair", "task_name": None}
    (folder / "release/takes.json").unlink()
    (folder / "release/takes.json").write_text(json.dumps([*takes, bare]))
    return folder / "release"


def listed(release: Path, data: Path, capfd: pytest.CaptureFixture[str], *flags: str) -> list[dict[str, Any]]:
    capfd.readouterr()
    assert main(["list-takes", "--json", "--release", str(release), "--data", str(data), *flags], {}) == 0
    rows: list[dict[str, Any]] = json.loads(capfd.readouterr().out)
    return rows


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        ([], [*COOKING, HEALTH, "cmu_bike_1"]),
        (["--scenario", "cooking"], COOKING),
        (["--scenario", "all"], [*COOKING, HEALTH, "cmu_bike_1"]),
        (["--scenario", "bike_repair"], ["cmu_bike_1"]),
        (["--scenario", "music"], []),
        (["--task", "scrambled"], COOKING[1:]),
        (["--university", "CMU"], COOKING[:2]),
        (["--university", "cm"], []),
        (["--min-duration-s", "2.5"], COOKING),
        (["--max-duration-s", "2.5"], [HEALTH]),
        (["--has-relations"], [*COOKING, HEALTH]),
        (["--task", "eggs", "--university", "iiith", "--has-relations"], COOKING[2:]),
    ],
)
def test_filters(
    release: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], flags: list[str], names: list[str]
) -> None:
    assert [row["take_name"] for row in listed(release, tmp_path, capfd, *flags)] == names


def test_a_row_says_what_the_release_says(release: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    first, *_, bare = listed(release, tmp_path, capfd)
    take = SMALL_TAKES[0]
    tracks = json.loads((release / "annotations/relations_train.json").read_bytes())["annotations"][take.take_uid]
    masks = [track["annotation"] for of in tracks["object_masks"].values() for track in of.values()]
    assert first == {
        "take_uid": take.take_uid,
        "take_name": take.take_name,
        "scenario": "cooking",
        "task": take.scenario,
        "university": "cmu",
        "duration_s": 3.0,
        "relations": "train",
        "objects": len(tracks["object_masks"]),
        "masks": sum(map(len, masks)),
        "cameras": ["aria01_214-1", "cam01", "cam02"],
    }
    assert bare["relations"] is None and bare["duration_s"] is None and bare["task"] == "" and bare["masks"] == 0


def test_table(release: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["list-takes", "--release", str(release), "--data", str(tmp_path)], {}) == 0
    shown = capfd.readouterr()
    for text in (*COOKING, HEALTH, SMALL_TAKES[0].take_uid, "bike_repair", "Cooking Scrambled Eggs", "train", "?"):
        assert text in shown.out
    assert "5 of 5 takes, 4 with masks" in shown.err


def test_names_with_brackets_are_shown_as_they_are(
    release: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    odd = tmp_path / "odd"
    odd.mkdir()
    take = {"take_uid": "u[red]1", "take_name": "[b]name[/b]", "task_name": "cut [/] paste"}
    (odd / "takes.json").write_text(json.dumps([take]))
    assert main(["list-takes", "--release", str(odd), "--data", str(tmp_path / "data")], {}) == 0
    shown = capfd.readouterr().out
    assert "u[red]1" in shown and "[b]name[/b]" in shown and "cut [/] paste" in shown


def test_without_relations_files(release: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "takes.json").write_bytes((release / "takes.json").read_bytes())
    assert [row["relations"] for row in listed(bare, tmp_path / "data", capfd)] == [None] * 5
    common = ["--release", str(bare), "--data", str(tmp_path / "data")]
    assert main(["list-takes", *common], {}) == 0
    assert "which takes have masks is not known" in capfd.readouterr().err
    assert main(["list-takes", "--has-relations", *common], {}) == 1
    assert "no annotations/relations_*.json" in capfd.readouterr().err


def test_without_metadata_says_how_to_get_them(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["list-takes"], {"DATA": str(tmp_path)}) == 1
    shown = capfd.readouterr().err
    assert "takes.json does not exist" in shown and "egoexo-metadata" in shown


def test_second_time_parses_nothing(
    release: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = listed(release, tmp_path, capfd)
    monkeypatch.setattr("pipeline.egoexo.listing.scan_relations", lambda *_: pytest.fail("parsed again"))
    assert listed(release, tmp_path, capfd) == before
