"""What egoexo-check can find wrong, and the table that shows what it found."""

from __future__ import annotations

import io
from collections import Counter
from typing import Literal, NamedTuple

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from pipeline.schema.egoexo_reports import CheckReport, Finding, FindingKind

EXAMPLES = 3
"""Findings of one kind that the table shows; the JSON report has all."""
TABLE_WIDTH = 160
MEANING_WIDTH = 42
"""Letters in a line of the table, and of its first column."""


class Kind(NamedTuple):
    """One sort of finding."""

    severity: Literal["error", "warning"]
    meaning: str


KINDS: dict[str, Kind] = {
    "split_missing": Kind("error", "there is no split.json"),
    "split_invalid": Kind("error", "split.json is not {train, val, test: [take_uid]}"),
    "split_empty": Kind("error", "split.json names no take"),
    "split_overlap": Kind("error", "a take stands in split.json twice"),
    "take_missing": Kind("error", "a take of split.json is not processed"),
    "annotation_missing": Kind("error", "a take has no annotation.json"),
    "annotation_invalid": Kind("error", "annotation.json is not JSON of the right shape"),
    "annotation_keys": Kind("error", "annotation.json has other keys than its five"),
    "facts_missing": Kind("error", "a take has no take.json"),
    "facts_invalid": Kind("error", "take.json is not JSON of the right shape"),
    "facts_disagree": Kind("error", "take.json, annotation.json and the folder name different takes"),
    "subsample_idx_wrong": Kind("error", "subsample_idx is not all annotated frames of the take, ascending"),
    "camera_missing": Kind("error", "an annotated camera is not in take.json"),
    "camera_without_frames": Kind("error", "a camera has no picture at all"),
    "scale_wrong": Kind("error", "scale, frame size and native size of a camera do not agree"),
    "mask_invalid": Kind("error", "a mask is not {size: [height, width], counts: text}"),
    "mask_damaged": Kind("error", "a mask does not decode at its stated size"),
    "mask_empty": Kind("error", "a mask has no pixel; it should be absent"),
    "mask_size": Kind("error", "a mask has another size than its camera"),
    "mask_unknown": Kind("error", "a mask that object_masks does not have"),
    "mask_lost": Kind("error", "a mask of object_masks that is neither in masks nor named as left out"),
    "mask_forms_differ": Kind("error", "encodedMask and counts are different masks"),
    "mask_left_out": Kind("warning", "a mask of the release was left out"),
    "frame_missing": Kind("error", "a frame that take.json lists, or annotations and pairs need, is not on the disk"),
    "frame_known_missing": Kind("warning", "a wanted frame that the video did not give, as take.json says"),
    "picture_damaged": Kind("error", "a picture does not open"),
    "picture_size": Kind("error", "a picture has another size than take.json says"),
    "orphan_file": Kind("error", "a file that nothing refers to"),
    "take_not_in_split": Kind(
        "warning", "a whole take that split.json does not have: delete its folder, or put it back into the split"
    ),
    "absolute_path": Kind("error", "a path of this machine"),
    "pair_file_missing": Kind("error", "one of the six pair files is not there"),
    "pair_file_invalid": Kind("error", "a pair file is not a JSON list of four paths each"),
    "pair_path_invalid": Kind("error", "a path of a pair cannot be read"),
    "pair_path_prefix": Kind("error", "a path of a pair leads to another data set"),
    "pair_roles": Kind("error", "a pair is not ego rgb, ego mask, exo rgb, exo mask of one object at one frame"),
    "pair_wrong_split": Kind("error", "a pair's take is not in that split"),
    "pair_picture_missing": Kind("error", "a pair's picture is not on the disk"),
    "pair_mask_missing": Kind("error", "a pair's source mask is not in annotation.json"),
    "pair_duplicate": Kind("error", "a pair stands in its file twice"),
    "pair_lost": Kind("error", "a pair of the rule is not in its file, which was not sampled"),
    "pair_not_of_rule": Kind("warning", "a pair that the rule does not give, as with another choice of ego camera"),
    "pair_number": Kind("error", "a pair file holds another number of pairs than egoexo-pairs wrote"),
    "pairs_report_invalid": Kind("error", "the report of egoexo-pairs is not of its shape"),
    "typed_file_missing": Kind("error", "one of the six typed files is not there"),
    "typed_file_invalid": Kind("error", "a line of a typed file has another shape"),
    "typed_number": Kind("error", "a typed file has not one line for each pair"),
    "typed_differs": Kind("error", "a typed line describes another pair than the pair file has there"),
    "typed_state_wrong": Kind("error", "a typed line gives the target another state than the annotations"),
}


class Findings:
    """All that was found, in order."""

    def __init__(self) -> None:
        self.all: list[Finding] = []

    def add(self, kind: str, where: str, detail: str = "") -> None:
        """One finding more; `kind` is a key of KINDS."""
        assert kind in KINDS, kind
        self.all.append(Finding(kind=kind, where=where, detail=detail))

    @property
    def errors(self) -> int:
        """How many of them are errors."""
        return sum(KINDS[finding.kind].severity == "error" for finding in self.all)

    def report(self, name: str, counts: dict[str, int]) -> CheckReport:
        """Everything, with errors before warnings and the kinds in the order of KINDS."""
        numbers = Counter(finding.kind for finding in self.all)
        order = sorted((kind for kind in KINDS if numbers[kind]), key=lambda kind: KINDS[kind].severity)
        kinds = [FindingKind(kind=kind, number=numbers[kind], **KINDS[kind]._asdict()) for kind in order]
        return CheckReport(
            name=name,
            is_good=not self.errors,
            counts=counts,
            errors=self.errors,
            warnings=len(self.all) - self.errors,
            kinds=kinds,
            findings=self.all,
        )


def table_text(report: CheckReport) -> str:
    """The findings, grouped by kind, each with its number and some examples."""
    table = Table(
        Column("finding", max_width=MEANING_WIDTH),
        Column("number", justify="right"),
        Column("where", overflow="fold", ratio=1),
        show_lines=True,
    )
    for kind in report.kinds:
        found = [finding for finding in report.findings if finding.kind == kind.kind]
        examples = [f"{item.where}: {item.detail}" if item.detail else item.where for item in found[:EXAMPLES]]
        examples += [f"… and {len(found) - EXAMPLES} more"] if len(found) > EXAMPLES else []
        title = Text.assemble(kind.kind, " (warning)" if kind.severity == "warning" else "", "\n", kind.meaning)
        table.add_row(title, str(kind.number), Text("\n".join(examples)))
    text = io.StringIO()
    Console(file=text, width=TABLE_WIDTH, color_system=None).print(table)
    return text.getvalue().rstrip("\n")
