"""A small made-up Ego-Exo4D release that many tests share: made once for each state of the code that makes it."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
import time
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np

from pipeline.egoexo.synthetic import TRUTH, TakeSpec, make_release

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".cache" / "egoexo_world"
"""Shared by the processes of a parallel run, and by the next one."""

SIZE_WH = (320, 180)
EXO = (("cam01", SIZE_WH), ("cam02", SIZE_WH))
SMALL_TAKES = (
    TakeSpec("cmu_cooking_01_1", "Making Cucumber & Tomato Salad", "Cooking", "train", "aria01_214-1", EXO, (176, 176),
             frames=90, seed=1),
    TakeSpec("cmu_cooking_01_2", "Cooking Scrambled Eggs", "Cooking", "val", "aria01_214-1", EXO, (176, 176),
             frames=90, keyframe_interval=250, seed=2),
    TakeSpec("iiith_cooking_57_2", "Cooking Scrambled Eggs", "Cooking", "test", "aria02_214-1", EXO, (176, 176),
             frames=90, codec="libx265", seed=3, university="iiith"),
    TakeSpec("georgiatech_covid_03_4", "Covid-19 Rapid Antigen Test", "Health", "train", "aria01_214-1",
             (("cam01", SIZE_WH),), (176, 176), frames=60, seed=4, university="georgiatech"),
)  # fmt: skip
"""Three cooking takes, one of each split, and a health take."""


def small_release(folder: Path) -> Path:
    """Put a bucket mirror `{folder}/{bucket}/{key}` of `SMALL_TAKES` there, with truth.json; returns `folder`.

    Files are copies, which a test may change.
    """
    shutil.copytree(_made(), folder, dirs_exist_ok=True)
    return folder


def _digest() -> str:
    sources = [*ROOT.glob("pipeline/egoexo/synthetic*.py"), *ROOT.glob("pipeline/ops/pictures/*.py"), Path(__file__)]
    sources += ROOT.glob("pipeline/ops/masks/*.py")
    versions = f"{av.__version__} {cv2.__version__} {np.__version__}".encode()
    return hashlib.sha256(b"".join([*(file.read_bytes() for file in sorted(sources)), versions])).hexdigest()[:16]


DIGEST = _digest()
"""Taken when the code is imported: an edit during a long run must not pass for what made the release."""


@lru_cache(maxsize=1)
def _made() -> Path:
    home = CACHE / DIGEST
    if not (home / TRUTH).exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        for stale in CACHE.iterdir():
            if time.time() - stale.stat().st_mtime > 24 * 3600:
                shutil.rmtree(stale, ignore_errors=True)
        building = Path(tempfile.mkdtemp(dir=CACHE, prefix="building_"))
        make_release(building, SMALL_TAKES)
        building.chmod(0o755)
        with contextlib.suppress(OSError):  # another process was faster
            building.rename(home)
        shutil.rmtree(building, ignore_errors=True)
    return home
