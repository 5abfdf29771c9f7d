"""The memory plan of a question to a model, from its config alone: nothing is loaded, no weights are fetched."""

from __future__ import annotations

from typing import Any

import psutil  # type: ignore[import-untyped]
import torch
from transformers import AutoConfig

from pipeline.models.families import Family, Vision, family_of
from pipeline.models.model_files import model_folder, read_config
from pipeline.models.video_inputs import model_size_wh, most_frames
from pipeline.models.weights import DeviceChoice, DtypeChoice, choose_device
from pipeline.ops.model.dims import KNOWN, ModelDims, dims_of_config
from pipeline.ops.model.memory_plan import MemoryPlan, memory_plan

PUBLISHED_LEAST_PIXELS = 3136
"""Fewest pixels of a frame in the published processors' files."""


def plan_question(
    model_id: str,
    clip_size_wh: tuple[int, int],
    frames: int,
    text_tokens: int,
    new_tokens: int,
    *,
    revision: str = "main",
    token: str | None = None,
    dtype: DtypeChoice = "auto",
    device: DeviceChoice = "auto",
) -> MemoryPlan:
    """What one question about a clip takes, and whether this machine's free memory holds it.

    Args:
        clip_size_wh: size of the clip's pictures; the plan takes the size at which the model would see them.
        frames: frames of the clip; where they do not fit one question, the plan is that of the largest window.
        text_tokens, new_tokens: of the prompt's text and, at most, of the answer.

    Raises:
        PipelineError: no such model, no access, no network, an unknown family, or no such device.
    """
    dims = find_dims(model_id, revision, token)
    family = family_of(dims.model_type, model_id)
    vision = vision_of_dims(family, dims)
    size_wh = model_size_wh(family, vision, clip_size_wh)
    fitting = most_frames(family, vision, size_wh, family.context_tokens - text_tokens - new_tokens)
    place = choose_device(device)
    two_bytes = dtype == "bfloat16" or (dtype == "auto" and place.type == "cuda")
    free = torch.cuda.mem_get_info(place)[0] if place.type == "cuda" else int(psutil.virtual_memory().available)
    shown = min(frames, max(fitting, vision.temporal_patch))
    return memory_plan(dims, shown, size_wh, text_tokens, new_tokens, 2 if two_bytes else 4, free)


def find_dims(model_id: str, revision: str = "main", token: str | None = None) -> ModelDims:
    """Dimensions of a model: known by heart for the published Qwen2.5-VL models, else read from its config.json.

    Raises:
        PipelineError: no such model, no access, no network, or an unknown family.
    """
    if model_id in KNOWN:
        return KNOWN[model_id]
    folder, _ = model_folder(model_id, revision, token, patterns=("config.json",))
    family_of(read_config(model_id, folder).model_type, model_id)
    config: Any = AutoConfig.from_pretrained(folder)
    return dims_of_config(config.to_dict())


def vision_of_dims(family: Family, dims: ModelDims) -> Vision:
    """What picture sizes depend on; token ids are not known without the tokenizer and stay 0."""
    vision = dims.vision
    tokens_per_second = 2 if family.time_mode == "seconds_per_grid" else None
    limits = (PUBLISHED_LEAST_PIXELS, 2**31)
    return Vision(vision.patch, vision.merge, vision.temporal_patch, tokens_per_second, limits, 0, 0, 0)
