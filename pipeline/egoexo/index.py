"""Find each take's annotations, cameras and split, and say what is there and what is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel

from pipeline.config_egoexo import IndexKnobs
from pipeline.egoexo import problems
from pipeline.egoexo.catalog import Catalog, read_catalog
from pipeline.egoexo.index_report import make_report, report_text
from pipeline.egoexo.release import FETCH, captures_file, relations_files, release_dir, takes_file
from pipeline.egoexo.selection import Selection, takes_files
from pipeline.egoexo.splits import Assignment, assign_by_file, assign_by_relations
from pipeline.egoexo.take_index import UnusableTakeError, index_take
from pipeline.errors import PipelineError
from pipeline.job import Counts, Job
from pipeline.paths import Paths
from pipeline.schema.base import write_model
from pipeline.schema.egoexo_index import TakeIndex, TakeProblem
from pipeline.schema.egoexo_release import SPLITS, Split, SplitFile

Usable = dict[str, tuple[Split, TakeIndex]]


def inputs(paths: Paths, unit: str, knobs: IndexKnobs) -> dict[str, Path]:
    """The release's metadata, and a list of takes that lies in files.

    Raises:
        PipelineError: RELEASE= is no folder, SPLIT= no file, or the release has no object masks.
    """
    release = release_dir(paths, knobs)
    relations = relations_files(release)
    if takes_file(release).is_file() and not relations:
        raise PipelineError(f"{release} has no annotations/relations_{{{','.join(SPLITS)}}}.json", FETCH)
    if knobs.split and not Path(knobs.split).is_file():
        raise PipelineError(f"SPLIT={knobs.split} is no file", "give the path of a split.json, or leave SPLIT= out")
    files = [takes_file(release), *relations.values(), *takes_files(knobs.takes)]
    if captures_file(release).is_file():
        files.append(captures_file(release))
    if knobs.split:
        files.append(Path(knobs.split))
    return {_name(file, release): file for file in files}


def _name(file: Path, release: Path) -> str:
    """Below the release where the file lies in it, so that the release may be moved."""
    return str(file.relative_to(release) if file.is_relative_to(release) else file)


def products(paths: Paths, unit: str, knobs: IndexKnobs) -> dict[str, Path]:
    """The split of the takes that are of use, and the report on all."""
    return {"split": paths.split_file(unit), "report": paths.report(unit, "index")}


def run(job: Job) -> Counts:
    """Write split.json, the report, and a file a take for later phases.

    Raises:
        PipelineError: damaged metadata, a scenario or a list without takes, or none of them of use; then the report
            is saved all the same.
    """
    selection = Selection.of(job.knobs)
    release = release_dir(job.paths, job.knobs)
    catalog = read_catalog(
        job.paths, release, lambda file, _: job.inputs[_name(file, release)], job.report, job.progress
    )
    selection.check(catalog)
    assignment = assign_by_file(Path(job.knobs.split)) if job.knobs.split else assign_by_relations(catalog.listings)
    usable, left_out, warnings = _look_at_all(catalog, selection, assignment)
    objects = sum(catalog.annotated[uid][0][1].objects for uid in usable)
    report = make_report(job.unit, usable, objects, left_out, warnings)
    write_model(job.products["report"], report)
    if not usable:
        place = job.publish("report")
        reasons = ", ".join(f"{number} {reason}" for reason, number in problems.counted(left_out).items())
        raise PipelineError(f"no take of {job.unit} is of use: {reasons or 'none was asked for'}", f"see {place}")
    job.report(report_text(report, usable))
    if left_out or warnings:
        job.report(f"each take and its reason: {job.paths.report(job.unit, 'index')}")
    for _, index in usable.values():
        _write_if_changed(job.paths.take_index(index.take_uid), index)
    uids = {split: [uid for uid, (its_split, _) in usable.items() if its_split == split] for split in SPLITS}
    write_model(job.products["split"], SplitFile(**uids))
    return Counts(
        made={**report.counts, **{split: len(takes) for split, takes in uids.items()}},
        dropped=problems.counted(left_out) | _missing_relations(release, job.report),
        details={"warnings": problems.counted(warnings)},
        incomplete=[
            *problems.faults_in_short([*left_out, *warnings]),
            *_unknown_in_split(job.knobs, warnings),
        ],
    )


def _unknown_in_split(knobs: IndexKnobs, warnings: list[TakeProblem]) -> list[str]:
    """A split file of the user's that names takes which nothing else knows: they may be of this scenario."""
    names = [problem.take_uid for problem in warnings if problem.reason == problems.SCENARIO_UNKNOWN]
    if not knobs.split or not names:
        return []
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return [f"SPLIT={knobs.split} names {len(names)} takes that this release does not have ({shown})"]


