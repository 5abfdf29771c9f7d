"""egoexo-import: somebody else's takes into output_dir_{name}, for the phases behind it to use like their own."""

from __future__ import annotations

import functools
import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pipeline.config_egoexo import ImportKnobs
from pipeline.egoexo.layouts.look import look
from pipeline.egoexo.layouts.pair_import import import_pairs, read_imported
from pipeline.egoexo.layouts.tree import SourceTake, Tree, add, listed
from pipeline.egoexo.pair_files import PairWriter
from pipeline.egoexo.processed import read_split
from pipeline.errors import PipelineError
from pipeline.job import Counts, Job
from pipeline.paths import Paths
from pipeline.schema.base import read_model, write_model, write_whole
from pipeline.schema.egoexo_foreign import ImportedTake, ImportRecord
from pipeline.schema.egoexo_pairs import SETTINGS
from pipeline.schema.egoexo_release import SPLITS, Split, SplitFile

PHASE = "egoexo-import"
PLACING = "placing"
"""File in the work folder while takes move to their places: those that are not in it any more have arrived."""


def inputs(paths: Paths, unit: str, knobs: ImportKnobs) -> dict[str, Path]:
    """What of the source decides on the product; the pictures of processed folders are too many to be read for that."""
    return dict(look(knobs.source, knobs.layout).inputs)


def products(paths: Paths, unit: str, knobs: ImportKnobs) -> dict[str, Path]:
    """split.json, the pair files that the source brings along, and the takes that are there."""
    files = {"split": paths.split_file(unit)}
    for split, setting in look(knobs.source, knobs.layout).pair_files:
        files[f"{split}_{setting}_pairs"] = paths.pairs(unit, split, setting)
        files[f"{split}_{setting}_typed"] = paths.typed_pairs(unit, split, setting)
    if _is_ours(paths, unit):
        return files | {take_uid: paths.take_dir(unit, take_uid) for take_uid in _takes_there(paths, unit)}
    return files


def check(paths: Paths, unit: str, knobs: ImportKnobs) -> None:
    """Look at where the takes will go, before anything is read.

    Raises:
        PipelineError: the folder holds what no import made, or is the source itself.
    """
    place, source = paths.output_dir(unit).resolve(), Path(knobs.source).resolve()
    if place == source or place in source.parents or source in place.parents:
        raise PipelineError(f"FROM={knobs.source} and {place} lie within each other", "give the data set another NAME=")
    if not _is_ours(paths, unit) and place.is_dir() and any(place.iterdir()):
        raise PipelineError(f"{place} holds files that no import made", "give the data set another NAME=")


def run(job: Job) -> Counts:
    """Bring all takes over; one that cannot be read is left out, and the others still come.

    Raises:
        PipelineError: no take can be read.
    """
    check(job.paths, job.unit, job.knobs)
    tree = look(job.knobs.source, job.knobs.layout)
    for note in tree.notes:
        job.report(note)
    _start_over_if_changed(job)
    counts = Counts(details={"layout": tree.layout, "left_out": {}})
    dropped, taken = Counter(tree.dropped), list[SourceTake]()
    errors: list[PipelineError] = []
    job.progress.start(len(tree.takes), f"import {job.unit}", "takes")
    for take in tree.takes:
        try:
            imported = _import(job, tree, take)
        except PipelineError as error:
            job.report(f"{take.take_uid} is left out: {error}")
            errors.append(error)
            counts.incomplete.append(f"take {take.take_uid} left out: {error.problem}")
        else:
            taken.append(take)
            counts.incomplete += imported.incomplete
            dropped.update(imported.dropped)
            for name, number in imported.made.items():
                counts.made[name] = int(counts.made.get(name, 0)) + number
        job.progress.advance()
    if not taken:
        first = errors[0] if errors else PipelineError(f"FROM={job.knobs.source} has no take", "check the path")
        more = f" (and {len(errors) - 1} more takes cannot be read)" if len(errors) > 1 else ""
        raise PipelineError(first.problem + more, first.fix)
    counts.made = {"takes": len(taken)} | {name: number for name, number in counts.made.items() if number}
    by_split: dict[Split, list[str]] = {
        split: [take.take_uid for take in taken if take.split == split] for split in SPLITS
    }
    before = _claim(job.paths, job.unit, [take.take_uid for take in taken])
    write_model(job.products["split"], SplitFile(**by_split))
    _import_pairs(job, tree, taken, counts, dropped)
    _place(job, taken, before)
    add(dropped, "takes_left_out", len(errors))
    counts.dropped = dict(dropped)
    return counts


