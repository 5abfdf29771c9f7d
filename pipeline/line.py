"""Run phases of a line one after another, each on the units that the ones it needs have finished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.config import NO_CALIBRATION, CameraKnobs, CheckRectifyKnobs, CommonKnobs, RepoKnobs
from pipeline.console import Console
from pipeline.errors import PipelineError
from pipeline.knobs import Knobs
from pipeline.paths import Paths
from pipeline.phases import PHASES, Phase
from pipeline.runner import Summary, run_phase
from pipeline.schema.egocentric import EGOCENTRIC_100K, LAYOUTS, layout_of


def units_of(knobs_of: Mapping[str, Knobs], common: CommonKnobs) -> tuple[str, ...]:
    """The clips to work on: one's own video, those asked for, or the repository's default ones.

    Raises:
        PipelineError: a clip's name belongs to no known data set, or REDO names no phase.
    """
    known = {row.name for row in PHASES} | {"all"}
    if unknown := sorted(set(common.redo) - known):
        raise PipelineError(f"--redo names {', '.join(unknown)}", f"phases are: {', '.join(sorted(known))}")
    videos = {getattr(knobs, "video", "") for knobs in knobs_of.values()} - {""}
    if videos:
        if common.clip:
            raise PipelineError(
                f"both CLIP={','.join(common.clip)} and VIDEO={videos.pop()} are given", "give one of them"
            )
        return (Path(videos.pop()).stem,)
    for clip in common.clip:
        layout_of(clip)
    repo = next((knobs.repo for knobs in knobs_of.values() if isinstance(knobs, RepoKnobs)), "")
    layout = next((row for row in LAYOUTS if row.repo == repo), EGOCENTRIC_100K)
    return common.clip or layout.default_clips


def run_line(
    rows: Sequence[Phase], units: Sequence[str], knobs_of: Mapping[str, Knobs], common: CommonKnobs, console: Console
) -> int:
    """Run the phases in order and say how it ended; 0 when every unit of every phase is done, else 1."""
    paths = Paths(Path(common.data).absolute())
    own_video = any(getattr(knobs, "video", "") for knobs in knobs_of.values())
    summaries: list[Summary] = []
    failed: dict[str, set[str]] = {}
    for row in rows:
        knobs = knobs_of[row.name]
        if reason := _nothing_to_do(knobs, own_video, len(rows)):
            console.say(f"{row.name}: {reason}")
            continue
        lost = set[str]().union(*(failed.get(earlier, set()) for earlier in row.needs))
        summary = run_phase(row, [unit for unit in units if unit not in lost], knobs, paths, console, common.redo)
        for unit in lost & set(units):
            summary.failed[unit] = f"not run: {' or '.join(row.needs)} failed"
            console.error(f"{row.name} {unit}: {summary.failed[unit]}")
        failed[row.name] = set(summary.failed)
        summaries.append(summary)
    if len(units) * len(rows) > 1:
        _say_all(summaries, console)
    return 1 if any(summary.failed for summary in summaries) else 0


def _nothing_to_do(knobs: Knobs, own_video: bool, phases_asked: int) -> str:
    """Why a phase of a longer run does not concern this footage; empty where it does."""
    if own_video and not isinstance(knobs, CameraKnobs):
        return "nothing to do for one's own video"
    if isinstance(knobs, CheckRectifyKnobs) and knobs.intrinsics == NO_CALIBRATION and phases_asked > 1:
        return "nothing to rectify for an ordinary camera"
    return ""


def with_repo(knobs_of: Mapping[str, Knobs], units: Sequence[str]) -> dict[str, Knobs]:
    """The same knobs with an open repository filled in: the one that the clips' names belong to."""
    own_video = any(getattr(knobs, "video", "") for knobs in knobs_of.values())
    repo = "" if own_video else layout_of(units[0]).repo
    return {
        name: replace(knobs, repo=repo) if isinstance(knobs, RepoKnobs) and not knobs.repo else knobs
        for name, knobs in knobs_of.items()
    }


def _say_all(summaries: Sequence[Summary], console: Console) -> None:
    for summary in summaries:
        dropped = ", ".join(f"{number} {reason.replace('_', ' ')}" for reason, number in summary.dropped.items())
        line = f"{summary.phase}: {len(summary.made)} made, {len(summary.skipped)} kept, {len(summary.failed)} failed"
        console.say(line + (f"; dropped {dropped}" if dropped else ""))
