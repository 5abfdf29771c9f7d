"""Products that are folders, units below a data set, plans, and units that are published incomplete."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import step
from pipeline.console import Console
from pipeline.paths import Paths
from pipeline.runner import Summary, run_phase
from pipeline.schema.base import read_model, sweep_partials
from pipeline.schema.manifest import Manifest
from tests import toy_take
from tests.toy_take import TakeKnobs


def run(
    folder: Path, texts: dict[str, str], *, knobs: TakeKnobs | None = None, redo: bool = False, **row: bool
) -> Summary:
    for unit, text in texts.items():
        file = folder / f"{unit.replace('/', '-')}.txt"
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
    units = list(texts)
    toy_take.planned.clear()
    return run_phase(
        toy_take.row(**row), units, knobs or TakeKnobs(), Paths(folder), Console(), ["toy-take"] if redo else []
    )


def names(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_a_folder_comes_whole_and_the_next_run_keeps_it(tmp_path: Path) -> None:
    assert run(tmp_path, {"set/a": "one", "set/001": "two"}).made == ["set/a", "set/001"]
    assert names(tmp_path / "out") == [
        f"set/{unit}/{name}" for unit in ("001", "a") for name in ("annotation.json", "cam01/0.jpg", "cam01/1.jpg")
    ]
    assert (tmp_path / "manifests/toy-take/set/a.json").exists()
    assert not (tmp_path / "work").exists()
    assert run(tmp_path, {"set/a": "one", "set/001": "two"}).skipped == ["set/a", "set/001"]
    assert toy_take.planned == []


def test_a_folder_is_replaced_not_mixed(tmp_path: Path) -> None:
    run(tmp_path, {"a": "one"}, knobs=TakeKnobs(size=5))
    assert run(tmp_path, {"a": "one"}, knobs=TakeKnobs(size=2), redo=True).made == ["a"]
    assert names(tmp_path / "out/a") == ["annotation.json", "cam01/0.jpg", "cam01/1.jpg"]


@pytest.mark.parametrize("harm", ["gone", "shorter"])
def test_a_frame_that_is_gone_or_cut_off_is_noticed(
    tmp_path: Path, harm: str, capfd: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, {"a": "one"})
    frame = tmp_path / "out/a/cam01/1.jpg"
    frame.unlink() if harm == "gone" else frame.write_text("on")
    again = run(tmp_path, {"a": "one"})
    assert (again.skipped, again.is_good) == (["a"], False)
    assert "files in take changed, came or went since; kept" in capfd.readouterr().err


@pytest.mark.parametrize("text", ["fail", "interrupt"])
def test_what_fails_leaves_no_folder_and_a_failed_redo_leaves_the_old_one(tmp_path: Path, text: str) -> None:
    if text == "interrupt":
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, {"a": text})
    else:
        assert run(tmp_path, {"a": text}).failed == {"a": "the text asked for it"}
    assert names(tmp_path / "out") == []
    run(tmp_path, {"b": "good"})
    file = tmp_path / "b.txt"
    file.write_text("fail")
    assert run(tmp_path, {"b": "fail"}, redo=True).failed
    assert (tmp_path / "out/b/cam01/1.jpg").read_text() == "good"


def test_killed_between_removing_the_old_folder_and_placing_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, {"a": "old"})

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(step, "_put_in_place", die)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, {"a": "new"})
    monkeypatch.undo()
    assert run(tmp_path, {"a": "new"}).made == ["a"]
    assert (tmp_path / "out/a/cam01/1.jpg").read_text() == "new"


def test_incomplete_units_are_published_and_remembered(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    first = run(tmp_path, {"a": "incomplete", "b": "whole"})
    assert (first.made, first.incomplete, first.is_good) == (["a", "b"], {"a": "cam02 has no video"}, False)
    again = run(tmp_path, {"a": "incomplete", "b": "whole"})
    assert (again.skipped, list(again.incomplete), again.is_good) == (["a", "b"], ["a"], False)
    assert "kept, though incomplete: cam02 has no video" in capfd.readouterr().err
    manifest = read_model(tmp_path / "manifests/toy-take/a.json", Manifest, "")
    assert manifest.details == {"incomplete": ["cam02 has no video"]}
    assert run(tmp_path, {"a": "whole now", "b": "whole"}).is_good


def test_an_incomplete_unit_that_loses_a_file_stays_incomplete(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, {"set/a": "incomplete"})
    (tmp_path / "out/set/a/cam01/1.jpg").unlink()
    assert not run(tmp_path, {"set/a": "incomplete"}).is_good
    text = capfd.readouterr().err
    assert "REDO=toy-take ONLY=a makes it again" in text and "cam02 has no video" in text


def test_an_edit_of_the_code_does_not_repeat_what_cost_a_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, {"a": "one"}, keeps=True)
    monkeypatch.setattr(step, "code_sha256", lambda module: "0" * 64)
    assert run(tmp_path, {"a": "one"}, keeps=True).skipped == ["a"]
    assert run(tmp_path, {"a": "one"}, keeps=False).made == ["a"]


def test_what_looks_anew_every_time_does(tmp_path: Path) -> None:
    for _ in range(2):
        assert run(tmp_path, {"a": "one"}, always=True).made == ["a"]


def test_the_plan_sees_all_units_to_be_made_and_may_refuse_or_end_there(tmp_path: Path) -> None:
    run(tmp_path, {"a": "one"})
    assert run(tmp_path, {"a": "one", "b": "two", "c": "x"}).made == ["b", "c"]
    assert toy_take.planned == [("b", "c")]
    refused = run(tmp_path, {"d": "one", "huge": "two"})
    assert set(refused.failed) == {"d", "huge"}
    planned = run(tmp_path, {"d": "one"}, knobs=TakeKnobs(dry_run=True))
    assert (planned.made, planned.only_planned, planned.is_good) == ([], True, True)
    assert not (tmp_path / "out/d").exists()


def test_an_interrupted_run_tells_what_waits_ahead(tmp_path: Path) -> None:
    toy_take.stopped.clear()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, {"a": "interrupt", "slow": "two"})
    assert toy_take.stopped == ["slow"]


def test_a_folder_named_like_a_process_is_not_swept(tmp_path: Path) -> None:
    (tmp_path / ".001.partial").mkdir()
    (tmp_path / ".x.999999999.partial").touch()
    sweep_partials(tmp_path)
    assert [place.name for place in tmp_path.iterdir()] == [".001.partial"]
