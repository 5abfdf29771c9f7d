"""What a run works on: clips, data sets and takes; what is lost when an earlier phase fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.config import CommonKnobs
from pipeline.config_egoexo import DatasetKnobs, IndexKnobs, PairsKnobs, ProcessKnobs
from pipeline.console import Console
from pipeline.errors import PipelineError
from pipeline.job import Counts, Job
from pipeline.knobs import Knobs
from pipeline.line import run_line
from pipeline.paths import Paths
from pipeline.phases import Phase, line_phases, phase, with_earlier
from pipeline.schema.base import write_model
from pipeline.schema.egoexo_release import SplitFile
from pipeline.step import fingerprint
from pipeline.units import Clips, Dataset, select
from tests.egoexo_line import NAMES, TRAIN, VAL, Line

ROWS = {row.name: row for row in line_phases("egoexo")}


def write_split(paths: Paths, name: str, **splits: list[str]) -> None:
    paths.split_file(name).parent.mkdir(parents=True, exist_ok=True)
    paths.split_file(name).write_text(json.dumps({"train": [], "val": [], "test": []} | splits))


def test_units_of_each_kind_of_phase(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    write_split(paths, "cooking", train=["b", "a"], test=["c", "a"])
    dataset = Dataset("cooking", paths, {})
    assert dataset.units(ROWS["egoexo-metadata"]) == ("release",)
    assert dataset.units(ROWS["egoexo-pairs"]) == ("cooking",)
    assert dataset.units(ROWS["egoexo-process"]) == ("cooking/b", "cooking/a", "cooking/c")


def test_only_some_takes_of_a_data_set(tmp_path: Path) -> None:
    line = Line.make(tmp_path)
    line.index()
    rows = ROWS["egoexo-process"]

    def units(*only: str) -> tuple[str, ...]:
        knobs_of = {rows.name: ProcessKnobs(scenario="cooking", only=only)}
        return Dataset("cooking", line.paths, knobs_of).units(rows)

    assert len(units()) == 3
    assert units(NAMES[VAL], TRAIN) == (f"cooking/{TRAIN}", f"cooking/{VAL}")
    with pytest.raises(PipelineError, match="ONLY=nobody names no take"):
        units(TRAIN, "nobody")


@pytest.mark.parametrize("content", [None, "{", '{"train": []}', '{"train": "a"}'])
def test_without_a_usable_split_the_takes_are_unknown(tmp_path: Path, content: str | None) -> None:
    paths = Paths(tmp_path)
    paths.output_dir("cooking").mkdir()
    if content is not None:
        paths.split_file("cooking").write_text(content)
    with pytest.raises(PipelineError, match=r"split\.json"):
        Dataset("cooking", paths, {}).units(ROWS["egoexo-process"])


def test_a_run_of_the_line_leaves_out_what_only_a_name_asks_for() -> None:
    assert list(ROWS) == [f"egoexo-{name}" for name in ("metadata", "index", "process", "pairs", "check", "preview")]
    earlier = [row.name for row in with_earlier("egoexo-download")]
    assert earlier == ["egoexo-metadata", "egoexo-index", "egoexo-download"]


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        (DatasetKnobs(), "not said which takes"),
        (IndexKnobs(takes=("a",)), "TAKES=a is given without NAME="),
        (IndexKnobs(takes=("a", "b"), name="own", scenario="cooking"), "TAKES=a,b is given with SCENARIO="),
    ],
)
def test_a_selection_that_makes_no_sense_is_refused(tmp_path: Path, knobs: Knobs, says: str) -> None:
    with pytest.raises(PipelineError, match=says):
        select([ROWS["egoexo-index"]], {"egoexo-index": knobs}, CommonKnobs(), Paths(tmp_path))


@pytest.mark.parametrize("name", ["../up", "a/b", "my set", "."])
def test_a_name_that_is_no_folder_name_is_refused(name: str) -> None:
    with pytest.raises(PipelineError, match="cannot name a folder"):
        DatasetKnobs(name=name)


def test_clips_and_takes_are_told_apart_by_the_phases(tmp_path: Path) -> None:
    of_clips = select([phase("extract")], {"extract": phase("extract").knobs()}, CommonKnobs(), Paths(tmp_path))
    assert isinstance(of_clips, Clips)
    named = {"egoexo-pairs": PairsKnobs(scenario="health")}
    of_takes = select([ROWS["egoexo-pairs"]], named, CommonKnobs(), Paths(tmp_path))
    assert isinstance(of_takes, Dataset) and of_takes.name == "health"


def test_bad_usage_of_the_line_ends_with_2(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["egoexo", "--data", str(tmp_path)], {}) == 2
    assert "SCENARIO=cooking" in capfd.readouterr().err
    assert main(["egoexo", "--data", str(tmp_path), "--takes", "a"], {"SCENARIO": ""}) == 2
    assert "NAME=" in capfd.readouterr().err


def test_another_scenario_under_the_same_name_is_another_setting() -> None:
    assert fingerprint(IndexKnobs(name="own", scenario="cooking")) != fingerprint(
        IndexKnobs(name="own", scenario="health")
    )
    assert fingerprint(PairsKnobs(name="own", scenario="cooking")) == fingerprint(PairsKnobs(name="own"))


def test_an_imported_data_set_needs_no_release(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    dataset = Dataset("own", paths, {})
    assert not dataset.nothing_to_do(ROWS["egoexo-index"], 6)
    manifest = paths.manifest("egoexo-import", "own")
    manifest.parent.mkdir(parents=True)
    manifest.touch()
    idle = [row.name for row in ROWS.values() if dataset.nothing_to_do(row, 6)]
    assert idle == ["egoexo-metadata", "egoexo-index", "egoexo-process"]
    chosen = {"egoexo-index": IndexKnobs(name="pilot"), "egoexo-pairs": PairsKnobs(name="pilot")}
    index = ROWS["egoexo-index"]
    assert not Dataset("pilot", paths, chosen).nothing_to_do(index, 6)
    write_model(paths.manifest("egoexo-index", "pilot"), SplitFile())
    assert "chosen already" in Dataset("pilot", paths, chosen).nothing_to_do(index, 6)
    anew = chosen | {"egoexo-index": IndexKnobs(name="pilot", scenario="health")}
    assert not Dataset("pilot", paths, anew).nothing_to_do(index, 6)
    here = Dataset("cooking", paths, {"egoexo-metadata": DatasetKnobs(release="/data/egoexo")})
    assert "RELEASE" in here.nothing_to_do(ROWS["egoexo-metadata"], 6)


fails: set[str] = set()
ran: list[tuple[str, str]] = []


def inputs(paths: Paths, unit: str, knobs: DatasetKnobs) -> dict[str, Path]:
    """The toy line's phases read nothing."""
    return {}


