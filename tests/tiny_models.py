"""Tiny models, written and loaded once for all tests of a file, and frames of noise to show them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from pipeline.models.qwen_vl import Annotator, load_annotator
from pipeline.models.tiny import write_tiny_model
from pipeline.models.video_inputs import SampledVideo

FAMILIES = ("qwen2_5-vl", "qwen3-vl")


def load_tiny(folder: Path, family: str) -> Annotator:
    """One tiny model through the ordinary loader, on one core."""
    torch.set_num_threads(1)
    return load_annotator(str(write_tiny_model(folder / family, family)), device="cpu")


def noise_video(
    annotator: Annotator, frames: int, fps: float = 1.0, size_wh: tuple[int, int] = (456, 256), seed: int = 0
) -> SampledVideo:
    """Noise of the model's size, sampled without a gap."""
    width, height = annotator.size_wh(size_wh)
    images = np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)
    return SampledVideo(images, tuple(number / fps for number in range(frames)), fps)
