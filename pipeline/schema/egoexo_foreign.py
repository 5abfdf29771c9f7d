"""Other people's data sets: the public baseline's annotation.json, dataset.json and COCO files of one's own data.

docs/custom-data.md explains the last two.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from pipeline.schema.base import ForeignModel, OwnModel
from pipeline.schema.egoexo_release import Split


class ProcessedAnnotation(ForeignModel):
    """{take}/annotation.json of the public baseline (`masks`, `subsample_idx`) and of those that hold more."""

    masks: dict[str, dict[str, dict[str, Any]]]
    """Object → camera → frame → mask as {size, counts}, or null where it could not be read."""
    scenario: str = ""
    take_name: str = ""
    object_masks: dict[str, dict[str, Any]] | None = None


class ForeignRle(ForeignModel):
    """COCO compressed run lengths."""

    size: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]]
    """Height, width."""
    counts: str


PAIRS = TypeAdapter(list[tuple[str, str, str, str]])
"""A pair file: ego picture, ego mask, exo picture, exo mask."""


class TakeNames(OwnModel):
    """What a take of one's own is called."""

    scenario: str = ""
    take_name: str = ""


class CustomSplit(OwnModel):
    """Take folders of each split."""

    train: list[str] = Field(default_factory=list)
    val: list[str] = Field(default_factory=list)
    test: list[str] = Field(default_factory=list)


class DatasetFile(OwnModel):
    """dataset.json beside the take folders of one's own data set. Every key may be left out."""

    ego: list[str] = Field(default_factory=list)
    """Cameras that somebody wears; without it those whose name begins with `ego` or `aria`."""
    objects: dict[Annotated[str, Field(pattern=r"^[1-9]\d*$")], str] = Field(default_factory=dict)
    """Value in label pictures → object. When given, no other object may occur."""
    split: CustomSplit | None = None
    """Without it all takes are train."""
    scenario: str = ""
    takes: dict[str, TakeNames] = Field(default_factory=dict)
    """Take folder → names that differ from `scenario` and the folder's name."""
    every_object_labelled: bool = False
    """Whoever labelled a picture looked for every object of the take: what has no mask in it is absent."""


class CocoImage(ForeignModel):
    """One picture of a COCO file."""

    id: int
    file_name: str
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    neg_category_ids: list[int] | None = None
    """As in LVIS: objects known not to be in the picture."""


class CocoAnnotation(ForeignModel):
    """One object in one picture."""

    id: int = 0
    image_id: int
    category_id: int
    segmentation: list[list[float]] | dict[str, Any]
    """Polygons x, y, x, y, …, or run lengths as {size, counts}."""


class CocoCategory(ForeignModel):
    """One object."""

    id: int
    name: str


class CocoFile(ForeignModel):
    """masks/{camera}.json."""

    images: list[CocoImage]
    annotations: list[CocoAnnotation]
    categories: list[CocoCategory]


class ImportedTake(OwnModel):
    """What became of one take of an import that is under way."""

    made: dict[str, int]
    dropped: dict[str, int]
    incomplete: list[str]


class ImportRecord(OwnModel):
    """Beside an import's manifest: what it has put into output_dir_{name}, or was about to when it was killed.

    Without one of the two files the folder is not the import's to change.
    """

    takes: list[str]


class ExportRecord(OwnModel):
    """export.json at the root of an exported tree: where it comes from and what its layout has no room for."""

    dataset: str
    layout: str
    takes: dict[Split, int]
    not_expressed: dict[str, int]
