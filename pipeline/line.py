"""Run phases of a line one after another, each on the units that the ones it needs have finished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.config import CommonKnobs, RepoKnobs
from pipeline.console import Console
from pipeline.errors import PipelineError
from pipeline.knobs import Knobs
from pipeline.paths import Paths
from pipeline.phases import PHASES, Phase
from pipeline.runner import Summary, run_phase
from pipeline.schema.egocentric import layout_of
from pipeline.units import RELEASE_UNIT, Selection

MOST_NAMED = 3
"""More units than this that do not run since an earlier phase failed are told in one line."""


def check_redo(common: CommonKnobs) -> None:
    """Refuse a REDO of what is no phase.

    Raises:
        PipelineError: REDO names no phase.
    """
    known = {row.name for row in PHASES} | {"all"}
    if unknown := sorted(set(common.redo) - known):
        raise PipelineError(f"--redo names {', '.join(unknown)}", f"phases are: {', '.join(sorted(known))}")


def run_line(
    rows: Sequence[Phase], selection: Selection, knobs_of: Mapping[str, Knobs], common: CommonKnobs, console: Console
) -> int:
    """Run the phases in order and say how it ended; 0 when every unit of every phase is done and whole, else 1."""
    paths = Paths(Path(common.data).absolute())
    summaries: list[Summary] = []
    failed: dict[str, set[str]] = {}
    planned: set[str] = set()
    for row in rows:
        if planned & set(row.needs):
            planned.add(row.name)
            console.say(f"{row.name}: not run, {' and '.join(row.needs)} was only planned")
            continue
        if reason := selection.nothing_to_do(row, len(rows)):
            console.say(f"{row.name}: {reason}")
            continue
        lost = set[str]().union(*(failed.get(earlier, set()) for earlier in row.needs))
        try:
            units = selection.units(row)
        except PipelineError as error:
            if not lost:
                raise
            units = ()  # what would have named them failed, and said so
            console.error(f"{row.name}: not run: {error.problem}")
        not_to_run = {unit for unit in units if {unit, unit.partition("/")[0], RELEASE_UNIT} & lost}
        can_run = [unit for unit in units if unit not in not_to_run]
        summary = run_phase(row, can_run, knobs_of[row.name], paths, console, common.redo)
        reason = f"not run: {' or '.join(row.needs)} failed"
        summary.failed |= dict.fromkeys(sorted(not_to_run), reason)
        if len(not_to_run) > MOST_NAMED:
            console.error(f"{row.name}: {len(not_to_run)} {reason}")
        else:
            for unit in sorted(not_to_run):
                console.error(f"{row.name} {unit}: {reason}")
        failed[row.name] = set(summary.failed) | lost
        if summary.only_planned:
            planned.add(row.name)
        summaries.append(summary)
    if sum(len(summary.made) + len(summary.skipped) + len(summary.failed) for summary in summaries) > 1:
        _say_all(summaries, console)
    return 0 if all(summary.is_good for summary in summaries) else 1


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
        line += f", {len(summary.incomplete)} incomplete" if summary.incomplete else ""
        console.say(line + (f"; dropped {dropped}" if dropped else ""))
