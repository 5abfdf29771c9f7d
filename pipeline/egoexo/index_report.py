"""The report of egoexo-index, as a file and as a table for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from io import StringIO

from rich import box
from rich.console import Console
from rich.table import Column, Table

from pipeline.egoexo.problems import counted
from pipeline.schema.egoexo_index import IndexReport, TakeIndex, TakeProblem
from pipeline.schema.egoexo_release import SPLITS, Split

SHOWN = 5
"""Takes named for each reason; the report file has all."""
NO_SPLIT = "none"
UNKNOWN = "unknown"
WIDTH = 120
"""Letters in a line of the table."""


def make_report(
    name: str,
    usable: Mapping[str, tuple[Split, TakeIndex]],
    objects: int,
    left_out: Sequence[TakeProblem],
    warnings: Sequence[TakeProblem],
) -> IndexReport:
    """Numbers of the usable takes, and every take that is not among them.

    Args:
        objects: of all usable takes; one that two cameras see counts once.
    """
    takes: dict[str, dict[str, int]] = {}
    for split in SPLITS:
        of_split = Counter(index.scenario for its_split, index in usable.values() if its_split == split)
        takes[split] = dict(sorted(of_split.items()))
    cameras = [camera for _, index in usable.values() for camera in index.cameras.values()]
    counts = {
        "takes": len(usable),
        "cameras": len(cameras),
        "objects": objects,
        "masks": sum(camera.masks for camera in cameras),
        "observations": sum(camera.observations for camera in cameras),
    }
    left_out_takes: dict[str, dict[str, dict[str, int]]] = {}
    for problem in left_out:
        of_scenario = left_out_takes.setdefault(problem.split or NO_SPLIT, {}).setdefault(_scenario(problem), {})
        of_scenario[problem.reason] = of_scenario.get(problem.reason, 0) + 1
    return IndexReport(
        name=name,
        takes=takes,
        counts=counts,
        left_out_takes=left_out_takes,
        left_out=list(left_out),
        warnings=list(warnings),
    )


def report_text(report: IndexReport, usable: Mapping[str, tuple[Split, TakeIndex]]) -> str:
    """Usable takes by scenario and split, then what was left out or is odd, by reason."""
    tasks = {index.parent_task for _, index in usable.values()}
    rows: dict[str, Counter[str]] = {}
    for split, index in usable.values():
        rows.setdefault(index.scenario if len(tasks) == 1 else index.parent_task, Counter())[split] += 1
    numbers = [Column(title, justify="right") for title in (*SPLITS, "takes")]
    table = Table(Column(report.name), *numbers, box=box.SIMPLE_HEAD)
    for title, of in sorted(rows.items()):
        table.add_row(title, *(str(of[split]) for split in SPLITS), str(of.total()))
    if len(rows) > 1:
        table.add_section()
        sums = [sum(of[split] for of in rows.values()) for split in SPLITS]
        table.add_row("together", *map(str, sums), str(sum(sums)))
    lines = [_rendered(table)]
    if report.left_out:
        lines.append(_rendered(_left_out_table(report, by_scenario=len(tasks) == 1)))
    for title, problems in (("left out", report.left_out), ("odd", report.warnings)):
        for reason, number in counted(problems).items():
            concerned = [problem for problem in problems if problem.reason == reason]
            named = ", ".join(_named(problem, with_detail=number <= 2) for problem in concerned[:SHOWN])
            lines.append(f"{title}: {number} {reason} ({named}{', …' if number > SHOWN else ''})")
    return "\n".join(lines)


def _left_out_table(report: IndexReport, by_scenario: bool) -> Table:
    """Takes left out by scenario (else parent task), reason and split."""
    splits = [*SPLITS, *sorted({problem.split or NO_SPLIT for problem in report.left_out} - set(SPLITS))]
    rows: dict[tuple[str, str], Counter[str]] = {}
    for problem in report.left_out:
        title = _scenario(problem) if by_scenario else problem.parent_task or UNKNOWN
        rows.setdefault((title, problem.reason), Counter())[problem.split or NO_SPLIT] += 1
    titles = [split if split in SPLITS else f"split {split}" for split in splits]
    numbers = [Column(title, justify="right") for title in (*titles, "takes")]
    table = Table(Column("left out"), Column("why"), *numbers, box=box.SIMPLE_HEAD)
    for (title, reason), of in sorted(rows.items()):
        table.add_row(title, reason, *(str(of[split]) for split in splits), str(of.total()))
    return table


def _scenario(problem: TakeProblem) -> str:
    return problem.scenario or problem.parent_task or UNKNOWN


def _named(problem: TakeProblem, with_detail: bool) -> str:
    name = problem.take_name or problem.take_uid
    return f"{name}: {problem.detail}" if with_detail and problem.detail else name


def _rendered(table: Table) -> str:
    text = StringIO()
    Console(file=text, width=WIDTH, color_system=None, markup=False, emoji=False).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines() if line.strip())
