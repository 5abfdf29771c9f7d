"""`annotate --plan`: the tokens and the memory that a clip needs, before anything is rented, fetched or loaded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import ceil
from pathlib import Path

from rich.table import Table

from pipeline.config import AnnotateKnobs
from pipeline.console import output
from pipeline.errors import PipelineError
from pipeline.factory.footage import open_footage
from pipeline.models.planning import plan_question
from pipeline.ops.hub.token import load_token
from pipeline.ops.model.memory_plan import MemoryPlan
from pipeline.ops.timeline.prompt import load_prompt
from pipeline.paths import Paths

USUAL_CLIP = ("456x256, 180 s", (456, 256), 180.0)
"""What is assumed of a clip that is not here yet: the data set's picture and median length."""
LETTERS_PER_TOKEN = 3.5
"""Of English and JSON, on the low side so that the plan errs towards more tokens."""
CARD_GIB = 23.0
"""What a 24 GB card leaves to a program."""


def show_plans(paths: Paths, clips: Sequence[str], knobs: AnnotateKnobs) -> int:
    """Print one table a clip; 1 when one does not fit a 24 GB card."""
    fits = [_show(clip, knobs.fps, *_plan(paths, clip, knobs)) for clip in clips]
    return 0 if all(fits) else 1


def _plan(paths: Paths, clip: str, knobs: AnnotateKnobs) -> tuple[str, float, MemoryPlan]:
    try:
        footage = open_footage(paths, clip, knobs)
    except PipelineError:
        if knobs.video:
            raise
        what, size_wh, duration_s = f"not here yet, taken as {USUAL_CLIP[0]}", *USUAL_CLIP[1:]
    else:
        size_wh, duration_s = footage.facts.size_wh, footage.duration_s
        what = f"{size_wh[0]}x{size_wh[1]}, {duration_s:g} s"
    return what, duration_s, plan_stretch(knobs, size_wh, min(knobs.window_s or duration_s, duration_s))


def plan_stretch(knobs: AnnotateKnobs, size_wh: tuple[int, int], shown_s: float) -> MemoryPlan:
    """The plan of one question about `shown_s` seconds of pictures of `size_wh`.

    The machine that plans is often not the one that runs: weights are counted as on a card unless a CPU is asked for.

    Raises:
        PipelineError: the model or the prompt is not to be had.
    """
    return plan_question(
        knobs.model,
        size_wh,
        ceil(shown_s * knobs.fps),
        ceil(len(load_prompt(Path(knobs.prompt)).text) / LETTERS_PER_TOKEN),
        knobs.max_new_tokens,
        revision=knobs.model_revision,
        token=load_token(os.environ),
        dtype="bfloat16" if knobs.dtype == "auto" and knobs.device != "cpu" else knobs.dtype,
        device="cpu" if knobs.device == "auto" else knobs.device,
    )


def _show(clip: str, fps: float, what: str, duration_s: float, plan: MemoryPlan) -> bool:
    table = Table("", "GB", "", title=f"{clip} ({what})", title_justify="left")
    for row in plan.rows:
        table.add_row(row.name, f"{row.bytes / 1e9:.2f}" if row.counted else f"({row.bytes / 1e9:.2f})", row.how)
    fits = plan.peak_bytes <= CARD_GIB * 2**30
    verdict = f"{'fits' if fits else 'does not fit'} a 24 GB card ({CARD_GIB:g} GiB usable)"
    table.add_row("[bold]at most at once[/]", f"[bold]{plan.peak_bytes / 1e9:.2f}[/]", verdict)
    console = output()
    console.print(table)
    window_s = min(plan.frames / fps, duration_s)
    parts = "one question" if window_s >= duration_s else f"windows of at most {window_s:g} s"
    console.print(
        f"{duration_s:g} s in {parts}: {plan.visual_tokens} visual tokens, prompt {plan.prompt_tokens}, "
        f"answer at most {plan.new_tokens} tokens",
        highlight=False,
    )
    return fits
