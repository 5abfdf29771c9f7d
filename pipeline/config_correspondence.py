"""Every knob of the correspondence line, with its unit, range and default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.config_egoexo import DatasetKnobs
from pipeline.errors import PipelineError
from pipeline.knobs import Knobs, knob


@dataclass(frozen=True)
class EvaluateKnobs(Knobs):
    """Knobs of `evaluate`."""

    ground_truth: str = knob("", "ground truth in the benchmark's form", accepts="path of a .json or .json.gz")
    predictions: str = knob(
        "", "results of one direction, or a submission of both", accepts="path of a .json or .json.gz"
    )
    protocol: str = knob(
        "official",
        "official: the benchmark's script; omama: as O-MaMa and its derivatives report; corrected: what is meant",
        choices=("official", "omama", "corrected"),
    )
    direction: str = knob(
        "",
        "which direction of the predictions; empty: all that the file has, in a folder each where it has both",
        choices=("", "ego-exo", "exo-ego"),
    )
    out: str = knob("", "folder for metrics.json, items.jsonl and pictures", accepts="a path")
    threshold: float | None = knob(
        None,
        "confidence above which the object counts as present in the corrected metrics, as chosen on val",
        low=-1e9,
        high=1e9,
    )
    draws: int = knob(1000, "draws of the bootstrap; 0: no intervals", low=0, high=100_000)
    seed: int = knob(0, "of the bootstrap", low=0, high=2**31)
    data_set: str = knob(
        "",
        "where the frames are, for pictures of the worst and best cases; empty: none are made",
        accepts="path of an output_dir_{name}, or its name",
    )
    cases: int = knob(8, "worst and best cases to show", low=1, high=100)
    json: bool = knob(False, "print metrics.json instead of the table")


@dataclass(frozen=True)
class GroundTruthKnobs(Knobs):
    """Knobs of `ground-truth`."""

    data_set: str = knob("", "processed takes to make it from", accepts="path of an output_dir_{name}, or its name")
    split: str = knob("val", "which takes of its split.json", choices=("train", "val", "test"))
    relations: str = knob(
        "", "or the release's own annotations, all takes of the file", accepts="path of a relations_{split}.json"
    )
    out: str = knob("", "file to write; gzipped when it ends in .gz", accepts="path of a .json or .json.gz")


@dataclass(frozen=True)
class BackboneKnobs(DatasetKnobs):
    """Whose features a phase makes or uses."""

    backbone: str = knob(
        "dinov3-s",
        "what makes the features; the DINOv3 ones ask to accept their terms on the hub, the others do not",
        choices=("dinov3-s", "dinov3-b", "dinov3-l", "dinov2-b", "dino-resnet50"),
        env="BACKBONE",
    )


@dataclass(frozen=True)
class FeaturesKnobs(BackboneKnobs):
    """Knobs of `features`."""

    backbone_weights: str = knob(
        "",
        "the backbone's weights; empty: the published ones, fetched",
        accepts="a folder made by save_pretrained, a file, or a name on the hub",
        env="BACKBONE_WEIGHTS",
        is_file=True,
    )
    backbone_revision: str = knob(
        "main", "revision of the weights on the hub; its commit is recorded", accepts="branch, tag or commit"
    )
    backbone_sha256: str = knob(
        "",
        "digest that the weights file must have; empty: any, and it is recorded",
        accepts="64 hexadecimal digits",
        env="BACKBONE_SHA256",
        shapes_product=False,
    )
    input_scale: float = knob(
        1.0, "size in which pictures are shown to the backbone, against the usual one", low=0.1, high=8.0
    )
    resize: Literal["area", "nearest"] = knob(
        "area",
        "area: averaged, bilinear where a picture grows; nearest: pixels picked, as O-MaMa did",
        choices=("area", "nearest"),
    )
    computed_in: Literal["auto", "float16", "float32"] = knob(
        "auto",
        "numbers that the backbone computes in; auto: float16 on CUDA, float32 on a CPU; files hold float16 either way",
        choices=("auto", "float16", "float32"),
    )
    batch_pictures: int = knob(8, "pictures shown at once", low=1, high=512, shapes_product=False)
    device: Literal["auto", "cuda", "cpu"] = knob(
        "auto", "where the model runs", choices=("auto", "cuda", "cpu"), shapes_product=False
    )


@dataclass(frozen=True)
class ProposalMethodKnobs(DatasetKnobs):
    """Whose proposals a phase makes or uses."""

    proposals: Literal["classical", "sam2", "fastsam", "folder"] = knob(
        "classical",
        "where masks that may be objects come from; classical: no weights, for demo and tests; sam2: SAM 2.1; "
        "fastsam: AGPL, installed on its own; folder: masks that are there already",
        choices=("classical", "sam2", "fastsam", "folder"),
        env="PROPOSALS",
    )


@dataclass(frozen=True)
class ProposalsKnobs(ProposalMethodKnobs):
    """Knobs of `proposals`."""

    proposals_model: str = knob(
        "",
        "weights of the generator; empty: facebook/sam2.1-hiera-large for sam2; fastsam needs a file",
        accepts="a name on the hub, a folder made by save_pretrained, or FastSAM's file",
        env="PROPOSALS_MODEL",
        is_file=True,
    )
    proposals_revision: str = knob(
        "main", "revision of the generator's weights on the hub", accepts="branch, tag or commit"
    )
    masks_from: str = knob(
        "",
        "for folder: {take}/{camera}/{frame}_masks.npz, {frame}.png or {frame}/*.png, also below Masks_{SPLIT}_…",
        accepts="a path",
        env="MASKS_FROM",
        shapes_product=False,  # the files themselves are inputs
    )
    most_proposals: int = knob(200, "masks kept of a frame, those of best score", low=1, high=10_000)
    least_share: float = knob(0.0003, "smallest mask, as a share of the frame", low=0.0, high=1.0)
    most_share: float = knob(0.5, "largest mask, as a share of the frame", low=0.0, high=1.0)
    overlap: float = knob(
        0.0,
        "IoU from which on two masks (sam2, fastsam: their boxes) count as one; 0: the method's own, "
        "classical 0.8, sam2 0.7, fastsam 0.9; those of a folder only when they are the same",
        low=0.0,
        high=1.0,
    )
    work_side: int = knob(960, "classical: longer side in pixels of the picture that is cut up", low=32, high=4096)
    points_per_side: int = knob(32, "sam2: rows and columns of points asked about", low=1, high=256)
    points_per_batch: int = knob(64, "sam2: points asked about at once", low=1, high=65_536, shapes_product=False)
    crop_layers: int = knob(0, "sam2: also look at 4 (1) and 16 (2) overlapping parts of the picture", low=0, high=2)
    least_quality: float = knob(0.8, "sam2: least IoU that the model expects of its mask", low=0.0, high=1.0)
    least_stability: float = knob(
        0.95, "sam2: least IoU of the masks at slightly higher and lower thresholds", low=0.0, high=1.0
    )
    confidence: float = knob(0.4, "fastsam: least confidence of a mask", low=0.0, high=1.0)
    imgsz: int = knob(1024, "fastsam: longer side in pixels of the picture shown to the model", low=32, high=4096)
    device: Literal["auto", "cuda", "cpu"] = knob(
        "auto", "where the model runs", choices=("auto", "cuda", "cpu"), shapes_product=False
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.least_share >= self.most_share:
            raise PipelineError(
                f"--least-share is {self.least_share:g}, expected less than --most-share {self.most_share:g}",
                "lower the one or raise the other",
            )
        if (self.proposals == "folder") != bool(self.masks_from):
            raise PipelineError(
                f"--proposals is {self.proposals} and --masks-from (or MASKS_FROM=) is {self.masks_from!r}",
                "--proposals folder and --masks-from go together",
            )
        if self.proposals == "fastsam" and not self.proposals_model:
            raise PipelineError(
                "--proposals fastsam needs --proposals-model (or PROPOSALS_MODEL=): its weights are not fetched",
                "download FastSAM-x.pt or FastSAM-s.pt (AGPL-3.0) from "
                "https://github.com/ultralytics/assets/releases and name the file",
            )


@dataclass(frozen=True)
class ProposalRecallKnobs(Knobs):
    """Knobs of `proposal-recall`."""

    data_set: str = knob("", "processed takes with proposals", accepts="path of an output_dir_{name}, or its name")
    proposals: str = knob(
        "classical", "which of its proposals", choices=("classical", "sam2", "fastsam", "folder"), env="PROPOSALS"
    )
    split: str = knob("all", "which takes of its split.json", choices=("all", "train", "val", "test"))
    out: str = knob("", "folder for recall.json and pictures; empty: beside the proposals", accepts="a path")
    json: bool = knob(False, "print recall.json instead of the table")


@dataclass(frozen=True)
class ExportProposalsKnobs(Knobs):
    """Knobs of `export-proposals`."""

    data_set: str = knob("", "processed takes with proposals", accepts="path of an output_dir_{name}, or its name")
    proposals: str = knob(
        "classical", "which of its proposals", choices=("classical", "sam2", "fastsam", "folder"), env="PROPOSALS"
    )
    out: str = knob("", "folder for Masks_{SPLIT}_{EXO2EGO|EGO2EXO}/", accepts="a path")
