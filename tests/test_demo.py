"""The README as a newcomer follows it: the demo, then the example on what the demo made."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.paths import Paths
from pipeline.schema.base import read_model
from pipeline.schema.segments import Annotations

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_demo_then_the_readme_s_example(tmp_path: Path) -> None:
    python_first = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    offline = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path / "hub"), "PYTHONPATH": str(ROOT)}
    environment = os.environ | offline | {"DATA": str(tmp_path / "data"), "PATH": python_first}
    for expected in ("annotate: 2 made, 0 kept, 0 failed", "annotate: 0 made, 2 kept, 0 failed"):
        done = subprocess.run(["bash", str(ROOT / "run.sh"), "demo"], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert expected in done.stderr
    for name in re.findall(r"^  (/\S+)", done.stderr, re.MULTILINE):
        assert Path(name).stat().st_size > 1000
    paths = Paths(tmp_path / "data" / "demo" / "data")
    assert read_model(paths.annotations("factory_001_worker_001_0000"), Annotations, "").duration_s == 24
    example = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert example
    shown = subprocess.run(
        [sys.executable, "-c", example[1]], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines()[:2] == ["0 0.0 (252, 448, 3)", "30 1.0 (252, 448, 3)"]
    assert len(shown.stdout.splitlines()) == 24
