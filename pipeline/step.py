"""Run one phase on one unit. This file alone decides what is done.

A product is written beside its place and renamed; the manifest comes last, so a unit killed at any moment is either
done or made again. Same knobs and inputs: skipped. Inputs changed: made again. Knobs changed: refused, naming the
difference and the flag that redoes it. Code changed: made again, except where a model was paid for: then kept, with a
warning.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import platform
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline.console import Console
from pipeline.errors import PipelineError
from pipeline.job import Counts, Job
from pipeline.knobs import Knobs, flag_of, knob_doc
from pipeline.paths import Paths
from pipeline.phases import Phase
from pipeline.provenance import (
    code_sha256,
    digest_content,
    digest_file,
    digest_tree,
    library_versions,
    peak_memory_bytes,
    restart_peak_memory,
)
from pipeline.schema.base import read_model, sweep_partials, write_model
from pipeline.schema.manifest import FileDigest, Manifest

INCOMPLETE = "incomplete"
"""Key in a manifest's details: what is missing of a unit that was published all the same."""


@dataclass(frozen=True)
class Decision:
    """Whether a unit has to be made, and why."""

    run: bool
    reason: str
    warn: bool = False
    incomplete: bool = False
    """The product is of use, but something of it is missing that no further run would bring."""


def fingerprint(knobs: Knobs) -> dict[str, Any]:
    """The knobs that shape the product; where one names a file or folder, its content counts and not its name."""
    values: dict[str, Any] = {}
    for item in dataclasses.fields(knobs):
        documentation, value = knob_doc(item), getattr(knobs, item.name)
        if not documentation.shapes_product:
            continue
        if documentation.is_file and value and Path(value).exists():
            value = "sha256:" + digest_content(Path(value))
        values[item.name] = list(value) if isinstance(value, tuple) else value
    return values | knobs.also_shaping()


def decide(phase: Phase, module: ModuleType, unit: str, knobs: Knobs, paths: Paths, redo: bool) -> Decision:
    """Is the unit done, stale or missing?

    Raises:
        PipelineError: an input is missing, or the product was made with other knobs.
    """
    file = paths.manifest(phase.name, unit)
    manifest = read_model(file, Manifest, f"make it again: REDO={phase.name}") if file.exists() and not redo else None
    places: dict[str, Path] = module.products(paths, unit, knobs)
    if phase.always:
        manifest = None
    if manifest is not None and all(place.exists() for place in places.values()):
        _refuse_other_knobs(phase, unit, manifest.knobs, fingerprint(knobs))
    inputs = _digest_inputs(phase, unit, module.inputs(paths, unit, knobs), manifest.inputs if manifest else {})
    if manifest is None:
        return Decision(True, "to be redone" if redo else "looks anew every time" if phase.always else "not made yet")
    if gone := [place.name for place in places.values() if not place.exists()]:
        return Decision(True, f"{', '.join(gone)} is gone")
    if changed := _changed(manifest.inputs, inputs):
        return Decision(True, f"input changed: {', '.join(changed)}")
    incomplete = "; ".join(manifest.details.get(INCOMPLETE, ()))
    if edited := _changed(manifest.products, _digests(places, manifest.products)):
        folders = [name for name in edited if name in places and places[name].is_dir()]
        what = f"files in {', '.join(folders)} changed, came or went" if folders else f"{', '.join(edited)} was edited"
        text = f"{what} since; kept, {_redo(phase, unit)} makes it again"
        text += f"; incomplete before that: {incomplete}" if incomplete else ""
        # A file may be a user's own edit; of a folder of many something has gone or come, and nobody has looked.
        return Decision(False, text, warn=True, incomplete=bool(incomplete or folders))
    if manifest.code_sha256 != code_sha256(phase.module) and not phase.is_costly:
        return Decision(True, "the code changed")
    if incomplete:
        text = f"kept, though incomplete: {incomplete}; {_redo(phase, unit)} makes it again"
        return Decision(False, text, warn=True, incomplete=True)
    if manifest.code_sha256 != code_sha256(phase.module):
        return Decision(False, f"the code changed since; kept, REDO={phase.name} makes it again", warn=True)
    return Decision(False, "done")


def _redo(phase: Phase, unit: str) -> str:
    """What a user writes to have this unit made again, and no other where there are many."""
    take = unit.partition("/")[2]
    return f"REDO={phase.name} ONLY={take}" if take else f"REDO={phase.name}"


