"""egoexo-export: a processed data set in somebody else's layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.config_egoexo import ExportKnobs
from pipeline.egoexo.layouts.assemble import sounds_worn
from pipeline.egoexo.layouts.coco_export import export_coco
from pipeline.egoexo.layouts.custom import DATASET_FILE
from pipeline.egoexo.layouts.processed_export import export_baseline, export_omama
from pipeline.egoexo.processed import ProcessedTake, read_split, read_take
from pipeline.egoexo.processed_inputs import processed_inputs
from pipeline.errors import PipelineError
from pipeline.job import Counts, Job
from pipeline.ops.files import link_or_copy
from pipeline.paths import Paths
from pipeline.schema.base import write_model, write_whole
from pipeline.schema.egoexo_foreign import CustomSplit, DatasetFile, ExportRecord, TakeNames
from pipeline.schema.egoexo_pairs import SETTINGS
from pipeline.schema.egoexo_release import SPLITS, Split, SplitFile

RECORD = "export.json"
"""Lies at the root of each exported tree; without it a folder is somebody else's and stays untouched."""


@dataclass(frozen=True)
class Layout:
    """One way to lay a data set out.

    Attributes:
        takes: folder of the takes below the root.
        pairs: folder of the pair files; None: it has none.
        write_take: writes all of a take but its pictures.
        typed: whether the pairs' states go along.
    """

    takes: str
    pairs: str | None
    write_take: Callable[[ProcessedTake, Path, Counter[str]], None]
    typed: bool = False


LAYOUTS = {
    "baseline": Layout("", "", export_baseline),
    "omama": Layout("processed", "dataset_jsons", export_omama, typed=True),
    "coco": Layout("", None, export_coco),
}


def inputs(paths: Paths, unit: str, knobs: ExportKnobs) -> dict[str, Path]:
    """split.json, both files of each take that is processed, and the pair files that are there."""
    return processed_inputs(paths, unit) | {file.name: file for file in _pair_files(paths, unit, typed=True)}


def products(paths: Paths, unit: str, knobs: ExportKnobs) -> dict[str, Path]:
    """The exported tree."""
    target = Path(knobs.target).absolute() if knobs.target else paths.export(unit, knobs.export_layout)
    return {"export": target}


def check(paths: Paths, unit: str, knobs: ExportKnobs) -> None:
    """Look at the target before anything is written: an export replaces the whole folder.

    Raises:
        PipelineError: it holds what no export made, or lies within the data set.
    """
    target, source = products(paths, unit, knobs)["export"].resolve(), paths.output_dir(unit).resolve()
    if target == source or target in source.parents or source in target.parents:
        raise PipelineError(f"TO={target} and {source} lie within each other", "choose another folder with TO=")
    if target.exists() and not target.is_dir():
        raise PipelineError(f"TO={target} is a file", "choose another folder with TO=")
    if target.is_dir() and any(target.iterdir()) and not (target / RECORD).is_file():
        raise PipelineError(
            f"TO={target} holds files that no export made", "choose a folder that is empty or not there yet"
        )


def run(job: Job) -> Counts:
    """Write the tree: pictures linked where the file system allows it, files of other layouts made.

    Raises:
        PipelineError: no take is processed, or the target is not ours.
    """
    check(job.paths, job.unit, job.knobs)
    layout, root = LAYOUTS[job.knobs.export_layout], job.products["export"]
    root.mkdir(parents=True)
    counts, dropped = Counts(made={"takes": 0, "frames": 0, "masks": 0}), Counter[str]()
    splits = read_split(job.paths, job.unit)
    written: dict[Split, list[str]] = {split: [] for split in SPLITS}
    takes: dict[str, TakeNames] = {}
    worn: set[str] = set()
    job.progress.start(sum(map(len, splits.values())), f"export {job.unit}", "takes")
    for split, take_uids in splits.items():
        for take_uid in take_uids:
            try:
                take = read_take(job.paths, job.unit, take_uid)
            except PipelineError as error:
                counts.incomplete.append(f"take {take_uid} left out: {error.problem}")
                continue
            layout.write_take(take, root / layout.takes / take_uid, dropped)
            _link_pictures(take, root / layout.takes / take_uid, counts)
            _count(counts, "takes", 1)
            _count(counts, "masks", sum(len(frames) for of in take.annotation.masks.values() for frames in of.values()))
            written[split].append(take_uid)
            takes[take_uid] = TakeNames(scenario=take.annotation.scenario, take_name=take.annotation.take_name)
            worn.update(take.ego_cameras)
            job.progress.advance()
    if not takes:
        problem = counts.incomplete[0] if counts.incomplete else f"{job.paths.split_file(job.unit)} names none"
        raise PipelineError(f"there is no take to export: {problem}", "run egoexo-process or egoexo-import first")
    if layout is LAYOUTS["coco"]:
        whole = CustomSplit(**written)
        write_model(root / DATASET_FILE, DatasetFile(ego=sorted(worn), split=whole, takes=takes))
    else:
        write_model(root / layout.takes / "split.json", SplitFile(**written))
        if not all(map(sounds_worn, worn)):  # readers who go by names alone would take them for exo cameras
            write_whole(root / DATASET_FILE, DatasetFile(ego=sorted(worn)).model_dump_json(include={"ego"}) + "\n")
    _link_pairs(job, layout, counts, dropped)
    counts.dropped = {reason: number for reason, number in dropped.items() if number}
    record = ExportRecord(
        dataset=job.unit,
        layout=job.knobs.export_layout,
        takes={split: len(uids) for split, uids in written.items()},
        not_expressed=counts.dropped,
    )
    write_model(root / RECORD, record)
    job.report(f"{job.unit} goes to {products(job.paths, job.unit, job.knobs)['export']}")
    return counts


def _pair_files(paths: Paths, unit: str, typed: bool) -> Iterator[Path]:
    for split in SPLITS:
        for setting in SETTINGS:
            files = [paths.pairs(unit, split, setting), *([paths.typed_pairs(unit, split, setting)] if typed else [])]
            yield from (file for file in files if file.is_file())


def _link_pictures(take: ProcessedTake, folder: Path, counts: Counts) -> None:
    for camera, of in take.facts.cameras.items():
        (folder / camera).mkdir(parents=True, exist_ok=True)
        gone = 0
        for frame in of.frames:
            source = take.folder / camera / f"{frame}.jpg"
            if source.is_file():
                link_or_copy(source, folder / camera / source.name)
            else:
                gone += 1
        _count(counts, "frames", len(of.frames) - gone)
        if gone:
            counts.incomplete.append(f"{gone} pictures that {take.facts.take_uid}/take.json lists are gone in {camera}")


def _link_pairs(job: Job, layout: Layout, counts: Counts, dropped: Counter[str]) -> None:
    """Pair files as they are: all readers ignore the paths' prefix and take their own folder."""
    files = list(_pair_files(job.paths, job.unit, typed=layout.typed))
    if not files:
        job.report("there are no pair files yet: egoexo-pairs makes them, export again after it")
    if layout.pairs is None:
        dropped["pair_files"] += len(files)
        return
    folder = job.products["export"] / layout.pairs
    for file in files:
        folder.mkdir(parents=True, exist_ok=True)
        link_or_copy(file, folder / file.name)
    _count(counts, "pair_files", len(list(_pair_files(job.paths, job.unit, typed=False))))
    if not layout.typed:
        typed = len(list(_pair_files(job.paths, job.unit, typed=True))) - len(files)
        dropped["typed_pair_files"] += typed


def _count(counts: Counts, name: str, number: int) -> None:
    counts.made[name] = int(counts.made.get(name, 0)) + number
