"""`demo`: one whole line on made-up footage, without network, GPU or accounts."""

from __future__ import annotations

import importlib
from pathlib import Path

from pipeline.config import CommonKnobs, DemoKnobs
from pipeline.console import Console
from pipeline.paths import Paths
from pipeline.step import locked


def main(knobs: DemoKnobs, common: CommonKnobs, console: Console) -> int:
    """Show one line.

    Raises:
        PipelineError: another demo is at work in the same folder.
    """
    home = Paths(Path(common.data).absolute())
    with locked(home.demo() / ".lock", "the demo"):
        # Imported when it is shown: each line's image lacks the other's libraries.
        status: int = importlib.import_module(f"pipeline.demo_{knobs.line}").show(common, home, console)
        return status
