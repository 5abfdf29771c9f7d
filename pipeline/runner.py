"""Run one phase on all its units, and a line's phases one after another."""

from __future__ import annotations

import contextlib
import errno
import importlib
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

from pipeline.config import Knobs
from pipeline.console import Console
from pipeline.errors import PipelineError
from pipeline.job import Counts, Job
from pipeline.paths import Paths
from pipeline.phases import Phase
from pipeline.step import decide, make_unit, new_job


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
    again = bool({phase.name, "all"} & set(redo))
    reparse = bool(getattr(knobs, "from_raw", False))
    pending: list[str] = []
    for unit in units:
        with _failures_counted(summary, unit, paths, console):
            decision = decide(phase, module, unit, knobs, paths, again or reparse)
            if decision.run:
                pending.append(unit)
            else:
                summary.skipped.append(unit)
                (console.warn if decision.warn else console.good)(f"{phase.name} {unit}: {decision.reason}")
    if not pending:
        return summary
    with contextlib.ExitStack() as stack:
        stack.callback(console.progress.stop)
        model = None
        if phase.model and not reparse:
            try:
                model = stack.enter_context(module.load(knobs, console.say))
            except PipelineError as error:
                console.error(f"{phase.name}: {error}")
                summary.failed |= dict.fromkeys(pending, error.problem)
                return summary
        jobs = [replace(new_job(phase, module, unit, knobs, paths, console), model=model) for unit in pending]
        _make_units(phase, module, jobs, again, console, summary)
    return summary


def _make_units(
    phase: Phase, module: ModuleType, jobs: Sequence[Job], again: bool, console: Console, summary: Summary
) -> None:
    """The next unit is prepared in a thread while this one is made."""
    with ThreadPoolExecutor(1) as pool:
        ahead = Ahead(module, pool)
        for job, following in zip(jobs, [*jobs[1:], None], strict=True):
            with _failures_counted(summary, job.unit, job.paths, console):
                prepared = ahead.take(job)
                if following:
                    ahead.start(following)
                counts, manifest = make_unit(phase, module, replace(job, prepared=prepared), again)
                summary.made.append(job.unit)
                for reason, number in counts.dropped.items():
                    summary.dropped[reason] = summary.dropped.get(reason, 0) + number
                console.progress.stop()
                console.good(f"{phase.name} {job.unit}: {_describe(counts)} ({manifest.seconds:.1f} s)")


def _describe(counts: Counts) -> str:
    made = ", ".join(f"{name.replace('_', ' ')} {_short(value)}" for name, value in counts.made.items()) or "done"
    dropped = ", ".join(f"{number} {reason.replace('_', ' ')}" for reason, number in counts.dropped.items() if number)
    return f"{made}; dropped {dropped}" if dropped else made


def _short(value: float | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@contextlib.contextmanager
def _failures_counted(summary: Summary, unit: str, paths: Paths, console: Console) -> Iterator[None]:
    """Turn whatever ends this unit into a line of the summary, so that the others still run."""
    try:
        yield
    except PipelineError as error:
        console.progress.stop()
        console.error(f"{summary.phase} {unit}: {error}")
        summary.failed[unit] = error.problem
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            _bug(summary, unit, console, error)
            return
        free_mb = shutil.disk_usage(paths.data).free / 1e6
        summary.failed[unit] = f"the disk of {paths.data} is full ({free_mb:.0f} MB free)"
        console.progress.stop()
        console.error(
            f"{summary.phase} {unit}: {summary.failed[unit]}\n  → free some space, or set DATA= to another disk"
        )
    except Exception as error:  # noqa: BLE001 — a bug in one unit, shown in full, must not cost the units behind it
        _bug(summary, unit, console, error)


def _bug(summary: Summary, unit: str, console: Console, error: Exception) -> None:
    console.traceback()
    summary.failed[unit] = f"{type(error).__name__}: {error}"
    console.error(f"{summary.phase} {unit}: this is a bug, please report the lines above")
