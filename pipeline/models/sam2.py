"""SAM 2.1 asked about a grid of points: its automatic masks, by transformers' own model and image processor.

The pipeline of transformers places its points as SAM 1 wants them, longer side to the model's size; SAM 2 squeezes
pictures into a square, so that in a 16:9 picture the lowest 44 % would never be asked about. Here the grid lies in the
square.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from pycocotools import mask as coco  # type: ignore[import-untyped]
from safetensors import SafetensorError
from torchvision.ops import nms  # type: ignore[import-untyped]
from transformers import Sam2Config, Sam2ImageProcessor, Sam2Model

from pipeline.errors import PipelineError
from pipeline.models.loading import free_memory, is_out_of_memory
from pipeline.models.model_files import Advice, ModelFiles, find_model
from pipeline.models.quiet import progress_bars_off, warnings_off
from pipeline.models.weights import DeviceChoice, check_keys, choose_device, damaged
from pipeline.ops.proposals.generator import Picture
from pipeline.ops.proposals.tidy import Found

DEFAULT_MODEL = "facebook/sam2.1-hiera-large"
MODEL_TYPES = ("sam2", "sam2_video")
"""Published checkpoints hold the video model, whose memory is not needed for single pictures."""
ADVICE = Advice("PROPOSALS_MODEL", DEFAULT_MODEL)
OVERLAP = 0.7
"""IoU of boxes from which on two masks count as one, as SAM 2's authors have it."""
CROP_OVERLAP = 512 / 1500
"""Of the shorter side, between neighbouring parts of the first layer; likewise."""
STABILITY_OFFSET = 1.0
"""Logits above and below the threshold; likewise."""


@dataclass(frozen=True)
class Sam2Options:
    """How the model is asked, and which answers are kept.

    Attributes:
        points_per_side: rows and columns of the grid on the whole picture, and on each part of it.
        points_per_batch: asked about at once.
        crop_layers: layer i also looks at (2^i)² overlapping parts of the picture.
        least_quality: IoU that the model expects of its mask.
        least_stability: IoU of the masks at a higher and a lower threshold.
        overlap: IoU of boxes from which on the mask of less quality goes.
    """

    points_per_side: int = 32
    points_per_batch: int = 64
    crop_layers: int = 0
    least_quality: float = 0.8
    least_stability: float = 0.95
    overlap: float = OVERLAP


@dataclass(frozen=True)
class _Masks:
    """Answers that passed: run lengths of torch, quality, boxes x0, y0, x1, y1 with the last pixel inside."""

    runs: list[dict[str, Any]]
    quality: torch.Tensor
    boxes: torch.Tensor


