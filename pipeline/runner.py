"""Run one phase on all its units: the model lent once, the next unit prepared ahead, failures counted."""

from __future__ import annotations

import contextlib
import errno
import importlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline.console import Console
from pipeline.errors import PipelineError
from pipeline.job import Counts, Job
from pipeline.knobs import Knobs
from pipeline.paths import Paths
from pipeline.phases import Phase
from pipeline.redo import Redo
from pipeline.step import decide, fingerprint, make_unit, new_job


@dataclass
class Summary:
    """How one phase ended for each unit."""

    phase: str
    made: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """Unit → what went wrong, in one line."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Reason → number, over all units made now."""
    incomplete: dict[str, str] = field(default_factory=dict)
    """Unit → what is missing of it, now made or kept."""
    only_planned: bool = False
    """The user asked for the plan alone."""

    @property
    def is_good(self) -> bool:
        """Whether every unit is there and whole."""
        return not self.failed and not self.incomplete


class Ahead:
    """Runs a module's `prepare` for the next unit in a thread while the present one is made."""

    def __init__(self, module: ModuleType, pool: ThreadPoolExecutor) -> None:
        self._prepare = getattr(module, "prepare", None)
        self._pool = pool
        self._waiting: dict[str, Future[Any]] = {}

    def start(self, job: Job) -> None:
        """Begin to prepare this job, unless it is begun."""
        if self._prepare and job.unit not in self._waiting:
            self._waiting[job.unit] = self._pool.submit(self._prepare, job)

    def take(self, job: Job) -> Any:
        """What `prepare` returned for this job, or its error."""
        job.turn.set()
        self.start(job)
        return self._waiting.pop(job.unit).result() if self._prepare else None


def run_phase(
    phase: Phase, units: Sequence[str], knobs: Knobs, paths: Paths, console: Console, redo: Sequence[str] = ()
) -> Summary:
    """Make all units of one phase; one unit's failure does not stop the others."""
    summary = Summary(phase.name)
    if not units:
        return summary
    module = importlib.import_module(phase.module)
    reparse = bool(getattr(knobs, "from_raw", False))
    again = (
        Redo(paths.redo(phase.name), fingerprint(knobs)) if {phase.name, "all"} & set(redo) and not reparse else None
    )
    pending: list[str] = []
    for unit in units:
        with _failures_counted(summary, [unit], paths, console):
            still_to_redo = again is not None and not again.is_finished(unit)
            decision = decide(phase, module, unit, knobs, paths, still_to_redo or reparse)
            if decision.run:
                if hasattr(module, "check"):
                    module.check(paths, unit, knobs)
                pending.append(unit)
            else:
                summary.skipped.append(unit)
                if decision.incomplete:
                    summary.incomplete[unit] = decision.reason
                (console.warn if decision.warn else console.good)(f"{phase.name} {unit}: {decision.reason}")
    if pending:
        with contextlib.ExitStack() as stack, _failures_counted(summary, pending, paths, console):
            if hasattr(module, "plan") and not module.plan(paths, pending, knobs, console.say):
                summary.only_planned = True
                return summary
            stack.callback(console.progress.stop)
            model = stack.enter_context(module.load(knobs, console.say)) if phase.model and not reparse else None
            jobs = [replace(new_job(phase, module, unit, knobs, paths, console), model=model) for unit in pending]
            _make_units(phase, module, jobs, again, reparse, console, summary)
    if again:
        again.end()
    return summary


def _make_units(
    phase: Phase,
    module: ModuleType,
    jobs: Sequence[Job],
    again: Redo | None,
    reparse: bool,
    console: Console,
    summary: Summary,
) -> None:
    """The next unit is prepared in a thread while this one is made."""
    with ThreadPoolExecutor(1) as pool, _stopping(jobs):
        ahead = Ahead(module, pool)
        for job, following in zip(jobs, [*jobs[1:], None], strict=True):
            with _failures_counted(summary, [job.unit], job.paths, console):
                prepared = ahead.take(job)
                if following:
                    ahead.start(following)
                fresh = again is not None and again.begin(job.unit)
                always = again is not None or reparse
                made = make_unit(phase, module, replace(job, prepared=prepared), fresh=fresh, always=always)
                if made is None:
                    summary.skipped.append(job.unit)
                    console.good(f"{phase.name} {job.unit}: made by another run meanwhile")
                    continue
                if again:
                    again.finish(job.unit)
                summary.made.append(job.unit)
                for reason, number in made[0].dropped.items():
                    summary.dropped[reason] = summary.dropped.get(reason, 0) + number
                console.progress.stop()
                line = f"{phase.name} {job.unit}: {_describe(made[0])} ({made[1].seconds:.1f} s)"
                if made[0].incomplete:
                    summary.incomplete[job.unit] = "; ".join(made[0].incomplete)
                    console.warn(f"{line}; incomplete: {summary.incomplete[job.unit]}")
                else:
                    console.good(line)


@contextlib.contextmanager
def _stopping(jobs: Sequence[Job]) -> Iterator[None]:
    """When the loop ends early, what still runs ahead in its thread is told to stop."""
    try:
        yield
    finally:
        for job in jobs:
            job.stop.set()


def _describe(counts: Counts) -> str:
    made = ", ".join(f"{name.replace('_', ' ')} {_short(value)}" for name, value in counts.made.items()) or "done"
    dropped = ", ".join(f"{number} {reason.replace('_', ' ')}" for reason, number in counts.dropped.items() if number)
    return f"{made}; dropped {dropped}" if dropped else made


def _short(value: float | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@contextlib.contextmanager
def _failures_counted(summary: Summary, units: Sequence[str], paths: Paths, console: Console) -> Iterator[None]:
    """Turn whatever ends these units into lines of the summary, so that the others still run."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 — a bug in one unit, shown in full, must not cost the units behind it
        console.progress.stop()
        told = error if isinstance(error, PipelineError) else of_the_system(error, paths.data)
        if told is None:
            console.traceback()
            told = PipelineError(f"{type(error).__name__}: {error}", "this is a bug, please report the lines above")
        console.error(f"{summary.phase} {' '.join(units)}: {told}")
        summary.failed |= dict.fromkeys(units, told.problem)


def of_the_system(error: Exception, data: Path) -> PipelineError | None:
    """What the system refused, in the user's words; None for anything else."""
    if not isinstance(error, OSError):
        return None
    place = error.filename or data
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return PipelineError(
            f"the disk is full ({place})", "free some space, or move DATA= or HF_HOME= to another disk"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return PipelineError(f"{place} may not be written ({error.strerror})", "mend its permissions, or set DATA=")
    return None
