"""SAM 2.1's automatic masks, on its real classes with tiny random weights: against transformers' own pipeline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco
from safetensors.torch import load_file, save_file
from transformers import pipeline

from pipeline.errors import PipelineError
from pipeline.models.sam2 import OVERLAP, Sam2Options, Sam2Proposer, grid_points, load_sam2
from pipeline.ops.masks.rle import decode_rle
from pipeline.ops.proposals.generator import Picture
from tests.tiny_sam2 import SIDE, write_tiny_sam2, write_tiny_sam2_video

EVERY = Sam2Options(points_per_side=6, points_per_batch=7, least_quality=-10.0, least_stability=0.0, overlap=0.95)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_sam2(tmp_path_factory.mktemp("sam2"))


def loaded(weights: Path, options: Sam2Options = EVERY, **more: Any) -> Sam2Proposer:
    return load_sam2(str(weights), "main", "cpu", options, **more)


def picture(height: int, width: int, seed: int = 3) -> Picture:
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), np.uint8)
    rgb = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), np.uint8)
    return Picture("uid", "name", "cam", 0, rgb)


def areas(found: Any, height: int, width: int) -> list[int]:
    return [int(coco.area({"size": [height, width], "counts": one.counts.encode()})) for one in found]


@pytest.mark.parametrize("overlap", [OVERLAP, 0.95])
@pytest.mark.parametrize("stability", [0.0, 0.9])
def test_masks_of_a_square_picture_are_those_of_the_pipeline(weights: Path, overlap: float, stability: float) -> None:
    shown = picture(80, 80)
    theirs: Any = pipeline("mask-generation", model=str(weights), device="cpu")
    quality = 0.2
    wanted = theirs(
        Image.fromarray(shown.rgb),
        points_per_crop=6,
        points_per_batch=7,
        pred_iou_thresh=quality,
        stability_score_thresh=stability,
        crops_nms_thresh=overlap,
    )
    options = Sam2Options(6, 7, 0, quality, stability, overlap)
    found = loaded(weights, options).propose(shown)
    assert len(found) == len(wanted["masks"]) > 0
    for one, mask, score in zip(found, wanted["masks"], wanted["scores"], strict=True):
        assert np.array_equal(decode_rle(one.counts, (80, 80)) != 0, np.asarray(mask))
        assert one.score == pytest.approx(float(score), abs=1e-4)


def test_points_lie_all_over_the_square_that_the_model_is_shown() -> None:
    points = grid_points(4, (64, 96))
    assert points.shape == (16, 2)
    assert points[:5].tolist() == [[12, 8], [36, 8], [60, 8], [84, 8], [12, 24]]
    assert points[-1].tolist() == [84, 56]


def test_the_lower_part_of_a_wide_picture_is_asked_about(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proposer = loaded(weights)
    asked: list[torch.Tensor] = []
    forward = proposer.network.forward

    def noted(**inputs: Any) -> Any:
        asked.append(inputs["input_points"])
        return forward(**inputs)

    monkeypatch.setattr(proposer.network, "forward", noted)
    proposer.propose(picture(54, 96))
    points = torch.cat([one[0, :, 0] for one in asked])
    assert points.shape == (36, 2)
    assert points[:, 1].max() > 0.9 * SIDE
    assert points[:, 0].max() > 0.9 * SIDE


def test_masks_have_the_size_of_the_picture_and_are_ordered(weights: Path) -> None:
    found = loaded(weights).propose(picture(54, 96))
    assert found
    for one in found:
        assert decode_rle(one.counts, (54, 96)).any()
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)  # type: ignore[type-var]


def test_the_number_of_points_at_once_changes_nothing(weights: Path) -> None:
    shown = picture(54, 96)
    few, many = (loaded(weights, Sam2Options(**(vars(EVERY) | {"points_per_batch": n}))) for n in (5, 36))
    assert areas(few.propose(shown), 54, 96) == areas(many.propose(shown), 54, 96)
    assert few.settings == many.settings
    assert "points_per_batch" not in few.settings


def test_parts_of_the_picture_are_looked_at_too(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proposer = loaded(weights, Sam2Options(**(vars(EVERY) | {"crop_layers": 1})))
    shown: list[Any] = []
    embed = proposer.network.get_image_embeddings

    def noted(pixels: torch.Tensor) -> Any:
        shown.append(pixels)
        return embed(pixels)

    monkeypatch.setattr(proposer.network, "get_image_embeddings", noted)
    for one in proposer.propose(picture(120, 200)):
        assert decode_rle(one.counts, (120, 200)).any()
    assert len(shown) == 5


@pytest.mark.parametrize("options", [{"least_quality": 1.0}, {"least_stability": 1.0}])
def test_no_mask_passes(weights: Path, options: dict[str, float]) -> None:
    assert list(loaded(weights, Sam2Options(**(vars(EVERY) | options))).propose(picture(50, 50))) == []


def test_a_published_video_checkpoint_loads(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    proposer = loaded(write_tiny_sam2_video(tmp_path / "video"))
    assert list(proposer.propose(picture(50, 50)))
    assert "sam2_video" not in capfd.readouterr().err


def test_weights_must_match(weights: Path, tmp_path: Path) -> None:
    for file in weights.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    state = load_file(tmp_path / "model.safetensors")
    state.pop("mask_decoder.iou_token.weight")
    state["surplus"] = torch.zeros(1)
    save_file(state, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(PipelineError, match=r"missing: mask_decoder.iou_token.weight; 1 unexpected: surplus"):
        loaded(tmp_path)


def test_other_models_and_empty_folders_are_refused(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"no config\.json") as refused:
        loaded(tmp_path)
    assert "PROPOSALS_MODEL=" in str(refused.value)
    for file in weights.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "sam"}))
    with pytest.raises(PipelineError, match="'sam' model, not SAM 2"):
        loaded(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(PipelineError, match="cannot be read"):
        loaded(tmp_path)
