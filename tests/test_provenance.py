"""Digests of code and files, and memory that is this process's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import provenance
from pipeline.provenance import code_sha256, digest_file, peak_memory_bytes, restart_peak_memory

ROOT = Path(__file__).parents[1]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "pipeline"
    folder.mkdir()
    (folder / "top.py").write_text("from pipeline.low import value\nprint(value)\n")
    (folder / "low.py").write_text("value = 1\n")
    (folder / "other.py").write_text("value = 1\n")
    monkeypatch.setattr(provenance, "PACKAGE", folder)
    return folder


def digest() -> str:
    code_sha256.cache_clear()
    return code_sha256("pipeline.top")


def test_code_digest_follows_imports_and_ignores_comments(package: Path) -> None:
    before = digest()
    (package / "low.py").write_text("# why\nvalue  =  1\n")
    (package / "other.py").write_text("value = 2\n")
    assert digest() == before
    (package / "low.py").write_text("value = 2\n")
    assert digest() != before
    code_sha256.cache_clear()


def test_a_digest_at_the_same_size_and_time_is_trusted(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("one")
    first = digest_file(file)
    forged = first.model_copy(update={"sha256": "0" * 64})
    assert digest_file(file, forged).sha256 == "0" * 64
    file.write_text("other")
    assert digest_file(file, forged).sha256 not in (first.sha256, "0" * 64)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_peak_memory_is_not_inherited_and_can_be_counted_anew() -> None:
    """getrusage gave a small child its big parent's peak, so a benchmark compared the parent with itself."""
    ballast = bytearray(400_000_000)
    ballast[::4096] = b"x" * len(ballast[::4096])
    assert peak_memory_bytes() > 400_000_000
    code = "from pipeline.provenance import peak_memory_bytes; print(peak_memory_bytes())"
    child = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(child.stdout) < 200_000_000
    before = peak_memory_bytes()
    del ballast
    restart_peak_memory()
    assert peak_memory_bytes() < before - 300_000_000