def _takes_there(paths: Paths, unit: str) -> list[str]:
    if not paths.split_file(unit).is_file():
        return []
    return [take_uid for take_uids in read_split(paths, unit).values() for take_uid in take_uids]


def _record_file(paths: Paths, unit: str) -> Path:
    return paths.manifest(PHASE, unit).with_suffix(".placing")


def _is_ours(paths: Paths, unit: str) -> bool:
    return paths.manifest(PHASE, unit).exists() or _record_file(paths, unit).exists()


def _claim(paths: Paths, unit: str, take_uids: list[str]) -> set[str]:
    """Say beside the manifest that an import fills the folder: that outlives a kill, and REDO=, which begins afresh.

    Returns:
        Takes that earlier imports have placed there, whole or not.
    """
    file = _record_file(paths, unit)
    before = set(_takes_there(paths, unit))
    if file.is_file():
        before.update(read_model(file, ImportRecord, "remove the file").takes)
    write_model(file, ImportRecord(takes=sorted(before | set(take_uids))))
    return before


def _start_over_if_changed(job: Job) -> None:
    """What a killed run has left is of use only while the source is the same."""
    digest = hashlib.sha256(
        "\n".join(f"{name}\0{file.sha256}" for name, file in sorted(job.inputs.items())).encode()
    ).hexdigest()
    file = job.work / "source"
    if not file.is_file() or file.read_text() != digest:
        shutil.rmtree(job.work / "takes", ignore_errors=True)
        write_whole(file, digest)


def _import(job: Job, tree: Tree, take: SourceTake) -> ImportedTake:
    """Bring one take into the work folder, or find it there, whole."""
    folder, record = _in_work(job, take.take_uid), job.work / "takes" / f"{take.take_uid}.json"
    if record.is_file() and _read_folder(job, take.take_uid).is_dir():
        return read_model(record, ImportedTake, "remove the work folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    imported = tree.import_take(take, folder, job.stop)
    write_model(record, imported)
    return imported


def _in_work(job: Job, take_uid: str) -> Path:
    return job.work / "takes" / take_uid


def _read_folder(job: Job, take_uid: str) -> Path:
    """Where an imported take lies by now: in the work folder, or where a killed run has moved it."""
    folder = _in_work(job, take_uid)
    is_moved = not folder.is_dir() and (job.work / PLACING).exists()
    return job.paths.take_dir(job.unit, take_uid) if is_moved else folder


def _place(job: Job, taken: list[SourceTake], before: set[str]) -> None:
    """Move the takes to their places and remove those of the import before; a killed run goes on from here."""
    write_whole(job.work / PLACING, "")
    job.paths.manifest(PHASE, job.unit).unlink(missing_ok=True)  # what it vouched for is being replaced
    job.paths.report(job.unit, "pairs").unlink(missing_ok=True)  # of pairs that are no more
    uids = {take.take_uid for take in taken}
    gone = before - uids
    for take_uid in gone:
        shutil.rmtree(job.paths.take_dir(job.unit, take_uid), ignore_errors=True)
    if gone:
        job.report(f"takes of the import before that the source no longer has are removed: {listed(sorted(gone))}")
    for take in taken:
        place = job.paths.take_dir(job.unit, take.take_uid)
        folder = _in_work(job, take.take_uid)
        if folder.is_dir():
            shutil.rmtree(place, ignore_errors=True)
            place.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(place)
    write_model(_record_file(job.paths, job.unit), ImportRecord(takes=sorted(uids)))


def _import_pairs(job: Job, tree: Tree, taken: list[SourceTake], counts: Counts, dropped: Counter[str]) -> None:
    split_of = {take.take_uid: take.split for take in taken}
    read = functools.lru_cache(maxsize=4)(lambda take_uid: read_imported(_read_folder(job, take_uid)))
    data_dir, pairs = job.paths.output_dir(job.unit).name, 0
    for (split, setting), source in tree.pair_files.items():
        name = f"{split}_{setting}"
        places = job.products[f"{name}_pairs"], job.products[f"{name}_typed"]
        with PairWriter(*places, data_dir, split, setting) as writer:
            dropped.update(import_pairs(source, split_of, read, writer, split, setting))
        pairs += sum(writer.targets.values())
    if tree.pair_files:
        counts.made["pairs"] = pairs
    if lacking := list(_lacking(tree)):
        job.report(f"no pairs came along for {listed(lacking)}: egoexo-pairs makes all six files by the rule")


def _lacking(tree: Tree) -> Iterator[str]:
    for split in SPLITS:
        yield from (f"{split} {setting}" for setting in SETTINGS if (split, setting) not in tree.pair_files)
