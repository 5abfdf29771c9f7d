"""What egoexo-pairs and egoexo-check found out about a whole data set."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.schema.base import OwnModel
from pipeline.schema.egoexo_pairs import Setting, Visibility
from pipeline.schema.egoexo_release import Split


class PairCounts(OwnModel):
    """One pair file: written + dropped = by_rule."""

    split: Split
    setting: Setting
    by_rule: int = Field(ge=0)
    """Pairs that the annotations give, whatever is on the disk."""
    written: int = Field(ge=0)
    targets: dict[Visibility, int]
    """State of the target → pairs written."""
    dropped: dict[str, int]
    """Reason → pairs."""
    asked: float
    """Of the pairs whose pictures are there: up to 1 a ratio, above it a number."""

    @property
    def is_sampled(self) -> bool:
        """Whether some pairs were left out on purpose."""
        return self.asked != 1


class MissingPictures(OwnModel):
    """Frames that pairs would need and that are not on the disk."""

    take_uid: str
    camera: str
    reason: str
    frames: list[int]


class PairsReport(OwnModel):
    """data/egoexo/reports/{name}_pairs.json."""

    name: str
    seed: int
    files: list[PairCounts]
    takes: int
    """Takes that gave at least one pair."""
    not_processed: list[str]
    """Takes of split.json without annotation.json and take.json."""
    unreadable: dict[str, str]
    """Take → why its files cannot be read."""
    without_pairs: dict[str, str]
    """Take → why it gives none."""
    missing_pictures: list[MissingPictures]


class Finding(OwnModel):
    """One thing that is not as it should be."""

    kind: str
    where: str
    """File below the data set's folder, and the place in it."""
    detail: str = ""


class FindingKind(OwnModel):
    """All findings of one kind."""

    kind: str
    severity: Literal["error", "warning"]
    meaning: str
    number: int = Field(gt=0)


class CheckReport(OwnModel):
    """data/egoexo/reports/{name}_check.json."""

    name: str
    is_good: bool
    """No errors; there may be warnings."""
    counts: dict[str, int]
    """What was looked at: takes, pictures, masks, pairs."""
    errors: int
    warnings: int
    kinds: list[FindingKind]
    findings: list[Finding]
