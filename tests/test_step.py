"""What counts as done, and that nothing half-made ever does."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from pipeline import step
from pipeline.console import Console
from pipeline.errors import PipelineError
from pipeline.job import Counts, Job
from pipeline.knobs import Knobs
from pipeline.paths import Paths
from pipeline.runner import Summary, run_phase
from pipeline.schema.base import read_model, sweep_partials, write_model
from pipeline.schema.manifest import Manifest
from tests import toy_phase
from tests.toy_phase import ToyKnobs


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    for unit, text in {"a": "one two", "b": "three"}.items():
        (tmp_path / f"{unit}.txt").write_text(text)
    return Paths(tmp_path)


def run(
    paths: Paths, *, knobs: Knobs | None = None, units: str = "ab", redo: tuple[str, ...] = (), model: bool = False
) -> Summary:
    row = toy_phase.row("model" if model else None)
    return run_phase(row, list(units), knobs or ToyKnobs(), paths, Console(), redo)


def manifest(paths: Paths, unit: str = "a") -> Manifest:
    return read_model(paths.manifest("toy", unit), Manifest, "")


def test_makes_products_then_manifest_and_leaves_nothing_else(paths: Paths) -> None:
    summary = run(paths)
    assert summary.made == ["a", "b"]
    assert summary.dropped == {"spaces": 1}
    assert (paths.data / "out/a.out").read_text() == "one twoone two"
    assert manifest(paths).knobs == {"times": 2, "prompt": ""}
    assert manifest(paths).made == {"letters": 7}
    assert not list(paths.data.rglob("*.partial"))
    assert not (paths.data / "work/toy").exists()


def test_second_run_does_nothing(paths: Paths) -> None:
    run(paths)
    before = manifest(paths)
    assert run(paths).skipped == ["a", "b"]
    assert manifest(paths) == before


def test_changed_input_is_made_again(paths: Paths) -> None:
    run(paths)
    (paths.data / "a.txt").write_text("new")
    summary = run(paths)
    assert (summary.made, summary.skipped) == (["a"], ["b"])
    assert (paths.data / "out/a.copy").read_text() == "new"


def test_touched_but_equal_input_is_not(paths: Paths) -> None:
    run(paths)
    (paths.data / "a.txt").write_text("one two")
    assert run(paths).skipped == ["a", "b"]


def test_changed_knob_is_refused_by_name_and_redo_redoes(paths: Paths, capfd: pytest.CaptureFixture[str]) -> None:
    run(paths)
    summary = run(paths, knobs=ToyKnobs(times=3))
    assert set(summary.failed) == {"a", "b"}
    assert "--times 2 → 3" in summary.failed["a"]
    assert "REDO=toy" in capfd.readouterr().err
    assert run(paths, knobs=ToyKnobs(times=3), redo=("toy",)).made == ["a", "b"]


def test_knob_that_does_not_shape_the_product_may_change(paths: Paths) -> None:
    run(paths)
    assert run(paths, knobs=ToyKnobs(loud=True)).skipped == ["a", "b"]


def test_a_prompt_counts_by_its_content(paths: Paths) -> None:
    first, second = paths.data / "p1.md", paths.data / "p2.md"
    first.write_text("same")
    second.write_text("same")
    run(paths, knobs=ToyKnobs(prompt=str(first)))
    assert run(paths, knobs=ToyKnobs(prompt=str(second))).skipped == ["a", "b"]
    first.write_text("other")
    assert set(run(paths, knobs=ToyKnobs(prompt=str(first))).failed) == {"a", "b"}


def test_missing_product_is_made_again_and_edited_product_is_kept(
    paths: Paths, capfd: pytest.CaptureFixture[str]
) -> None:
    run(paths)
    (paths.data / "out/a.out").unlink()
    (paths.data / "out/b.out").write_text("by hand")
    summary = run(paths)
    assert (summary.made, summary.skipped) == (["a"], ["b"])
    assert (paths.data / "out/b.out").read_text() == "by hand"
    assert "was edited since" in capfd.readouterr().err


def test_changed_code_runs_again_without_a_model_and_is_kept_with_one(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run(paths)
    monkeypatch.setattr(step, "code_sha256", lambda module: "0" * 64)
    assert run(paths, model=True).skipped == ["a", "b"]
    assert "the code changed" in capfd.readouterr().err
    assert run(paths).made == ["a", "b"]


def test_missing_input_says_what_to_run(paths: Paths, capfd: pytest.CaptureFixture[str]) -> None:
    assert set(run(paths, units="ac").failed) == {"c"}
    assert "bash run.sh toy --with-earlier" in capfd.readouterr().err


@pytest.mark.parametrize("fault", ["fail", "bug", "full", "keep then fail"])
def test_one_failure_does_not_stop_the_others(paths: Paths, fault: str, capfd: pytest.CaptureFixture[str]) -> None:
    (paths.data / "a.txt").write_text(fault)
    summary = run(paths)
    assert (set(summary.failed), summary.made) == ({"a"}, ["b"])
    assert not paths.manifest("toy", "a").exists()
    assert ("Traceback" in capfd.readouterr().err) == (fault == "bug")
    assert (paths.data / "out/a.out").exists() == (fault == "keep then fail")
    (paths.data / "a.txt").write_text("mended")
    assert run(paths).made == ["a"]


def test_failed_redo_does_not_pass_for_done(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    run(paths)

    def cut_off(*_: object) -> None:
        raise PipelineError("killed between the two products", "")

    monkeypatch.setattr(step, "_put_in_place", cut_off)
    assert set(run(paths, redo=("toy",)).failed) == {"a", "b"}
    monkeypatch.undo()
    assert run(paths).made == ["a", "b"]


def test_unit_held_by_another_process_is_refused(paths: Paths) -> None:
    lock = paths.lock("toy", "a")
    lock.parent.mkdir(parents=True)
    with lock.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        summary = run(paths)
    assert "another run is working on" in summary.failed["a"]
    assert summary.made == ["b"]


def test_leftovers_of_dead_writers_are_swept(tmp_path: Path) -> None:
    dead, alive = tmp_path / ".x.json.999999999.partial", tmp_path / ".x.json.1.partial"
    dead.touch()
    alive.touch()
    sweep_partials(tmp_path)
    assert not dead.exists()
    assert alive.exists()


def test_damaged_manifest_is_a_clear_error(paths: Paths) -> None:
    run(paths)
    write_model(paths.manifest("toy", "a"), manifest(paths))
    paths.manifest("toy", "a").write_text("{")
    assert "is not a valid Manifest" in run(paths).failed["a"]
    assert run(paths, redo=("toy",)).made == ["a", "b"]


def test_an_interrupted_redo_goes_on_and_makes_nothing_twice(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    run(paths)
    run_of_toy, made = toy_phase.run, []

    def interrupted(job: Job) -> Counts:
        made.append(job.unit)
        if made == ["a", "b"]:
            raise KeyboardInterrupt
        return run_of_toy(job)

    monkeypatch.setattr(toy_phase, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(paths, redo=("toy",))
    assert run(paths, redo=("toy",)).skipped == ["a"]
    assert made == ["a", "b", "b"]
    assert run(paths, redo=("toy",)).made == ["a", "b"], "the next REDO begins anew"
    assert not (paths.data / "work").exists()


def test_redo_after_a_failure_starts_afresh(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails_with_leftovers(job: Job) -> Counts:
        assert not list(job.work.iterdir()), "what a failed run left was taken up by a REDO"
        (job.work / "partial").write_text("half")
        raise PipelineError("no good", "")

    monkeypatch.setattr(toy_phase, "run", fails_with_leftovers)
    for _ in range(2):
        assert set(run(paths, redo=("toy",)).failed) == {"a", "b"}


def test_a_unit_that_another_run_made_meanwhile_is_not_made_twice(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_of_toy, made = toy_phase.run, []

    def nested(job: Job) -> Counts:
        made.append(job.unit)
        if job.unit == "a":
            run(paths, units="b")
        return run_of_toy(job)

    monkeypatch.setattr(toy_phase, "run", nested)
    assert run(paths).skipped == ["b"]
    assert made == ["a", "b"]


def test_a_failed_remake_leaves_the_earlier_product_whole(paths: Paths) -> None:
    """The part that must outlive the failure waits beside it."""
    run(paths)
    before = {file.name: file.read_bytes() for file in (paths.data / "out").iterdir()}
    settings = manifest(paths)
    (paths.data / "a.txt").write_text("keep then fail")
    assert set(run(paths).failed) == {"a"}
    assert set(run(paths, redo=("toy",)).failed) == {"a"}
    assert {
        file.name: file.read_bytes() for file in (paths.data / "out").iterdir() if file.suffix != ".partial"
    } == before
    assert manifest(paths) == settings
    assert (paths.work("toy", "a") / "a.out").read_text() == "kept"


def test_a_folder_named_by_a_knob_counts_by_its_content(paths: Paths, tmp_path: Path) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights").write_text("1")
    run(paths, knobs=ToyKnobs(prompt=str(tmp_path / "here")))
    assert run(paths, knobs=ToyKnobs(prompt=str(tmp_path / "there"))).skipped == ["a", "b"]
    (tmp_path / "there" / "weights").write_text("2")
    assert set(run(paths, knobs=ToyKnobs(prompt=str(tmp_path / "there"))).failed) == {"a", "b"}


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(28, "No space left on device"), "the disk is full"),
        (PermissionError(13, "Permission denied", "/x"), "/x may not be written"),
        (PipelineError("no such model", "choose another"), "no such model"),
    ],
)
def test_a_model_that_cannot_be_loaded_fails_all_units_in_one_line(
    paths: Paths, error: Exception, says: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def load(*_: object) -> None:
        raise error

    monkeypatch.setattr(toy_phase, "load", load, raising=False)
    summary = run(paths, model=True)
    assert set(summary.failed) == {"a", "b"}
    assert says in summary.failed["a"]
    assert "Traceback" not in capfd.readouterr().err
