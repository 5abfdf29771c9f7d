"""Tiny random backbones: real classes, a few hundred kilobytes; what the demo and the tests run on.

They load through the same code as the published ones, from a folder that BACKBONE_WEIGHTS= accepts. Their features tell
colours and textures apart, and nothing more.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import Dinov2WithRegistersConfig, DINOv3ViTConfig, PreTrainedModel, ResNetConfig

from pipeline.models.backbones import BackboneRow, backbone_named
from pipeline.models.quiet import progress_bars_off

REGISTERS = 4
"""As in the published models."""


def write_tiny_backbone(folder: Path, name: str = "dinov3-s", seed: int = 0) -> Path:
    """Write config and weights of one tiny random backbone; the same bytes for the same seed.

    Args:
        folder: created if need be; files of the same names are overwritten.
        name: row of the registry.

    Returns:
        The folder.

    Raises:
        PipelineError: no such backbone.
    """
    row = backbone_named(name)
    folder.mkdir(parents=True, exist_ok=True)
    with progress_bars_off():
        tiny_backbone(row, seed).save_pretrained(folder)
    return folder


def tiny_backbone(row: BackboneRow, seed: int) -> PreTrainedModel:
    """The row's own class with random float32 weights; the global random state is left as it was."""
    model_class: Any = getattr(transformers, row.model_class)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: PreTrainedModel = model_class(tiny_config(row))
    return network.eval()  # type: ignore[no-untyped-call, no-any-return]


def tiny_config(row: BackboneRow) -> Any:
    """The row's own config with tiny dimensions; the patch is that of the published weights."""
    if row.model_type == "resnet":
        return ResNetConfig(embedding_size=16, hidden_sizes=[16, 32, 64, 128], depths=[1, 1, 1, 1])
    common: dict[str, Any] = {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "patch_size": row.published.patch,
        "num_register_tokens": REGISTERS,
    }
    if row.model_type == "dinov3_vit":
        return DINOv3ViTConfig(**common, intermediate_size=128)
    return Dinov2WithRegistersConfig(**common, mlp_ratio=2, image_size=8 * row.published.patch)
