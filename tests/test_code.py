"""The code itself: lint, format, types, shell; and that the README's example runs as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["shellcheck", "run.sh", ".ci/run"],
        ["bash", "-n", "run.sh"],
    ],
    ids=" ".join,
)
def test_clean(command: list[str]) -> None:
    environment = os.environ | {"PATH": f"{TOOLS}:{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_pins_are_those_of_the_ranges() -> None:
    """Every range in pyproject.toml has its exact pin, with hashes, in a compiled file."""
    pins = (ROOT / "requirements.txt").read_text() + (ROOT / "requirements-dev.txt").read_text()
    for name in re.findall(r'^    "([\w-]+)[><=]', (ROOT / "pyproject.toml").read_text(), re.MULTILINE):
        assert re.search(rf"^{name}==\S+.*\\\n    --hash=sha256:", pins, re.MULTILINE), f"{name} has no pin: make pins"
    for required in (
        "transformers",
        "qwen-vl-utils",
        "accelerate",
        "huggingface-hub",
        "pycocotools",
        "lzstring",
        "torch",
    ):
        assert re.search(rf"^{required}==", pins, re.MULTILINE)
    assert "ultralytics" not in pins
    assert "://" not in pins, "a registry is named"


def test_links_and_pictures_of_the_readme_exist() -> None:
    text = (ROOT / "README.md").read_text()
    for target in re.findall(r"\]\((?!https?://)([^)#]+)\)", text):
        assert (ROOT / target).exists(), target
