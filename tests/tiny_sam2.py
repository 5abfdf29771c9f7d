"""SAM 2 of a few layers with random weights: real classes, 110,000 numbers."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    Sam2Config,
    Sam2HieraDetConfig,
    Sam2ImageProcessor,
    Sam2MaskDecoderConfig,
    Sam2Model,
    Sam2PromptEncoderConfig,
    Sam2VideoConfig,
    Sam2VideoModel,
    Sam2VisionConfig,
)

from pipeline.models.quiet import progress_bars_off

SIDE = 64
WIDTH = 32


def tiny_config() -> Sam2Config:
    """A picture of 64 × 64 in four stages; weights large enough that masks depend on the point."""
    backbone = Sam2HieraDetConfig(
        hidden_size=8,
        num_attention_heads=1,
        image_size=[SIDE, SIDE],
        blocks_per_stage=[1, 2, 1, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 2, 2],
        window_size_per_stage=[4, 4, 4, 2],
        global_attention_blocks=[2],
        window_positional_embedding_background_size=[4, 4],
    )
    return Sam2Config(
        vision_config=Sam2VisionConfig(
            backbone_config=backbone,
            backbone_channel_list=[64, 32, 16, 8],
            backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
            fpn_hidden_size=WIDTH,
        ),
        prompt_encoder_config=Sam2PromptEncoderConfig(hidden_size=WIDTH, image_size=SIDE, patch_size=16),
        mask_decoder_config=Sam2MaskDecoderConfig(
            hidden_size=WIDTH, mlp_dim=WIDTH, num_attention_heads=2, iou_head_hidden_dim=WIDTH
        ),
        initializer_range=0.3,
    )


def write_tiny_sam2(folder: Path, seed: int = 0) -> Path:
    """Config, weights and processor; the folder."""
    torch.manual_seed(seed)
    model = Sam2Model(tiny_config())
    with torch.no_grad():
        for name, values in model.named_parameters():
            if "output_hypernetworks_mlps" in name and "proj_out" in name:
                values *= 50  # logits far from 0, so that masks are more or less stable
    with progress_bars_off():
        model.save_pretrained(folder)
    _processor().save_pretrained(folder)
    return folder


def write_tiny_sam2_video(folder: Path, seed: int = 0) -> Path:
    """The same as a video model, which is the form that is published."""
    torch.manual_seed(seed)
    part = tiny_config()
    config = Sam2VideoConfig(
        vision_config=part.vision_config,
        prompt_encoder_config=part.prompt_encoder_config,
        mask_decoder_config=part.mask_decoder_config,
        initializer_range=0.3,
        image_size=SIDE,
        memory_attention_hidden_size=WIDTH,
        memory_encoder_hidden_size=WIDTH,
        memory_encoder_output_channels=16,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=WIDTH,
        memory_attention_rope_feat_sizes=[4, 4],
        mask_downsampler_embed_dim=WIDTH,
        memory_fuser_embed_dim=WIDTH,
        memory_fuser_intermediate_dim=WIDTH,
        memory_fuser_num_layers=1,
    )
    with progress_bars_off():
        Sam2VideoModel(config).save_pretrained(folder)
    _processor().save_pretrained(folder)
    return folder


def _processor() -> Sam2ImageProcessor:
    return Sam2ImageProcessor(size={"height": SIDE, "width": SIDE}, mask_size={"height": 16, "width": 16})
