"""From rectified frames to a model's inputs: picture size, processor call, time and grid guards, rotary positions.

Two guards compare what the processor made with what was sampled: the token grid, and the seconds per grid step or the
time texts. Each has been wrong in silence in some release of transformers, so they are never skipped.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from qwen_vl_utils.vision_process import smart_resize  # type: ignore[import-untyped]

from pipeline.errors import PipelineError
from pipeline.models.families import Family, Vision
from pipeline.ops.model.mrope import Positions, prompt_positions
from pipeline.ops.model.sampled_time import (
    TICKS_PER_STEP,
    clock_ticks,
    grid_middles_s,
    grid_times_s,
    model_times_s,
    temporal_positions,
)

TIME_TEXT = re.compile(r"<(\d+(?:\.\d+)?) seconds>")
GUARD_FIX = "this release of transformers does not do what was tested: install the pinned requirements.txt again"


@dataclass(frozen=True)
class SampledVideo:
    """Frames as the model shall see them.

    Attributes:
        frames: (T, H, W, 3) uint8 RGB, T ≥ 1, H and W as `model_size_wh` gives them.
        times_s: true time of each frame, seconds from the start of what the model is shown, never going back (a
            frame that was sampled twice has the same time twice). A gap in decoding stays visible here: the model is
            told the times as they are.
        fps: the rate at which it was sampled, frames per second.
    """

    frames: NDArray[np.uint8]
    times_s: tuple[float, ...]
    fps: float

    def __post_init__(self) -> None:
        count = len(self.frames)
        if self.frames.ndim != 4 or self.frames.shape[-1] != 3 or self.frames.dtype != np.uint8 or count == 0:
            raise ValueError(f"frames are {self.frames.dtype} {self.frames.shape}, expected uint8 (T ≥ 1, H, W, 3)")
        if len(self.times_s) != count:
            raise ValueError(f"{count} frames but {len(self.times_s)} times")
        if self.times_s[0] < 0 or list(self.times_s) != sorted(self.times_s):
            raise ValueError(f"times_s do not go up from 0 or later: {self.times_s}")
        if not self.fps > 0:
            raise ValueError(f"fps is {self.fps}")


@dataclass(frozen=True)
class VideoInputs:
    """What `generate` takes. `tensors` has the processor's tensors and `position_ids` (3, 1, L)."""

    tensors: Mapping[str, torch.Tensor]
    prompt_tokens: int
    visual_tokens: int
    grid_thw: tuple[int, int, int]