def products(paths: Paths, unit: str, knobs: DatasetKnobs) -> dict[str, Path]:
    """And write nothing."""
    return {}


def run(job: Job) -> Counts:
    """Fails where the test says so."""
    ran.append((job.paths.data.name, job.unit))
    if job.unit in fails:
        raise PipelineError(f"{job.unit} was told to fail", "tell it otherwise")
    return Counts()


def toy_line() -> list[Phase]:
    chain = [("fetch", "release", ()), ("index", "dataset", ("fetch",)), ("process", "take", ("index",)),
             ("pairs", "dataset", ("process",)), ("preview", "take", ("process",))]  # fmt: skip
    return [
        Phase(name, "toy", "egoexo", __name__, DatasetKnobs, "preprocess", unit, needs, "")
        for name, unit, needs in chain
    ]


@pytest.mark.parametrize(
    ("failing", "runs"),
    [
        ("nothing", ["release", "set", "set/a", "set/b", "set", "set/a", "set/b"]),
        ("set/a", ["release", "set", "set/a", "set/b", "set", "set/b"]),
        ("set", ["release", "set"]),
        ("release", ["release"]),
    ],
)
def test_one_take_s_failure_stops_its_own_way_only(
    tmp_path: Path, failing: str, runs: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    paths = Paths(tmp_path)
    write_split(paths, "set", train=["a", "b"])
    ran.clear()
    monkeypatch.setattr(f"{__name__}.fails", {failing})
    rows = toy_line()
    knobs_of: dict[str, Knobs] = {row.name: DatasetKnobs(name="set") for row in rows}
    status = run_line(rows, Dataset("set", paths, knobs_of), knobs_of, CommonKnobs(data=str(tmp_path)), Console())
    assert status == (0 if failing == "nothing" else 1)
    assert [unit for _, unit in ran] == runs
    text = capfd.readouterr().err
    if failing == "set/a":
        assert "preview set/a: not run: process failed" in text
        assert "process: 1 made, 0 kept, 1 failed" in text


def test_status_of_a_data_set_of_chosen_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = Line.make(tmp_path)
    data = ["--data", str(line.paths.data)]
    assert main(["egoexo-index", "--name", "own", "--takes", TRAIN, "--release", str(line.release), *data], {}) == 0
    capsys.readouterr()
    assert main(["status", "--name", "own", "--json", "--release", str(line.release), *data], {}) == 0
    states = json.loads(capsys.readouterr().out)
    assert states["own"]["egoexo-process"] == "1 to do"
    assert states[f"own/{TRAIN}"]["egoexo-process"] == "–"
    assert states["own"]["egoexo-index"].startswith("done (")