def _missing_relations(release: Path, report: Callable[[str], None]) -> dict[str, int]:
    """Splits without annotations, as releases of before 2025 lack those of test: no file tells which takes they had."""
    missing = [split for split in SPLITS if split not in relations_files(release)]
    if missing:
        report(f"{release}/annotations has no relations_{{{','.join(missing)}}}.json: no take of theirs can be used")
    return {"splits_without_annotations": len(missing)} if missing else {}


def _look_at_all(
    catalog: Catalog, selection: Selection, assignment: Assignment
) -> tuple[Usable, list[TakeProblem], list[TakeProblem]]:
    """Every take that the user asked for is either of use or left out with its reason."""
    usable: Usable = {}
    left_out = _named(catalog, selection, assignment.left_out)
    warnings = _named(catalog, selection, assignment.warnings)
    for uid, split in assignment.split_of.items():
        if not selection.wants(catalog, uid):
            continue
        try:
            index, odd = index_take(catalog, uid, split)
        except UnusableTakeError as error:
            reason, name = error.reason, catalog.name_of(uid)
            if reason == problems.NO_ANNOTATIONS and assignment.names_all_benchmarks and not selection.takes:
                reason = problems.OTHER_BENCHMARK
            left_out.append(TakeProblem(take_uid=uid, take_name=name, split=split, reason=reason, detail=error.detail))
        else:
            usable[uid] = split, index
            warnings += odd
    known = dict.fromkeys([*assignment.split_of, *(problem.take_uid for problem in assignment.left_out)])
    left_out += selection.unknown(catalog, known)
    if not selection.takes:
        left_out += [
            TakeProblem(take_uid=uid, take_name=catalog.name_of(uid), split="", reason=problems.NOT_IN_SPLIT)
            for uid in catalog.annotated
            if uid not in known and selection.wants(catalog, uid)
        ]
    warnings += [
        TakeProblem(
            take_uid=uid,
            take_name=catalog.name_of(uid),
            split=assignment.split_of.get(uid, ""),
            reason=problems.SCENARIO_UNKNOWN,
            detail=_what_is_known(catalog, uid),
        )
        for uid in dict.fromkeys([*known, *catalog.annotated])
        if selection.cannot_tell(catalog, uid)
    ]
    return usable, _with_scenarios(catalog, left_out), _with_scenarios(catalog, warnings)


def _what_is_known(catalog: Catalog, take_uid: str) -> str:
    found = [problem for _, listed in catalog.annotated.get(take_uid, ()) for problem in listed.problems]
    text = catalog.scenario_of(take_uid)
    return "; ".join([*found, f"no take of takes.json has its scenario {text!r}" if text else "it has no annotations"])


def _with_scenarios(catalog: Catalog, found: list[TakeProblem]) -> list[TakeProblem]:
    return [
        problem.model_copy(
            update={
                "scenario": catalog.scenario_of(problem.take_uid),
                "parent_task": catalog.parent_task_of(problem.take_uid) or "",
            }
        )
        for problem in found
    ]


def _named(catalog: Catalog, selection: Selection, found: list[TakeProblem]) -> list[TakeProblem]:
    return [
        problem.model_copy(update={"take_name": catalog.name_of(problem.take_uid)})
        for problem in found
        if selection.wants(catalog, problem.take_uid)
    ]


def _write_if_changed(file: Path, value: BaseModel) -> None:
    """Leave an equal file alone: its time and digest say whether the take has to be processed again."""
    if not file.exists() or file.read_text() != value.model_dump_json(indent=2) + "\n":
        write_model(file, value)
