"""`doctor egoexo`: keys that open the release, room on the disk; every line says what to do."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from pipeline.__main__ import main
from tests.egoexo_world import small_release
from tests.s3_server import running

Usage = namedtuple("Usage", "total used free")


def examine(data: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    status = main(["doctor", "egoexo", "--json", "--data", str(data), *arguments], {})
    return status, {item["what"]: item for item in json.loads(capsys.readouterr().out)}


def test_keys_that_open_the_release_and_keys_that_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(small_release(tmp_path / "s3")) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        status, found = examine(tmp_path, capsys)
        assert (status, found["AWS keys"]["level"]) == (0, "ok")
        server.faults.refuse["manifest.json"] = (403, "ExpiredToken")
        status, found = examine(tmp_path, capsys)
        assert (status, found["AWS keys"]["level"]) == (1, "error")
        assert "14 days" in found["AWS keys"]["text"] and found["AWS keys"]["fix"]
        status, found = examine(tmp_path, capsys, "--s3-profile", "nobody")
    assert status == 1 and "nobody" in found["AWS keys"]["text"]


def test_a_release_that_is_there_needs_no_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "takes.json").write_text("[]")
    assert examine(tmp_path, capsys, "--release", str(tmp_path))[0] == 0
    status, found = examine(tmp_path, capsys, "--release", str(tmp_path / "elsewhere"))
    assert status == 1 and found["release"]["fix"]


@pytest.mark.parametrize(("free_gb", "level"), [(1.0, "error"), (5.0, "warning"), (60.0, "ok")])
def test_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], free_gb: float, level: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, int(free_gb * 1e9)))
    (tmp_path / "release").mkdir()
    (tmp_path / "release" / "takes.json").write_text("[]")
    _, found = examine(tmp_path, capsys, "--release", str(tmp_path / "release"))
    assert found["disk"]["level"] == level
    assert bool(found["disk"]["fix"]) == (level != "ok")
