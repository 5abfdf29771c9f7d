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
    TakeSpec(name, task, "Cooking", split, exo=exo, frames=60, keyframe_interval=interval, seed=seed)
    for seed, (name, task, split, exo, interval) in enumerate(
        [
            ("cmu_cooking_01_1", "Making Cucumber & Tomato Salad", "train", (("cam01", UHD), ("cam02", FULL_HD)), 30),
            ("cmu_cooking_01_2", "Cooking Scrambled Eggs", "val", (("cam01", UHD),), 250),
            ("iiith_cooking_57_2", "Cooking Scrambled Eggs", "test", (("cam01", FULL_HD),), 30),
        ]
    )
)
"""At the sizes of the data set: 1408² on the head, 2160p and 1080p in the room."""
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


@pytest.mark.slow
def test_native_release_from_the_store_to_checked_pairs(tmp_path: Path) -> None:
    make_release(tmp_path / "s3", NATIVE_TAKES)
    paths = Paths(tmp_path / "data")
    with serve(tmp_path / "s3") as store:
        done = run(store, paths.data, SCENARIO="cooking", PARTS="takes")
        assert done.returncode == 0, done.stderr
        again = run(store, paths.data, SCENARIO="cooking", PARTS="takes")
        assert again.returncode == 0, again.stderr
    assert pair_counts(paths, "cooking") == true_counts(tmp_path / "s3" / TRUTH)
    takes = [read_model(file, TakeFacts, "") for file in paths.output_dir("cooking").glob("*/take.json")]
    cameras = [camera for take in takes for camera in take.cameras.values()]
    for camera in cameras:
        assert camera.frame_size_wh == ((704, 704) if camera.is_ego else (960, 540)), camera
    assert {camera.native_size_wh for camera in cameras} == {(1408, 1408), UHD, FULL_HD}
    assert not list(paths.release().rglob("*.mp4"))
    assert "egoexo-process: 0 made, 3 kept, 0 failed" in again.stderr
    assert "egoexo-check: 1 made" in again.stderr


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