class Sam2Proposer:
    """A loaded SAM 2.1 and how it is asked."""

    def __init__(self, network: Sam2Model, processor: Any, options: Sam2Options, source: dict[str, Any]) -> None:
        self.network = network
        self._processor = processor
        self._options = options
        self._source = source
        self.is_parallel = False

    @property
    def settings(self) -> dict[str, Any]:
        """Weights, and all options that shape masks."""
        options = vars(self._options) | {"points_per_batch": None}
        return self._source | {name: value for name, value in options.items() if value is not None}

    @torch.inference_mode()
    def propose(self, picture: Picture) -> Sequence[Found]:
        """All masks of the grid's points that are good, stable and unlike each other, best first."""
        parts = self._processor.generate_crop_boxes(
            torch.tensor(picture.rgb).permute(2, 0, 1), 1, self._options.crop_layers, CROP_OVERLAP, 1
        )
        height, width = picture.rgb.shape[:2]
        found = [masks for box, part in zip(parts[0], parts[2], strict=True)
                 for masks in self._masks(part, box, (height, width))]  # fmt: skip
        runs = [one for masks in found for one in masks.runs]
        if not runs:
            return []
        quality = torch.cat([masks.quality for masks in found])
        boxes = torch.cat([masks.boxes for masks in found]).float()
        kept = nms(boxes, quality, self._options.overlap).tolist()
        records = [coco.frPyObjects(runs[number], height, width) for number in kept]
        scores = quality.tolist()
        return [
            Found(record["counts"].decode("ascii"), round(scores[number], 4))
            for number, record in zip(kept, records, strict=True)
        ]

    def _masks(self, part: torch.Tensor, box: torch.Tensor, size_hw: tuple[int, int]) -> Iterator[_Masks]:
        """Answers for one part of the picture, a batch of points each."""
        inputs = self._processor(images=part, return_tensors="pt").to(self.network.device)
        part_hw = tuple(inputs["original_sizes"][0].tolist())
        with torch.autocast(self.network.device.type, torch.bfloat16, enabled=self.network.device.type == "cuda"):
            embeddings = self.network.get_image_embeddings(inputs["pixel_values"])
        input_hw = inputs["pixel_values"].shape[-2:]
        every_point = grid_points(self._options.points_per_side, input_hw)
        for points in torch.split(every_point, self._options.points_per_batch):
            asked = points[None, :, None].to(self.network.device)
            with torch.autocast(self.network.device.type, torch.bfloat16, enabled=self.network.device.type == "cuda"):
                answer = self.network(
                    image_embeddings=list(embeddings),
                    input_points=asked,
                    input_labels=torch.ones_like(asked[..., 0], dtype=torch.int32),
                    multimask_output=True,
                )
            quality = answer.iou_scores[0].float().flatten()
            good = quality > self._options.least_quality  # before anything is enlarged
            if not good.any():
                continue
            logits = answer.pred_masks[0].float().flatten(0, 1)[good][:, None]
            enlarged = self._processor.post_process_masks([logits], [part_hw], binarize=False)[0]
            runs, kept, boxes = self._processor.filter_masks(
                enlarged,
                quality[good][:, None],
                size_hw,
                box,
                pred_iou_thresh=0.0,
                stability_score_thresh=self._options.least_stability,
                stability_score_offset=STABILITY_OFFSET,
            )
            yield _Masks(runs, kept.cpu(), boxes.cpu())


def grid_points(per_side: int, input_hw: Sequence[int]) -> torch.Tensor:
    """[per_side², 2] x, y, spread evenly over a picture of the size that the model is shown, row by row."""
    share = (torch.arange(per_side) + 0.5) / per_side
    y, x = torch.meshgrid(share * input_hw[0], share * input_hw[1], indexing="ij")
    return torch.stack([x, y], dim=-1).reshape(-1, 2)


def load_sam2(
    model_id: str,
    revision: str,
    device: DeviceChoice,
    options: Sam2Options,
    *,
    token: str | None = None,
    report: Callable[[str], None] | None = None,
) -> Sam2Proposer:
    """Load SAM 2.1 by its name on the hub or from a folder, strictly.

    Raises:
        PipelineError: no such model, no SAM 2, no access, no network, files that do not belong together, or too little
            memory.
    """
    files = find_model(model_id or DEFAULT_MODEL, revision, token, report, ADVICE)
    if files.config.model_type not in MODEL_TYPES:
        raise PipelineError(f"{files.model_id} is a {files.config.model_type!r} model, not SAM 2", ADVICE.choose)
    place = choose_device(device)
    processor, network = _load(files)
    too_small = ""
    try:
        network = network.to(place).eval()  # type: ignore[arg-type]
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        too_small = str(error).splitlines()[0]
    if too_small:
        free_memory()
        raise PipelineError(
            f"too little memory for {files.model_id}: {too_small}",
            "take facebook/sam2.1-hiera-tiny with PROPOSALS_MODEL=, or --device cpu",
        )
    return Sam2Proposer(network, processor, options, {"model": files.model_id, "revision": files.revision})


def _load(files: ModelFiles) -> tuple[Any, Sam2Model]:
    model_class: Any = Sam2Model
    try:
        with progress_bars_off(), warnings_off():  # of a config of the video model, and of its memory's weights
            processor = Sam2ImageProcessor.from_pretrained(files.folder, local_files_only=True)
            network, info = model_class.from_pretrained(
                files.folder,
                config=Sam2Config.from_pretrained(files.folder, local_files_only=True),
                dtype=torch.float32,
                local_files_only=True,
                use_safetensors=True,
                ignore_mismatched_sizes=True,  # so that they are named below, with all other differences
                output_loading_info=True,
            )
    except (SafetensorError, OSError, ValueError) as error:
        raise damaged(files.model_id, error) from None
    check_keys(info, files.model_id)
    return processor, network
