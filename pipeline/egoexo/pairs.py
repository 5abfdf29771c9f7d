"""egoexo-pairs: for each object the pictures of both views, six files, each with the target's state beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pipeline.config_egoexo import PairsKnobs
from pipeline.egoexo.pair_files import PairWriter
from pipeline.egoexo.pair_report import (
    BAD_NAME,
    NEITHER,
    NO_EGO,
    NO_EXO,
    NOT_KEPT,
    NOT_ON_DISK,
    NOT_SAMPLED,
    Takes,
    pair_counts,
    pairs_report,
    sentence,
)
from pipeline.egoexo.processed import ProcessedTake, frames_on_disk, is_processed, read_split, read_take
from pipeline.egoexo.processed_inputs import processed_inputs
from pipeline.errors import PipelineError
from pipeline.job import Counts, Job
from pipeline.ops.egoexo.sampling import sample_indices, wanted_number
from pipeline.ops.egoexo.tracks import Pair, pairs_of
from pipeline.paths import Paths
from pipeline.schema.base import write_model
from pipeline.schema.egoexo_pairs import SEPARATOR, SETTINGS, Setting
from pipeline.schema.egoexo_release import SPLITS, Split
from pipeline.schema.egoexo_reports import PairCounts

NO_CAMERA = "the camera is not in take.json"


@dataclass
class Found:
    """What one pass over the takes of a split gives."""

    pairs: dict[Setting, list[tuple[str, Pair]]] = field(default_factory=lambda: {name: [] for name in SETTINGS})
    """Take and pair, pictures there."""
    dropped: dict[Setting, dict[str, int]] = field(default_factory=lambda: {name: {} for name in SETTINGS})


def inputs(paths: Paths, unit: str, knobs: PairsKnobs) -> dict[str, Path]:
    """split.json and both files of each take that is processed."""
    return processed_inputs(paths, unit)


def products(paths: Paths, unit: str, knobs: PairsKnobs) -> dict[str, Path]:
    """Six pair files, six typed ones and the report."""
    files = {"report": paths.report(unit, "pairs")}
    for split in SPLITS:
        for setting in SETTINGS:
            files[f"{split}_{setting}_pairs"] = paths.pairs(unit, split, setting)
            files[f"{split}_{setting}_typed"] = paths.typed_pairs(unit, split, setting)
    return files


def check(paths: Paths, unit: str, knobs: PairsKnobs) -> None:
    """Look at the sampling before any take is read.

    Raises:
        PipelineError: a sample is neither a share nor a whole number.
    """
    for split in SPLITS:
        wanted_number(0, _asked(knobs, split))


def run(job: Job) -> Counts:
    """Write the pairs of all processed takes, split by split.

    Raises:
        PipelineError: no take of split.json is processed, or none can be read.
    """
    knobs: PairsKnobs = job.knobs
    splits = read_split(job.paths, job.unit)
    job.progress.start(sum(map(len, splits.values())), "pairs", "takes")
    takes, files = Takes(), list[PairCounts]()
    for split, take_uids in splits.items():
        found = Found()
        for take_uid in take_uids:
            _add_take(job, take_uid, found, takes)
            job.progress.advance()
        files += [_write(job, knobs, split, setting, found) for setting in SETTINGS]
    if not takes.read:
        fix = "run egoexo-process first, and look at why each take failed"
        problem = next(iter(takes.unreadable.values()), "none has annotation.json and take.json")
        raise PipelineError(f"no take of {job.paths.split_file(job.unit)} is processed: {problem}", fix)
    write_model(job.products["report"], pairs_report(job.unit, knobs.seed, files, takes))
    for counts in files:
        job.report(sentence(counts))
    return pair_counts(files, takes)


def _asked(knobs: PairsKnobs, split: Split) -> float:
    return {"train": knobs.sample_train, "val": knobs.sample_val, "test": knobs.sample_test}[split]


def _add_take(job: Job, take_uid: str, found: Found, takes: Takes) -> None:
    """Add the pairs of one take, in the order of its annotation.json."""
    if not is_processed(job.paths, job.unit, take_uid):
        takes.not_processed[take_uid] = None
        return
    try:
        take = read_take(job.paths, job.unit, take_uid)
    except PipelineError as error:
        takes.unreadable[take_uid] = error.problem
        return
    takes.read.add(take_uid)
    on_disk = {camera: set(frames_on_disk(take.folder / camera)) for camera in take.facts.cameras}
    by_rule = kept = 0
    for setting in SETTINGS:
        for pair in pairs_of(take.tracks, take.ego_cameras, take.exo_cameras, setting):
            by_rule += 1
            if reason := _why_not(pair, take, on_disk, takes):
                found.dropped[setting][reason] = found.dropped[setting].get(reason, 0) + 1
            else:
                kept += 1
                found.pairs[setting].append((take_uid, pair))
    if not kept:
        no_pair = "no object has masks and is annotated in an ego and an exo camera"
        takes.without_pairs[take_uid] = f"all {by_rule} are dropped" if by_rule else no_pair


def _why_not(pair: Pair, take: ProcessedTake, on_disk: dict[str, set[int]], takes: Takes) -> str:
    """Why a pair of the rule cannot be written; empty when it can."""
    if SEPARATOR in pair.object or not pair.object:
        return BAD_NAME
    gone = [camera for camera in (pair.ego_camera, pair.exo_camera) if pair.frame not in on_disk.get(camera, ())]
    for camera in gone:
        key = (take.facts.take_uid, camera, _why_gone(take, camera, pair.frame))
        takes.missing.setdefault(key, set()).add(pair.frame)
    if len(gone) == 2:
        return NEITHER
    return (NO_EGO if gone[0] == pair.ego_camera else NO_EXO) if gone else ""


def _why_gone(take: ProcessedTake, camera: str, frame: int) -> str:
    facts = take.facts.cameras.get(camera)
    if facts is None:
        return NO_CAMERA
    return facts.missing.get(str(frame), NOT_ON_DISK if frame in facts.frames else NOT_KEPT)


def _write(job: Job, knobs: PairsKnobs, split: Split, setting: Setting, found: Found) -> PairCounts:
    pairs, dropped, asked = found.pairs[setting], found.dropped[setting], _asked(knobs, split)
    wanted = wanted_number(len(pairs), asked)
    chosen = sample_indices(len(pairs), wanted, f"{knobs.seed} {split} {setting}")
    if asked > max(1, len(pairs)):
        job.report(f"{split} {setting}: {asked:.0f} pairs asked for, but there are {len(pairs)}; all are kept")
    if pairs and not chosen:
        job.report(f"{split} {setting}: {asked:g} of {len(pairs)} pairs is none, so the file is empty")
    if len(chosen) < len(pairs):
        dropped = dropped | {NOT_SAMPLED: len(pairs) - len(chosen)}
    name = f"{split}_{setting}"
    data_dir = job.paths.output_dir(job.unit).name
    with PairWriter(job.products[f"{name}_pairs"], job.products[f"{name}_typed"], data_dir, split, setting) as writer:
        for index in chosen:
            writer.add(*pairs[index])
    written = len(chosen)
    return PairCounts(
        split=split,
        setting=setting,
        by_rule=written + sum(dropped.values()),
        written=written,
        targets=writer.targets,
        dropped=dropped,
        asked=asked,
    )