def model_size_wh(family: Family, vision: Vision, size_wh: tuple[int, int]) -> tuple[int, int]:
    """Picture size at which a model sees a video: multiples of the factor, aspect ratio kept as nearly as they allow.

    456×256 becomes 448×252 with factor 28, 448×256 with factor 32. Pictures that would take more than
    `family.step_tokens` are shrunk. The size does not depend on the number of frames, so that all windows of a clip
    share one box space.

    Args:
        size_wh: of the frames before, pixels.

    Raises:
        PipelineError: the picture is too elongated.
    """
    width, height = size_wh
    least = vision.factor**2 if family.limits_whole_video else vision.pixel_limits[0]
    most = family.step_tokens * vision.factor**2
    if width * height > most:
        # smart_resize rounds both sides down when it shrinks, which bends the aspect ratio of so few rows by up to
        # 7 %. So the height is brought to whole rows first, and smart_resize left to round.
        rows = max(1, math.isqrt(family.step_tokens * height // width))
        rows -= round(rows * width / height) * rows > family.step_tokens
        width, height = max(1, round(rows * vision.factor * width / height)), max(1, rows) * vision.factor
    try:
        model_height, model_width = smart_resize(height, width, vision.factor, min(least, most), most)
    except ValueError as error:
        raise PipelineError(f"a picture of {size_wh[0]}x{size_wh[1]} cannot be shown: {error}", "crop it") from None
    return model_width, model_height


def step_tokens(vision: Vision, size_wh: tuple[int, int]) -> int:
    """Visual tokens of one grid step for pictures of this model size: 144 at 448×252 and factor 28."""
    return (size_wh[0] // vision.factor) * (size_wh[1] // vision.factor)


def most_frames(family: Family, vision: Vision, size_wh: tuple[int, int], tokens_left: int) -> int:
    """How many frames of this model size one question can hold.

    Args:
        tokens_left: the context less the text of the prompt and the tokens of the answer.
    """
    each = step_tokens(vision, size_wh)
    steps = min(family.video_tokens // each, tokens_left // (each + family.step_text_tokens))
    return max(0, steps) * vision.temporal_patch


def build_inputs(
    processor: Any, family: Family, vision: Vision, video: SampledVideo, prompt: str, model_id: str
) -> VideoInputs:
    """Ask one question about one video: video part first, then the text.

    Raises:
        PipelineError: the processor made another grid, other times or another number of visual tokens than was
            sampled, with both values; or the frames are not of a size that fits the model.
    """
    count, height, width, _ = video.frames.shape
    if height % vision.factor or width % vision.factor:
        raise PipelineError(
            f"frames are {width}x{height}, expected multiples of {vision.factor}", "resize them to model_size_wh()"
        )
    times_s = model_times_s(video.times_s, video.fps)
    inputs = call_processor(processor, video, times_s, chat_text(processor, family, prompt))
    grid = check_grid(inputs, vision, count, (height, width), model_id)
    if family.time_mode == "seconds_per_grid":
        check_seconds_per_grid(inputs, vision.temporal_patch / video.fps, model_id)
    else:
        check_time_texts(inputs, processor, vision, grid_middles_s(times_s, vision.temporal_patch), model_id)
    visual_tokens = check_visual_tokens(inputs, vision, grid, model_id)
    tensors = {name: value for name, value in inputs.items() if isinstance(value, torch.Tensor)}
    tensors["position_ids"] = torch.from_numpy(rotary_positions(inputs, family, vision, grid, times_s))[:, None]
    return VideoInputs(tensors, tensors["input_ids"].shape[1], visual_tokens, grid)


def chat_text(processor: Any, family: Family, prompt: str) -> str:
    """The chat template's text for one user turn with one video part and the prompt, up to where the answer begins.

    Raises:
        PipelineError: the template does not place exactly one video.
    """
    turn = {"role": "user", "content": [{"type": "video"}, {"type": "text", "text": prompt}]}
    text: str = processor.apply_chat_template([turn], tokenize=False, add_generation_prompt=True)
    wrapped = f"<|vision_start|>{processor.video_token}<|vision_end|>"
    if text.count(processor.video_token) != 1 or wrapped not in text:
        raise PipelineError(
            f"the prompt holds {text.count(processor.video_token)} places for a video, expected 1 like {wrapped}",
            f"take {processor.video_token} out of the prompt, or check the model's chat template",
        )
    if family.time_mode == "textual":
        # transformers 5.23 puts start and end around every pair of frames and leaves those of the template standing
        # around all of them, which the model never saw in training.
        text = text.replace(wrapped, processor.video_token)
    return text


def call_processor(processor: Any, video: SampledVideo, times_s: list[float], text: str) -> Mapping[str, Any]:
    """The one call that gives right times on transformers 4.57 and 5: `fps` and `video_metadata` both.

    The metadata's clock ticks TICKS_PER_STEP times a sampling step, so that its seconds per grid step come out exact
    for any rate, and frame times are told as they are, not counted from a nominal frame rate.
    """
    count = len(video.frames)
    metadata = {
        "total_num_frames": count * TICKS_PER_STEP,
        "fps": video.fps * TICKS_PER_STEP,
        "frames_indices": clock_ticks(times_s, video.fps),
        "duration": count / video.fps,
    }
    frames = torch.from_numpy(np.ascontiguousarray(video.frames)).permute(0, 3, 1, 2)
    made: Mapping[str, Any] = processor(
        text=[text],
        videos=[frames],
        return_tensors="pt",
        do_sample_frames=False,
        do_resize=False,
        fps=video.fps,
        video_metadata=[metadata],
    )
    return made


def check_grid(
    inputs: Mapping[str, Any], vision: Vision, frames: int, size_hw: tuple[int, int], model_id: str
) -> tuple[int, int, int]:
    """First guard: the grid is [ceil(frames / temporal patch), height / patch, width / patch]."""
    expected = (-(-frames // vision.temporal_patch), size_hw[0] // vision.patch, size_hw[1] // vision.patch)
    got = np.asarray(inputs["video_grid_thw"]).tolist()
    if got != [list(expected)]:
        raise PipelineError(f"{model_id}: video grid is {got}, expected {[list(expected)]}", GUARD_FIX)
    return expected


def check_seconds_per_grid(inputs: Mapping[str, Any], expected: float, model_id: str) -> None:
    """Second guard where time is a rotary position: temporal patch / sampling rate."""
    values = inputs.get("second_per_grid_ts")
    got = None if values is None else [float(value) for value in values]
    if got is None or len(got) != 1 or not abs(got[0] - expected) < 1e-6:
        raise PipelineError(f"{model_id}: seconds per grid step are {got}, expected {[expected]}", GUARD_FIX)


def check_time_texts(
    inputs: Mapping[str, Any], processor: Any, vision: Vision, expected_s: list[float], model_id: str
) -> None:
    """Second guard where time is text: each grid step is preceded by its time, and wrapped once."""
    ids = np.asarray(inputs["input_ids"])[0]
    visual = np.flatnonzero(ids == vision.video_token_id)
    text = processor.tokenizer.decode(ids[: visual[-1]][ids[: visual[-1]] != vision.video_token_id])
    got = [float(time) for time in TIME_TEXT.findall(text)]
    # One decimal is shown, so a time may be off by half of it, and by the clock's tick.
    if len(got) != len(expected_s) or np.abs(np.subtract(got, expected_s)).max() > 0.0511:
        raise PipelineError(f"{model_id}: times told to the model are {got}, expected {expected_s}", GUARD_FIX)
    for name, token in (("start", vision.vision_start_id), ("end", vision.vision_end_id)):
        if (count := int((ids == token).sum())) != len(expected_s):
            raise PipelineError(f"{model_id}: {count} vision {name} tokens, expected {len(expected_s)}", GUARD_FIX)


def check_visual_tokens(
    inputs: Mapping[str, Any], vision: Vision, grid_thw: tuple[int, int, int], model_id: str
) -> int:
    """The prompt has one placeholder for each merged patch."""
    expected = grid_thw[0] * grid_thw[1] * grid_thw[2] // vision.merge**2
    got = int((np.asarray(inputs["input_ids"]) == vision.video_token_id).sum())
    if got != expected:
        raise PipelineError(f"{model_id}: {got} visual tokens in the prompt, expected {expected}", GUARD_FIX)
    return expected


def rotary_positions(
    inputs: Mapping[str, Any], family: Family, vision: Vision, grid_thw: tuple[int, int, int], times_s: list[float]
) -> Positions:
    """(3, L) int64, see ops/model/mrope.py. With textual time every grid step is a picture of its own between texts."""
    rows, columns = grid_thw[1] // vision.merge, grid_thw[2] // vision.merge
    is_video = np.asarray(inputs["input_ids"])[0] == vision.video_token_id
    if family.time_mode == "textual":
        return prompt_positions(is_video, [([0], rows, columns)] * grid_thw[0])
    assert vision.tokens_per_second is not None, "a family with seconds per grid has tokens per second"
    times = temporal_positions(grid_times_s(times_s, vision.temporal_patch), vision.tokens_per_second)
    return prompt_positions(is_video, [(times, rows, columns)])
