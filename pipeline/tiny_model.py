"""`tiny-model`: write a tiny random model, a folder that MODEL= accepts wherever it accepts the real one."""

from __future__ import annotations

from pathlib import Path

from pipeline.config import CommonKnobs, TinyModelKnobs
from pipeline.console import Console
from pipeline.models.tiny import write_tiny_model
from pipeline.paths import Paths


def main(knobs: TinyModelKnobs, common: CommonKnobs, console: Console) -> int:
    """Write the model anew and say where it is."""
    folder = Paths(Path(common.data).absolute()).tiny_model(knobs.family)
    write_tiny_model(folder, knobs.family)
    size = sum(file.stat().st_size for file in folder.iterdir())
    console.good(f"{folder} ({size / 1e6:.1f} MB, random weights: for trying things out, its answers mean nothing)")
    console.say(f"use it with MODEL={folder}")
    return 0
