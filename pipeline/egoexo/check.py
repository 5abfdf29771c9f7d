"""egoexo-check: is the data set whole? Opens every picture, decodes every mask, follows every pair."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Set
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

from pydantic import ValidationError

from pipeline.config_egoexo import CheckKnobs
from pipeline.egoexo.check_pairs import PairFile, check_pair_file
from pipeline.egoexo.check_take import FILES as TAKE_FILES
from pipeline.egoexo.check_take import CheckedTake, check_take
from pipeline.egoexo.findings import Findings, table_text
from pipeline.errors import PipelineError
from pipeline.job import Counts, Job
from pipeline.ops.cores import cores
from pipeline.paths import Paths
from pipeline.schema.base import read_model, write_model
from pipeline.schema.egoexo_pairs import SETTINGS, Setting
from pipeline.schema.egoexo_release import SPLITS, Split, SplitFile
from pipeline.schema.egoexo_reports import CheckReport, PairCounts, PairsReport

LATER_FOLDERS = ("proposals", "features")
"""Folders of later phases beside the takes."""
TOP = ""
"""Key of the files that lie beside split.json."""


def inputs(paths: Paths, unit: str, knobs: CheckKnobs) -> dict[str, Path]:
    """None that must be there: what is missing is a finding."""
    return {}


def products(paths: Paths, unit: str, knobs: CheckKnobs) -> dict[str, Path]:
    """The report."""
    return {"report": paths.report(unit, "check")}


def run(job: Job) -> Counts:
    """Collect all findings, print them as a table or as JSON, and write the report.

    Raises:
        PipelineError: there are errors; the report is in place all the same.
    """
    knobs: CheckKnobs = job.knobs
    report = look_at(job)
    write_model(job.products["report"], report)
    if knobs.json:
        sys.stdout.write(report.model_dump_json(indent=2) + "\n")
    elif report.kinds:
        job.report(table_text(report))
    if not report.is_good:
        place = job.publish("report")
        errors = ", ".join(f"{kind.number} {kind.kind}" for kind in report.kinds if kind.severity == "error")
        raise PipelineError(
            f"{job.paths.output_dir(job.unit)} has {report.errors} errors: {errors}",
            f"{place} names each; REDO=egoexo-process makes takes again, REDO=egoexo-pairs the pairs; "
            "delete what nothing refers to",
        )
    return Counts(made=dict(report.counts), details={"warnings": {kind.kind: kind.number for kind in report.kinds}})


def look_at(job: Job) -> CheckReport:
    """Everything that is wrong with the data set."""
    findings, paths, name = Findings(), job.paths, job.unit
    root = paths.output_dir(name)
    files = files_below(root)
    splits = _read_split(paths.split_file(name), findings)
    takes: dict[str, CheckedTake] = {}
    pictures = sum(file.endswith(".jpg") for folder, inside in files.items() if folder for file in inside)
    job.progress.start(pictures, f"check {name}", "pictures")
    with ThreadPoolExecutor(cores()) as pool:
        for take_uid in dict.fromkeys(uid for uids in splits.values() for uid in uids):
            if files.get(take_uid):
                takes[take_uid] = check_take(root / take_uid, files[take_uid], findings, pool, job.progress.advance)
            else:
                findings.add("take_missing", take_uid)
    pair_files = list(_pair_files(paths, name, splits, takes, findings))
    job.progress.start(len(pair_files), f"check {name}", "pair files")
    pairs = 0
    for file in pair_files:
        pairs += check_pair_file(file, findings)
        job.progress.advance()
    with ThreadPoolExecutor(cores()) as pool:
        left_behind = _not_in_split(root, files, takes, findings, pool, job.progress.advance)
    _check_orphans(files, takes.keys() | left_behind, pair_files, findings)
    counts = {
        "takes": len(takes),
        "pictures": sum(len(frames) for take in takes.values() for frames in take.pictures.values()),
        "masks": sum(take.masks for take in takes.values()),
        "pairs": pairs,
    }
    return findings.report(name, counts)


def files_below(root: Path) -> dict[str, set[str]]:
    """Folder in `root` → files in it and below it, relative to it; those beside split.json under TOP."""
    files: dict[str, set[str]] = {}
    for folder, _, names in os.walk(root):
        top, *below = Path(folder).relative_to(root).parts or (TOP,)
        files.setdefault(top, set()).update("/".join((*below, name)) for name in names)
    return files


def _read_split(file: Path, findings: Findings) -> dict[Split, list[str]]:
    splits: dict[Split, list[str]] = {split: [] for split in SPLITS}
    if not file.is_file():
        findings.add("split_missing", file.name)
        return splits
    try:
        content = SplitFile.model_validate_json(file.read_bytes())
    except ValidationError as error:
        findings.add("split_invalid", file.name, str(error.errors(include_url=False, include_input=False)[0]["msg"]))
        return splits
    splits = {split: getattr(content, split) for split in SPLITS}
    uses = Counter(uid for uids in splits.values() for uid in uids)
    if not uses:
        findings.add("split_empty", file.name)
    for take_uid, number in uses.items():
        if number > 1:
            findings.add("split_overlap", file.name, f"{take_uid} {number} times")
    return splits


def _pair_files(
    paths: Paths, name: str, splits: dict[Split, list[str]], takes: dict[str, CheckedTake], findings: Findings
) -> Iterator[PairFile]:
    written = _written(paths.report(name, "pairs"), findings)
    for split in SPLITS:
        of_split = {take_uid: takes.get(take_uid, CheckedTake()) for take_uid in splits[split]}
        for setting in SETTINGS:
            yield PairFile(
                split,
                setting,
                paths.pairs(name, split, setting),
                paths.typed_pairs(name, split, setting),
                of_split,
                written.get((split, setting)),
            )


def _written(file: Path, findings: Findings) -> dict[tuple[Split, Setting], PairCounts]:
    """What egoexo-pairs says of its files; nothing for imported ones."""
    if not file.exists():
        return {}
    try:
        report = read_model(file, PairsReport, "REDO=egoexo-pairs writes it again")
    except PipelineError as error:
        findings.add("pairs_report_invalid", file.name, error.problem)
        return {}
    return {(counts.split, counts.setting): counts for counts in report.files}


def _not_in_split(
    root: Path,
    files: dict[str, set[str]],
    takes: dict[str, CheckedTake],
    findings: Findings,
    pool: Executor,
    advance: Callable[[], None],
) -> set[str]:
    """Takes that split.json no longer has, as after another SPLIT=. They harm nobody as long as they are whole."""
    left_behind = set[str]()
    for folder in sorted(files.keys() - takes.keys() - {TOP, *LATER_FOLDERS}):
        if not set(TAKE_FILES) <= files[folder]:
            continue
        of_the_take = Findings()
        check_take(root / folder, files[folder], of_the_take, pool, advance)
        if of_the_take.errors:
            continue
        left_behind.add(folder)
        findings.add(
            "take_not_in_split",
            f"{folder}/",
            f"{len(files[folder])} files; delete the folder, or put {folder} back by SPLIT= or TAKES=",
        )
    return left_behind


def _check_orphans(files: dict[str, set[str]], takes: Set[str], pair_files: list[PairFile], findings: Findings) -> None:
    """Files beside split.json that are none of the twelve, and folders that are no take's."""
    known = {"split.json"} | {place.name for file in pair_files for place in (file.pairs, file.typed)}
    for file in sorted(files.get(TOP, set()) - known):
        findings.add("orphan_file", file)
    for folder in sorted(files.keys() - takes - {TOP, *LATER_FOLDERS}):
        if files[folder]:
            detail = f"{len(files[folder])} files of no take in split.json; delete the folder"
            findings.add("orphan_file", f"{folder}/", detail)