def _refuse_other_knobs(phase: Phase, unit: str, before: dict[str, Any], now: dict[str, Any]) -> None:
    differences = [
        f"{flag_of(name)} {before.get(name)!r} → {now.get(name)!r}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    if differences:
        raise PipelineError(
            f"{phase.name} of {unit} was made with other settings: {'; '.join(differences)}",
            f"REDO={phase.name} makes it again with the new ones; or go back to the old ones",
        )


def _digests(files: dict[str, Path], known: dict[str, FileDigest]) -> dict[str, FileDigest]:
    return {
        name: digest_tree(path) if path.is_dir() else digest_file(path, known.get(name)) for name, path in files.items()
    }


def _digest_inputs(
    phase: Phase, unit: str, files: dict[str, Path], known: dict[str, FileDigest]
) -> dict[str, FileDigest]:
    missing = [str(path) for path in files.values() if not path.is_file()]
    if missing:
        raise PipelineError(
            f"{phase.name} of {unit} needs {', '.join(missing)}, which does not exist",
            f"bash run.sh {phase.name} --with-earlier makes what is missing" if phase.needs else "check the path",
        )
    return _digests(files, known)


def _changed(before: dict[str, FileDigest], now: dict[str, FileDigest]) -> list[str]:
    names = sorted(before.keys() | now.keys())
    return [n for n in names if n not in now or n not in before or now[n].sha256 != before[n].sha256]


def new_job(phase: Phase, module: ModuleType, unit: str, knobs: Knobs, paths: Paths, console: Console) -> Job:
    """The job of one unit: products go to temporary siblings of their places."""
    places: dict[str, Path] = module.products(paths, unit, knobs)
    partials = {name: place.with_name(f".{place.name}.partial") for name, place in places.items()}

    def publish(name: str) -> Path:
        """Beside an earlier whole product the part waits in the work folder; else it goes into place at once."""
        if phase.always:  # what it sees now replaces what it saw before, good or bad
            paths.manifest(phase.name, unit).unlink(missing_ok=True)
        if paths.manifest(phase.name, unit).exists():
            return Path(shutil.copy(partials[name], work / places[name].name))
        _put_in_place(partials[name], places[name])
        published.add(name)
        for other in places.keys() - published:
            _remove(places[other])  # what an unfinished run left there belongs to other parts
        return places[name]

    published: set[str] = set()
    work = paths.work(phase.name, unit)
    settings = fingerprint(knobs)
    return Job(unit, knobs, paths, partials, work, console.say, console.progress, publish, settings, library_versions())


def make_unit(
    phase: Phase, module: ModuleType, job: Job, *, fresh: bool = False, always: bool = True
) -> tuple[Counts, Manifest] | None:
    """Run the phase's function and publish what it made, manifest last.

    Args:
        fresh: the unit is to be made again on purpose, so what an earlier run left half done is of no use.
        always: make it even if it is done; else another run may have made it since that was last looked at.

    Returns:
        Counts and manifest; None when another run has made the unit meanwhile.

    Raises:
        PipelineError: the phase failed; nothing but what it published itself is in place, and its partial results
            stay in the work folder for the next run.
    """
    paths, places = job.paths, module.products(job.paths, job.unit, job.knobs)
    with locked(paths.lock(phase.name, job.unit), f"{phase.name} of {job.unit}"):
        if not always and not decide(phase, module, job.unit, job.knobs, paths, redo=False).run:
            return None
        started_utc, started_s = datetime.now(UTC), time.monotonic()
        restart_peak_memory()
        inputs = _digest_inputs(phase, job.unit, module.inputs(paths, job.unit, job.knobs), {})
        file = paths.manifest(phase.name, job.unit)
        if fresh:
            shutil.rmtree(job.work, ignore_errors=True)
        for folder in {place.parent for place in places.values()}:
            folder.mkdir(parents=True, exist_ok=True)
            sweep_partials(folder)
        for partial in job.products.values():
            _remove(partial)
        job.work.mkdir(parents=True, exist_ok=True)
        try:
            counts: Counts = module.run(dataclasses.replace(job, inputs=inputs))
        except BaseException:
            for partial in job.products.values():
                _remove(partial)
            _remove_if_empty(job.work)
            raise
        if counts.settings is not None and file.exists():  # what the earlier run took still is what it cost
            before = read_model(file, Manifest, f"make it again: REDO={phase.name}")
            counts.made, counts.details = before.made | counts.made, before.details | counts.details
        file.unlink(missing_ok=True)  # from here until it is written again the unit counts as not made
        for name, place in places.items():
            if job.products[name].exists():
                _put_in_place(job.products[name], place)
        incomplete = {INCOMPLETE: counts.incomplete} if counts.incomplete else {}
        manifest = Manifest(
            phase=phase.name,
            unit=job.unit,
            knobs=job.settings if counts.settings is None else counts.settings,
            inputs=inputs,
            products=_digests(module.products(paths, job.unit, job.knobs), {}),  # it may know of more by now
            code_sha256=code_sha256(phase.module),
            libraries=library_versions(),
            python=platform.python_version(),
            engine=os.environ.get("EGOPIPE_ENGINE", "native"),
            made=counts.made,
            dropped=counts.dropped,
            details=counts.details | incomplete,
            started_utc=started_utc.isoformat(timespec="seconds"),
            seconds=time.monotonic() - started_s,
            peak_memory_bytes=peak_memory_bytes(),
        )
        write_model(file, manifest)
        if counts.settings is None:
            shutil.rmtree(job.work, ignore_errors=True)
        _remove_if_empty(job.work)
    return counts, manifest


def _remove_if_empty(work: Path) -> None:
    """A unit's work folder and those around it; each stays while something is in it."""
    for folder in (work, *list(work.parents)[:3]):
        with contextlib.suppress(OSError):
            folder.rmdir()


def _remove(place: Path) -> None:
    """A file or a folder, if it is there."""
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def _put_in_place(partial: Path, place: Path) -> None:
    for content in partial.rglob("*") if partial.is_dir() else [partial]:
        if content.is_file():
            with content.open("rb") as file:
                os.fsync(file.fileno())
    if place.is_dir():  # a folder cannot be replaced at once; its manifest is gone already, so a kill costs nothing
        shutil.rmtree(place)
    partial.replace(place)


@contextlib.contextmanager
def locked(file: Path, what: str) -> Iterator[None]:
    """Hold the unit for this process; the lock goes with the process, however it ends."""
    file.parent.mkdir(parents=True, exist_ok=True)
    sweep_partials(file.parent)
    with file.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PipelineError(
                f"another run is working on {what}", "wait for it to end, or stop it, and run again"
            ) from None
        yield
