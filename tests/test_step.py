"""What counts as done, and that nothing half-made ever does."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from pipeline import step
from pipeline.config import Knobs
from pipeline.console import Console
from pipeline.errors import PipelineError
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
    assert "bash run.sh earlier" in capfd.readouterr().err


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
