"""run.sh as a newcomer uses it: messages, exit codes, and setting up from nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTHON_FOLDER = str(Path(sys.executable).parent)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project as a clone would be: no environment, no caches, no data."""
    folder = tmp_path / "egopipe"
    folder.mkdir()
    for name in ("run.sh", "Makefile", "requirements.txt", "requirements-dev.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    for name in ("pipeline", "prompts"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def run(project: Path, *arguments: str, path: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    base = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "CLIP", "DATA", "REDO")}
    base["PATH"] = path or f"{PYTHON_FOLDER}:{base['PATH']}"
    return subprocess.run(
        ["bash", "run.sh", *arguments], cwd=project, env=base | environment, capture_output=True, text=True, timeout=900
    )


def test_without_arguments_it_says_how_and_fails(project: Path) -> None:
    done = run(project)
    assert done.returncode == 2
    assert "bash run.sh all | egoexo | demo | PHASE" in done.stderr
    assert run(project, "--help").returncode == 0


@pytest.mark.parametrize("engine", ["docker", "podman", "lxc"])
def test_an_engine_it_cannot_use_is_refused(project: Path, engine: str) -> None:
    done = run(project, "download", ENGINE=engine)
    assert done.returncode == 2
    assert f"ENGINE={engine}" in done.stderr
    assert "→" in done.stderr


def test_pins_installed_by_hand_are_used_and_nothing_is_set_up(project: Path) -> None:
    done = run(project, "status", "--json")
    assert done.returncode == 0, done.stderr
    assert "factory_001_worker_001_0000" in done.stdout
    assert not (project / ".venv").exists()


def test_exit_status_is_the_pipeline_s(project: Path) -> None:
    assert run(project, "annotate", "--fps", "99").returncode == 2
    done = run(project, "extract", "--clip", "factory_001_worker_001_0000")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_phases_run_from_another_folder(project: Path, tmp_path: Path) -> None:
    environment = os.environ | {"PATH": f"{PYTHON_FOLDER}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", str(project / "run.sh"), "status", "--json"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_make_passes_parameters_on(project: Path) -> None:
    environment = os.environ | {"PATH": f"{PYTHON_FOLDER}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["make", "-s", "annotate", "CLIP=not-a-clip"], cwd=project, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "'not-a-clip' is no clip name" in done.stderr


def test_python_that_is_too_old_or_absent_is_a_clear_error(project: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "dirname", "cksum", "tr", "cat", "grep", "sed"):
        (tools / name).symlink_to(shutil.which(name) or "")
    done = run(project, "status", path=str(tools))
    assert done.returncode == 2
    assert "there is no python3" in done.stderr


def test_an_environment_whose_python_is_gone_is_not_used(project: Path) -> None:
    (project / ".venv/bin").mkdir(parents=True)
    (project / ".venv/bin/python").symlink_to("/nowhere/python3")
    digest = subprocess.check_output("cat requirements.txt | cksum | tr ' ' '-'", shell=True, cwd=project, text=True)
    (project / ".venv/.pins").write_text(digest)
    assert run(project, "status", "--json").returncode == 0


def test_doctor_speaks_of_the_engine_that_was_asked_for(project: Path, tmp_path: Path) -> None:
    done = run(project, "doctor", "--json", ENGINE="docker", HF_ENDPOINT="http://127.0.0.1:9", MODEL=str(tmp_path))
    assert done.returncode == 1
    assert "docker asked for" in done.stdout


@pytest.mark.slow
def test_sets_up_from_nothing_inside_its_own_folder(project: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    plain = tmp_path / "plain"
    subprocess.run([sys.executable, "-m", "venv", str(plain)], check=True)
    cache = os.environ.get("UV_CACHE_DIR") or str(
        ROOT / ".cache/uv"
    )  # saves a second download, where there was a first
    path = f"{plain}/bin:/usr/local/bin:/usr/bin:/bin"
    done = run(project, "status", "--json", path=path, HOME=str(home), UV_CACHE_DIR=cache)
    assert done.returncode == 0, done.stderr
    assert (project / ".venv/.pins").exists()
    assert not [file for file in home.rglob("*") if file.is_file()], "something was written outside the project folder"
    again = run(project, "status", "--json", path=path, HOME=str(home), UV_CACHE_DIR="/nonexistent")
    assert again.returncode == 0, again.stderr
    assert "setting up" not in again.stderr


def test_an_interrupted_set_up_is_taken_up_again(project: Path) -> None:
    """The stamp comes last: an environment without it is not trusted."""
    folder = project / ".venv" / "bin"
    folder.mkdir(parents=True)
    (folder / "python").write_text('#!/bin/sh\ntest "$1" = -c || exit 42\n')
    (folder / "python").chmod(0o755)
    assert run(project, "status", "--json").returncode == 0  # the pins found on PATH serve, not the broken one
    digest = subprocess.run(
        "cat requirements.txt | cksum | tr ' ' '-'", shell=True, cwd=project, capture_output=True, text=True
    )
    (project / ".venv/.pins").write_text(digest.stdout)
    assert run(project, "status", "--json").returncode == 42
