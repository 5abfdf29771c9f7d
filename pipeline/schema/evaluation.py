"""The benchmark's ground-truth file, and what an evaluation writes. Field names of the first are the benchmark's."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pipeline.schema.base import ForeignModel, OwnModel

Direction = Literal["ego-exo", "exo-ego"]
"""Source view first: `ego-exo` is EgoPipe's setting `egoexo`."""
DIRECTIONS: tuple[Direction, ...] = ("ego-exo", "exo-ego")
ProtocolName = Literal["official", "omama", "corrected"]
FrameNumber = Annotated[int, Field(ge=0)]
Interval = tuple[float, float]
"""2.5th and 97.5th percentile."""


class TruthMask(ForeignModel):
    """COCO compressed run lengths at the camera's native size."""

    size: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]]
    """Height, width."""
    counts: str

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.size


class TruthTake(ForeignModel):
    """One take of a ground-truth file."""

    masks: dict[str, dict[str, dict[str, TruthMask]]]
    """Object → camera → frame → mask."""
    annotated_frames: dict[str, dict[str, list[FrameNumber]]]
    """Object → camera → frames that somebody looked at."""
    subsample_idx: list[FrameNumber] = Field(default_factory=list)
    scenario: str = ""
    """EgoPipe's own files have it."""
    ego_cameras: list[str] | None = None
    """EgoPipe's own files have it; elsewhere a camera is an ego camera when `aria` is in its name."""

    def ego_cameras_of(self, name: str) -> list[str]:
        """Cameras of an object that somebody wore."""
        if self.ego_cameras is None:
            return [camera for camera in self.masks[name] if "aria" in camera]
        return [camera for camera in self.masks[name] if camera in self.ego_cameras]


class GroundTruth(ForeignModel):
    """A ground-truth file."""

    annotations: Annotated[dict[str, TruthTake], Field(min_length=1)]
    """Take → what is true of it, in file order."""


class FindingRow(OwnModel):
    """One thing that is wrong with a prediction file."""

    place: str
    got: str
    expected: str


class FindingsFile(OwnModel):
    """DIR/findings.json: why a prediction file was not scored."""

    direction: Direction
    total: int
    findings: list[FindingRow]


class Scores(OwnModel):
    """The protocol's four numbers; null where no item has one."""

    iou: float | None
    location_error: float | None
    contour_accuracy: float | None
    balanced_accuracy: float | None


class Group(Scores):
    """The four numbers of some of the items."""

    items: int
    present: int
    """Items whose object is in the target view: those that the first three numbers are means of."""


class ItemCounts(OwnModel):
    """What was asked, by the state of the target."""

    present: int
    absent: int
    unannotated: int
    """Nobody looked at the target frame: never scored."""
    vanished: int
    """Present, and without a pixel at the size of comparison."""


class ExistenceAt(OwnModel):
    """How well confidence above a threshold tells that the object is there."""

    threshold: float
    balanced_accuracy: float | None
    true_positive_rate: float | None
    true_negative_rate: float | None


class ExistenceScores(OwnModel):
    """Confidence against presence, over all items."""

    at_half: ExistenceAt
    chosen: ExistenceAt
    chosen_from: Literal["given", "these items: an upper bound"]
    auroc: float | None
    """Probability that a present object gets more confidence than an absent one."""
    calibration_error: float | None
    """Mean |confidence − share present| over ten bins; null when a confidence is outside 0 … 1."""


class CorrectedScores(OwnModel):
    """What the metrics claim to measure; means over present items. Never to be mixed with official numbers."""

    native_iou: float | None
    """The prediction enlarged to the true mask's own size."""
    recall_at_iou_50: float | None
    recall_at_iou_75: float | None
    registered_contour_accuracy: float | None
    """After the prediction's centroid was moved onto the true one; frame edges count as contour."""
    centroid_error: float | None
    """Distance of centroids over the diagonal, of predictions that are not empty."""
    miss_rate: float | None
    """Share of present objects with an empty prediction."""
    centroid_error_with_misses: float | None
    """The same distance, a miss counted as 1."""
    existence: ExistenceScores
    intervals: dict[str, Interval | None]


class Metrics(OwnModel):
    """DIR/metrics.json."""

    protocol: ProtocolName
    direction: Direction
    aggregate: Scores
    counts: ItemCounts
    intervals: dict[str, Interval | None]
    """95 %, takes drawn with replacement; null with fewer than two takes."""
    corrected: CorrectedScores
    breakdowns: dict[str, dict[str, Group]]
    """By `take`, `object`, `scenario`, `camera` (the exo camera) and `size` (share of the frame)."""
    bootstrap_draws: int
    bootstrap_seed: int
    ground_truth_sha256: str
    predictions_sha256: str


class ItemRow(OwnModel):
    """One line of DIR/items.jsonl. Scores of masks are null where the object is not in the target view."""

    take: str
    object: str
    source: str
    target: str
    frame: int | str
    gt_exists: bool
    pred_exists: bool
    """Confidence above 0.5."""
    confidence: float
    iou: float | None = None
    contour_accuracy: float | None = None
    location_error: float | None = None
    gt_pixels: int | None = None
    """At the size of comparison, like pred_pixels."""
    pred_pixels: int | None = None
    shape_hw: tuple[int, int] | None = None
    gt_share: float | None = None
    """Area of the true mask over that of the frame, at native size."""
    native_iou: float | None = None
    registered_contour_accuracy: float | None = None
    centroid_error: float | None = None
