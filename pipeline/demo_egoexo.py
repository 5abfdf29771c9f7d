"""`demo egoexo`: the Ego-Exo4D line on a small release that is drawn, filmed and served on this machine."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline import phases
from pipeline.config import CommonKnobs
from pipeline.config_egoexo import DatasetKnobs, ProcessKnobs
from pipeline.console import Console
from pipeline.egoexo.demo_store import serving
from pipeline.egoexo.synthetic import TRUTH, TakeSpec, make_release
from pipeline.line import run_line
from pipeline.paths import Paths
from pipeline.schema.base import write_whole
from pipeline.schema.egoexo_pairs import SETTINGS, TypedPair
from pipeline.schema.egoexo_release import SPLITS
from pipeline.units import Dataset

SCENARIO = "cooking"
EXO = (("cam01", (1280, 720)), ("cam02", (1280, 720)))
EGO_WH = (1024, 1024)
"""Smaller than the real 1408 × 1408 and 3840 × 2160, so that filming takes seconds and not minutes."""
TAKES = (
    TakeSpec("cmu_cooking_01_1", "Making Cucumber & Tomato Salad", "Cooking", "train", "aria01_214-1", EXO, EGO_WH,
             frames=150, seed=3, downscaled=False),
    TakeSpec("iiith_cooking_57_2", "Cooking Scrambled Eggs", "Cooking", "val", "aria01_214-1", EXO, EGO_WH,
             frames=120, keyframe_interval=250, seed=1, downscaled=False, university="iiith"),
    TakeSpec("cmu_cooking_07_3", "Cooking Scrambled Eggs", "Cooking", "test", "aria02_214-1", EXO, EGO_WH,
             frames=120, seed=6, downscaled=False),
)  # fmt: skip
KEYS = "[default]\naws_access_key_id = demo\naws_secret_access_key = demo\n"
"""Of no account: the store on this machine does not look at them, but the client wants a profile."""


def show(common: CommonKnobs, home: Paths, console: Console) -> int:
    """Make the release, serve it, run the same phases as `egoexo` on it, compare with the truth, say where to look."""
    started_s = time.monotonic()
    paths = Paths(home.demo() / "data")
    store = home.demo() / "store"
    console.say(f"a made-up release and what becomes of it go to {home.demo()}")
    if not _is_made(store):
        console.say(
            f"filming {len(TAKES)} made-up takes at {EGO_WH[0]}×{EGO_WH[1]} (head) and "
            f"{EXO[0][1][0]}×{EXO[0][1][1]} (room); real ones have 1408×1408 and 3840×2160"
        )
        _make(store, home.demo() / "building")
        console.say(f"filmed in {time.monotonic() - started_s:.0f} s")
    rows = phases.line_phases("egoexo")
    knobs_of: dict[str, Any] = {row.name: _knobs(row.knobs) for row in rows}
    selection = Dataset(SCENARIO, paths, knobs_of)
    paths.data.mkdir(parents=True, exist_ok=True)
    with serving(store) as address, _as_only_account(address, home.demo() / "aws"):
        console.say(f"serving it at {address} as S3 would, to the real client")
        status = run_line(rows, selection, knobs_of, dataclasses.replace(common, data=str(paths.data)), console)
    if status == 0:
        status = _compare(paths, json.loads((store / TRUTH).read_bytes())["pairs"], console)
    if status == 0:
        console.say(f"done in {time.monotonic() - started_s:.0f} s. Look at:")
        for spec in TAKES:
            console.say(f"  {paths.take_preview(SCENARIO, spec.take_uid)}    head and room side by side, {spec.split}")
        console.say(f"  {paths.take_annotation(SCENARIO, TAKES[0].take_uid)}    masks of one take")
        console.say(f"  {paths.pairs(SCENARIO, 'train', 'egoexo')}    pairs as other readers know them")
        console.say(f"  {paths.typed_pairs(SCENARIO, 'train', 'egoexo')}    the same with the target's state")
        console.say("With keys of your own (docs/egoexo4d-access.md): make egoexo SCENARIO=cooking")
    return status


def _knobs(kind: type[Any]) -> DatasetKnobs:
    """Defaults, but native videos: they are small here."""
    made = kind(scenario=SCENARIO, parts=("takes",)) if issubclass(kind, ProcessKnobs) else kind(scenario=SCENARIO)
    assert isinstance(made, DatasetKnobs)
    return made


def _recipe() -> str:
    """Tells a release of an older version of these takes from a present one."""
    return json.dumps([dataclasses.asdict(spec) for spec in TAKES], indent=1)


def _is_made(store: Path) -> bool:
    recipe = store / "takes_made.json"
    return recipe.exists() and recipe.read_text() == _recipe()


def _make(store: Path, building: Path) -> None:
    """Built beside and moved whole, so that an interrupted demo is never taken for a release."""
    shutil.rmtree(building, ignore_errors=True)
    make_release(building, TAKES)
    write_whole(building / "takes_made.json", _recipe())
    shutil.rmtree(store, ignore_errors=True)
    building.rename(store)


@contextlib.contextmanager
def _as_only_account(address: str, folder: Path) -> Iterator[None]:
    """The environment of a machine that knows this store only: no account of the user's, no proxy in between."""
    write_whole(folder / "credentials", KEYS)
    write_whole(folder / "config", "")
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, (before.get("no_proxy") or before.get("NO_PROXY"), "127.0.0.1")))
    os.environ |= {
        "AWS_ENDPOINT_URL": address,
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
        "AWS_CONFIG_FILE": str(folder / "config"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= before


def _compare(paths: Paths, truth: dict[str, dict[str, dict[str, int]]], console: Console) -> int:
    """Whether the pairs are those that were drawn, by the target's state; the exit status."""
    wrong = 0
    for split in SPLITS:
        for setting in SETTINGS:
            lines = paths.typed_pairs(SCENARIO, split, setting).read_text().splitlines()
            found = Counter(f"target_{TypedPair.model_validate_json(line).target}" for line in lines)
            expected = truth[split][setting]
            if len(lines) != expected["pairs"] or any(
                found[state] != number for state, number in expected.items() if state != "pairs"
            ):
                console.error(f"{split} {setting}: {dict(found)} pairs, but {expected} were drawn")
                wrong = 1
    if not wrong:
        total = sum(truth[split][setting]["pairs"] for split in SPLITS for setting in SETTINGS)
        console.good(f"all {total} pairs, and their targets' states, are as drawn")
    return wrong
