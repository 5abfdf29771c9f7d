"""The command line: knobs from flags and environment, exit codes, messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import phases
from pipeline.__main__ import build_parser, main
from pipeline.config import AnnotateKnobs, CommonKnobs, DownloadKnobs
from pipeline.errors import PipelineError
from pipeline.knobs import read_knobs
from pipeline.line import with_repo
from pipeline.units import clips_of
from tests import toy_phase


def test_flag_wins_over_environment_over_default() -> None:
    environment = {"MODEL": "from-environment", "CLIP": "a,b c"}
    assert read_knobs(AnnotateKnobs, {}, {}).model == "Qwen/Qwen2.5-VL-7B-Instruct"
    assert read_knobs(AnnotateKnobs, {}, environment).model == "from-environment"
    assert read_knobs(AnnotateKnobs, {"model": "from-flag"}, environment).model == "from-flag"
    assert read_knobs(CommonKnobs, {}, environment).clip == ("a", "b", "c")
    assert read_knobs(AnnotateKnobs, {}, {"MODEL": ""}).model == "Qwen/Qwen2.5-VL-7B-Instruct"


def test_values_reach_their_types() -> None:
    options = vars(build_parser().parse_args(["annotate", "--fps", "2", "--no-constrain", "--rectify-balance", "0.5"]))
    knobs = read_knobs(AnnotateKnobs, {k: v for k, v in options.items() if v is not None}, {})
    assert (knobs.fps, knobs.constrain, knobs.rectify_balance) == (2.0, False, 0.5)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"fps": "abc"}, "--fps is 'abc', expected float"),
        ({"fps": "0"}, "--fps is 0.0, expected 0.05 … 30"),
        ({"fps": "nan"}, "--fps is nan"),
        ({"fps": "inf"}, "--fps is inf"),
        ({"max_new_tokens": "1.5"}, "--max-new-tokens is '1.5', expected int"),
        ({"rectify_balance": "2"}, "--rectify-balance is 2.0, expected 0 … 1"),
        ({"device": "tpu"}, "expected one of: auto | cuda | cpu"),
    ],
)
def test_nonsense_is_refused_by_name(given: dict[str, str], says: str) -> None:
    with pytest.raises(PipelineError, match="expected") as error:
        read_knobs(AnnotateKnobs, given, {})
    assert says in str(error.value)


def test_default_clips_are_those_of_the_repository() -> None:
    names = clips_of({"download": DownloadKnobs()}, CommonKnobs())
    assert names == ("factory_001_worker_001_0000", "factory_001_worker_001_0001")
    assert clips_of({"download": DownloadKnobs(repo="builddotai/Egocentric-10K")}, CommonKnobs())[0].startswith(
        "factory001_"
    )


def test_ones_own_video_is_the_one_unit() -> None:
    assert clips_of({"annotate": AnnotateKnobs(video="some/kitchen.mp4")}, CommonKnobs()) == ("kitchen",)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["annotate", "--fps", "99"], "--fps is 99.0"),
        (["extract", "--clip", "no-such-name"], "is no clip name"),
        (["extract", "--clip", "../../etc/passwd"], "is no clip name"),
        (["extract", "--redo", "everything"], "--redo names everything"),
        (["all", "--video", "a.mp4", "--clip", "factory_001_worker_001_0000"], "and VIDEO=a.mp4 are given"),
        (["annotate", "--window-s", "3", "--overlap-s", "3"], "--overlap-s is 3"),
    ],
)
def test_bad_usage_ends_with_2_and_no_traceback(
    arguments: list[str], says: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--data", str(tmp_path)], {}) == 2
    text = capfd.readouterr().err
    assert says in text
    assert "→" in text
    assert "Traceback" not in text


def test_exit_status_and_what_runs_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    first = toy_phase.row()
    rows = (first, phases.Phase(**{**vars(first), "name": "second", "needs": ("toy",)}))
    monkeypatch.setattr(phases, "PHASES", rows)
    clips = ["factory_001_worker_001_0000", "factory_001_worker_001_0001"]
    for clip, text in zip(clips, ["fail", "fine"], strict=True):
        (tmp_path / f"{clip}.txt").write_text(text)
    arguments = ["all", "--data", str(tmp_path), "--clip", ",".join(clips)]
    assert main(arguments, {}) == 1
    text = capfd.readouterr().err
    assert "second factory_001_worker_001_0000: not run: toy failed" in text
    assert "toy: 1 made, 0 kept, 1 failed" in text
    assert "second: 1 made" in text
    (tmp_path / f"{clips[0]}.txt").write_text("mended")
    assert main(arguments, {}) == 0


def test_a_data_folder_that_cannot_be_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--data", "/proc/no/such"], {}) == 2
    assert "DATA=/proc/no/such cannot be a data folder" in capfd.readouterr().err


def test_naming_the_repository_that_is_meant_anyway_changes_nothing() -> None:
    clips = ["factory_001_worker_001_0000"]
    explicit = with_repo({"download": DownloadKnobs(repo="builddotai/Egocentric-100K")}, clips)
    assert with_repo({"download": DownloadKnobs()}, clips) == explicit


def test_help_shows_every_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(["annotate", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "default 1.0" in text
    assert "default 0.0" in text


def test_a_full_disk_is_told_by_commands_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipeline.status.main", full)
    assert main(["status", "--data", str(tmp_path)], {}) == 1
    assert "the disk is full" in capfd.readouterr().err
