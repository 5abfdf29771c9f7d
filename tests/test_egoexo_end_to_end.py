"""The whole Ego-Exo4D line as a user runs it: one command, the real client, a store on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from pipeline.egoexo.synthetic import TRUTH, TakeSpec, make_release
from pipeline.paths import Paths
from pipeline.schema.base import read_model
from pipeline.schema.egoexo_pairs import SETTINGS, TypedPair
from pipeline.schema.egoexo_release import SPLITS
from pipeline.schema.egoexo_take import TakeFacts
from tests.s3_server import serve

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT.parent / "shared" / "samples" / "egoexo"
UHD, FULL_HD = (3840, 2160), (1920, 1080)
NATIVE_TAKES = tuple(
    TakeSpec(name, task, parent, split, exo=exo, frames=31, keyframe_interval=interval, seed=seed)
    for seed, (name, task, parent, split, exo, interval) in enumerate(
        [
            (
                "cmu_cooking_01_1",
                "Cooking Scrambled Eggs",
                "Cooking",
                "train",
                (("cam01", UHD), ("cam02", FULL_HD)),
                30,
            ),
            ("cmu_cooking_01_2", "Cooking Scrambled Eggs", "Cooking", "val", (("cam01", UHD),), 250),
            ("iiith_cooking_57_2", "Cooking Scrambled Eggs", "Cooking", "test", (("cam01", FULL_HD),), 30),
            ("iiith_covid_03_4", "Covid-19 Rapid Antigen Test", "Health", "train", (("cam01", FULL_HD),), 30),
        ]
    )
)
"""At the sizes of the data set: 1408² on the head, 2160p and 1080p in the room."""
NATIVE_FRAMES = {True: (704, 704), False: (960, 540)}
"""Worn or not → size of the stored frames."""
STATES = ("present", "absent", "unannotated")
PairCounts = dict[str, dict[str, Counter[str]]]
"""Split → setting → state of the target → pairs."""


def run(store: dict[str, str], data: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline", "egoexo", "--data", str(data), *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | store | settings,
        cwd=data.parent,
        capture_output=True,
        text=True,
    )


def pair_counts(paths: Paths, *names: str) -> PairCounts:
    """What the typed files say, over all these data sets; each has as many lines as its pair file has pairs."""
    counts: PairCounts = {split: {setting: Counter() for setting in SETTINGS} for split in SPLITS}
    for name in names:
        for split in SPLITS:
            for setting in SETTINGS:
                pairs = json.loads(paths.pairs(name, split, setting).read_text())
                lines = paths.typed_pairs(name, split, setting).read_text().splitlines()
                assert len(pairs) == len(lines)
                counts[split][setting].update(TypedPair.model_validate_json(line).target for line in lines)
    return counts


def true_counts(truth: Path) -> PairCounts:
    """The same, as the maker of the release counted it."""
    pairs = json.loads(truth.read_text())["pairs"]
    return {
        split: {
            setting: Counter({state: numbers[f"target_{state}"] for state in STATES})
            for setting, numbers in of_split.items()
        }
        for split, of_split in pairs.items()
    }


def largest_take_gb(root: Path, part: str) -> float:
    """Gigabytes of the take with most video in this part."""
    folder = root / "ego4d-consortium-sharing" / "egoexo-public" / "v2" / part
    takes = json.loads((folder / "manifest.json").read_text())
    return max(sum(path["size"] for path in take["paths"]) for take in takes) / 1e9


@pytest.mark.slow
def test_generated_release_from_the_store_to_checked_pairs(tmp_path: Path) -> None:
    """Both scenarios at native size and at 448, on a disk that may hold one take's videos at a time."""
    root = tmp_path / "s3"
    make_release(root, NATIVE_TAKES)
    truth = true_counts(root / TRUTH)
    with serve(root) as store:
        for part in ("takes", "downscaled_takes/448"):
            paths = Paths(tmp_path / part.replace("/", "_"))
            settings = {"PARTS": part, "MAX_VIDEOS_GB": f"{1.05 * largest_take_gb(root, part):.6f}"}
            for scenario in ("cooking", "health"):
                done = run(store, paths.data, SCENARIO=scenario, **settings)
                assert done.returncode == 0, done.stderr
            assert pair_counts(paths, "cooking", "health") == truth
            assert not list(paths.release().rglob("*.mp4"))
            again = run(store, paths.data, SCENARIO="cooking", **settings)
            assert again.returncode == 0, again.stderr
            assert "egoexo-process: 0 made, 3 kept, 0 failed" in again.stderr
            takes = [read_model(file, TakeFacts, "") for file in paths.data.glob("output_dir_*/*/take.json")]
            cameras = [camera for take in takes for camera in take.cameras.values()]
            assert {camera.native_size_wh for camera in cameras} == {(1408, 1408), UHD, FULL_HD}
            for camera in cameras:
                small = (448, 448) if camera.is_ego else (796, 448)
                assert camera.frame_size_wh == (NATIVE_FRAMES[camera.is_ego] if part == "takes" else small)


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.skipif(not SAMPLES.exists(), reason="no sample release here")
@pytest.mark.parametrize("part", ["takes", "downscaled_takes/448"])
def test_sample_release_both_scenarios_take_by_take(tmp_path: Path, part: str) -> None:
    paths = Paths(tmp_path / "data")
    limit = {"takes": "0.009", "downscaled_takes/448": "0.0015"}[part]
    with serve(SAMPLES / "s3") as store:
        for scenario, takes in (("cooking", 4), ("health", 2)):
            done = run(store, paths.data, SCENARIO=scenario, PARTS=part, MAX_VIDEOS_GB=limit)
            assert done.returncode == 0, done.stderr
            assert f"egoexo-process: {takes} made, 0 kept, 0 failed" in done.stderr
    assert pair_counts(paths, "cooking", "health") == true_counts(SAMPLES / "truth" / "truth.json")
    assert not list(paths.release().rglob("*.mp4"))
