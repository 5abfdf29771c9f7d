"""The model families that can annotate, one row each; what a model says about itself is read from its own files.

A family is recognised by the `model_type` of the model's config.json. A row holds only what no file of the model says:
how its boxes are meant, how it is told the time, what its authors advise. Patch sizes, token ids and pixel limits come
from the config and the processor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pipeline.errors import PipelineError

BoxConvention = Literal["model_px", "per_mille"]
TimeMode = Literal["seconds_per_grid", "textual"]


@dataclass(frozen=True)
class Family:
    """One row.

    Attributes:
        model_type: as in config.json.
        name: as people write it; also the folder name of its tiny model.
        model_class: name of the class in transformers.
        box_convention: `model_px`, pixels of the picture as the model saw it, or `per_mille`, thousandths of it.
        time_mode: `seconds_per_grid`, time is in the temporal rotary position of each pair of frames, or `textual`,
            a text like `<1.5 seconds>` stands before each pair.
        limits_whole_video: the processor's pixel limits count the whole video, not one frame.
        context_tokens: context that the authors trained for; the config may allow more by position extrapolation.
        video_tokens: most visual tokens the authors advise for one video.
        step_tokens: most visual tokens of one grid step (a pair of frames); larger pictures are shrunk to this. It lets
            three minutes at 1 fps of any size into one video; a 456×256 picture takes 144 or 112.
        step_text_tokens: most text tokens around one grid step (its time and its borders).
        dtype: number format of the published weights. float16 overflows in these models.
    """

    model_type: str
    name: str
    model_class: str
    box_convention: BoxConvention
    time_mode: TimeMode
    limits_whole_video: bool
    context_tokens: int
    step_text_tokens: int
    video_tokens: int = 24_000
    step_tokens: int = 256
    dtype: Literal["bfloat16"] = "bfloat16"


FAMILIES: tuple[Family, ...] = (
    Family(
        model_type="qwen2_5_vl",
        name="qwen2_5-vl",
        model_class="Qwen2_5_VLForConditionalGeneration",
        box_convention="model_px",
        time_mode="seconds_per_grid",
        limits_whole_video=False,
        context_tokens=32_768,
        step_text_tokens=0,
    ),
    Family(
        model_type="qwen3_vl",
        name="qwen3-vl",
        model_class="Qwen3VLForConditionalGeneration",
        box_convention="per_mille",
        time_mode="textual",
        limits_whole_video=True,
        context_tokens=262_144,
        step_text_tokens=12,
    ),
)


def family_of(model_type: str, model_id: str) -> Family:
    """The row of a model type; `model_id` is only named in the error.

    Raises:
        PipelineError: no row is of this type.
    """
    for family in FAMILIES:
        if family.model_type == model_type:
            return family
    known = ", ".join(f"{family.model_type} ({family.name})" for family in FAMILIES)
    raise PipelineError(
        f"{model_id} is of model type {model_type!r}; supported are: {known}",
        "choose another model with MODEL=, for example Qwen/Qwen2.5-VL-3B-Instruct",
    )


def family_named(name: str) -> Family:
    """The row of that name, written with `-` or `_`.

    Raises:
        PipelineError: no row has this name.
    """
    for family in FAMILIES:
        if name.replace("-", "_") == family.name.replace("-", "_"):
            return family
    raise PipelineError(f"{name!r} is no model family", f"choose one of: {', '.join(f.name for f in FAMILIES)}")


@dataclass(frozen=True)
class Vision:
    """How a model cuts up a video, and the ids of the tokens around it.

    Attributes:
        patch: side of a vision patch, pixels.
        merge: patches per side that become one token.
        temporal_patch: frames that become one grid step.
        tokens_per_second: temporal rotary positions per second; None where time is textual.
        pixel_limits: fewest and most pixels, of one frame or of the whole video (see Family.limits_whole_video).
    """

    patch: int
    merge: int
    temporal_patch: int
    tokens_per_second: int | None
    pixel_limits: tuple[int, int]
    video_token_id: int
    vision_start_id: int
    vision_end_id: int

    @property
    def factor(self) -> int:
        """Picture sides are multiples of this many pixels."""
        return self.patch * self.merge


def vision_of(family: Family, config: Any, processor: Any, model_id: str) -> Vision:
    """Read a model's vision numbers from its config and its processor.

    Args:
        config: the transformers config of the whole model.
        processor: the transformers processor that was loaded from the same place.

    Raises:
        PipelineError: config and processor disagree, so their files do not belong together.
    """
    vision, video = config.vision_config, processor.video_processor
    pairs = {
        "patch size": (vision.patch_size, video.patch_size),
        "merge size": (vision.spatial_merge_size, video.merge_size),
        "temporal patch size": (vision.temporal_patch_size, video.temporal_patch_size),
        "video token id": (config.video_token_id, processor.video_token_id),
    }
    for what, (in_config, in_processor) in pairs.items():
        if in_config != in_processor:
            raise PipelineError(
                f"{model_id}: {what} is {in_config} in config.json but {in_processor} in the processor's files",
                "take all files of the model from one place",
            )
    return Vision(
        patch=vision.patch_size,
        merge=vision.spatial_merge_size,
        temporal_patch=vision.temporal_patch_size,
        tokens_per_second=vision.tokens_per_second if family.time_mode == "seconds_per_grid" else None,
        pixel_limits=(video.size["shortest_edge"], video.size["longest_edge"]),
        video_token_id=config.video_token_id,
        vision_start_id=config.vision_start_token_id,
        vision_end_id=config.vision_end_token_id,
    )
