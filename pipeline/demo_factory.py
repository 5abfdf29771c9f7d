"""`demo factory`: the factory line on made-up fisheye footage and a tiny random model: no network, no GPU."""

from __future__ import annotations

import dataclasses
import shutil
import time

from pipeline import phases
from pipeline.config import AnnotateKnobs, CommonKnobs
from pipeline.console import Console
from pipeline.factory.synthetic import ClipSpec, make_shard
from pipeline.knobs import Knobs
from pipeline.line import run_line
from pipeline.models.tiny import write_tiny_model
from pipeline.paths import Paths
from pipeline.units import Clips

CLIPS = (
    ClipSpec("factory_001_worker_001_0000", duration_s=24.0, keyframe_interval=250, seed=1),
    ClipSpec("factory_001_worker_001_0001", duration_s=16.0, keyframe_interval=30, seed=2),
)
FAMILY = "qwen2_5-vl"
MAX_NEW_TOKENS = 600
WINDOW_S, OVERLAP_S = 8.0, 2.0
"""Several short questions a clip: more to look at, and the joining of windows is shown as well."""


def show(common: CommonKnobs, home: Paths, console: Console) -> int:
    """Make footage and model, run the same phases as `all` on them, and say where to look."""
    started_s = time.monotonic()
    paths = Paths(home.demo() / "data")
    console.say(f"made-up footage and a tiny random model go to {home.demo()}")
    model = home.tiny_model(FAMILY)
    if not (model / "model.safetensors").exists():
        write_tiny_model(model, FAMILY)
    if not paths.raw_intrinsics(CLIPS[0].clip).exists():
        # Built beside and moved whole, so that an interrupted demo is never taken for a shard.
        building = home.demo() / "building"
        shutil.rmtree(building, ignore_errors=True)
        make_shard(building, CLIPS)
        shutil.rmtree(paths.raw(""), ignore_errors=True)
        paths.data.mkdir(parents=True, exist_ok=True)
        building.rename(paths.raw(""))
    rows = phases.line_phases("factory")
    knobs_of: dict[str, Knobs] = {row.name: row.knobs() for row in rows}
    knobs_of["annotate"] = AnnotateKnobs(
        model=str(model),
        max_new_tokens=MAX_NEW_TOKENS,
        max_answers=2,
        window_s=WINDOW_S,
        overlap_s=OVERLAP_S,
        price_per_hour=0.0,
    )
    clips = tuple(spec.clip for spec in CLIPS)
    status = run_line(
        rows, Clips(clips, knobs_of), knobs_of, dataclasses.replace(common, data=str(paths.data)), console
    )
    if status == 0:
        console.say(f"done in {time.monotonic() - started_s:.0f} s. Look at:")
        for clip in clips:
            console.say(f"  {paths.debug(clip, 'side_by_side')}    one frame as filmed and as rectified")
            console.say(f"  {paths.timeline(clip)}    the segments as a picture")
            console.say(f"  {paths.annotations(clip)}    the same as JSON")
        console.say(
            "The weights are random, so the words mean nothing; times, boxes and repairs are handled as in earnest."
        )
    return status
