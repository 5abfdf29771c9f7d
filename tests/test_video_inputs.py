"""Picture sizes, the two guards, and what the model is told about time; with the real processors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from transformers.models.qwen2_vl.video_processing_qwen2_vl import smart_resize

from pipeline.errors import PipelineError
from pipeline.models.qwen_vl import Annotator
from pipeline.models.video_inputs import SampledVideo, model_size_wh, most_frames, step_tokens
from tests.tiny_models import FAMILIES, load_tiny, noise_video

SIZES = [(456, 256), (1920, 1080), (640, 480), (200, 300), (28, 28), (333, 111)]


@pytest.fixture(scope="module")
def annotators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Annotator]]:
    folder = tmp_path_factory.mktemp("models")
    yield {family: load_tiny(folder, family) for family in FAMILIES}


class Faked:
    """A processor whose call goes wrong: `change` edits what goes in, `spoil` what comes out."""

    def __init__(self, real: Any, change: Any = None, spoil: Any = None) -> None:
        self._real, self._change, self._spoil = real, change or (lambda call: call), spoil or (lambda made: made)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __call__(self, **call: Any) -> Any:
        return self._spoil(self._real(**self._change(call)))


def asked(annotator: Annotator, video: SampledVideo, processor: Any = None) -> Any:
    return replace(annotator, processor=processor or annotator.processor).inputs(video, "What do the hands do?")


# Sizes


def test_the_published_sizes(annotators: dict[str, Annotator]) -> None:
    assert annotators["qwen2_5-vl"].size_wh((456, 256)) == (448, 252)
    assert annotators["qwen3-vl"].size_wh((456, 256)) == (448, 256)


@pytest.mark.parametrize("size_wh", [(456, 256), (448, 252), (300, 200), (160, 120), (480, 270)])
def test_sizes_that_need_no_shrinking_are_the_librarys(
    annotators: dict[str, Annotator], size_wh: tuple[int, int]
) -> None:
    height, width = smart_resize(size_wh[1], size_wh[0], 28, 3136, 12_845_056)
    assert annotators["qwen2_5-vl"].size_wh(size_wh) == (width, height)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size_wh", [(1920, 1080), (1080, 1920), (3840, 2160), (1280, 960), (1000, 1000), (1440, 1080)])
def test_large_pictures_keep_their_aspect_and_stay_within_the_tokens(
    annotators: dict[str, Annotator], family: str, size_wh: tuple[int, int]
) -> None:
    annotator = annotators[family]
    width, height = annotator.size_wh(size_wh)
    assert width % annotator.vision.factor == height % annotator.vision.factor == 0
    assert 180 <= step_tokens(annotator.vision, (width, height)) <= annotator.family.step_tokens
    assert width / height == pytest.approx(size_wh[0] / size_wh[1], rel=0.04)


def test_an_elongated_picture_is_refused(annotators: dict[str, Annotator]) -> None:
    with pytest.raises(PipelineError, match="10000x20 cannot be shown"):
        annotators["qwen2_5-vl"].size_wh((10_000, 20))


def test_sizes_are_never_nothing(annotators: dict[str, Annotator]) -> None:
    for family in FAMILIES:
        row, vision = annotators[family].family, annotators[family].vision
        for width in (1, 5, 28, 100, 999, 5000):
            for height in (1, 30, 400, 5000):
                if max(width, height) / min(width, height) < 150:
                    model = model_size_wh(row, vision, (width, height))
                    assert min(model) >= vision.factor
                    assert step_tokens(vision, model) <= 400


def test_frames_that_fit_one_question(annotators: dict[str, Annotator]) -> None:
    old, new = annotators["qwen2_5-vl"], annotators["qwen3-vl"]
    assert most_frames(old.family, old.vision, (448, 252), 28_000) == 332  # 166 pairs of 144: 23,904 tokens
    assert most_frames(old.family, old.vision, (448, 252), 13_000) == 180
    assert most_frames(new.family, new.vision, (448, 256), 1_240) == 20  # 112 and its time text each
    assert most_frames(old.family, old.vision, (448, 252), -5) == 0


# Grids and visual tokens


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("frames", [1, 2, 5, 6])
@pytest.mark.parametrize("size_wh", SIZES)
def test_grid_and_tokens(annotators: dict[str, Annotator], family: str, frames: int, size_wh: tuple[int, int]) -> None:
    annotator = annotators[family]
    inputs = asked(annotator, noise_video(annotator, frames, size_wh=size_wh))
    width, height = annotator.size_wh(size_wh)
    steps, factor = (frames + 1) // 2, annotator.vision.factor
    assert inputs.visual_tokens == steps * (width // factor) * (height // factor)
    assert inputs.grid_thw == (steps, height // annotator.vision.patch, width // annotator.vision.patch)
    assert inputs.tensors["position_ids"].shape == (3, 1, inputs.prompt_tokens)


@pytest.mark.slow
def test_three_minutes_take_12960_tokens(annotators: dict[str, Annotator]) -> None:
    inputs = asked(annotators["qwen2_5-vl"], noise_video(annotators["qwen2_5-vl"], 180))
    assert (inputs.visual_tokens, inputs.grid_thw) == (12_960, (90, 18, 32))
    assert inputs.tensors["pixel_values_videos"].shape == (51_840, 1176)


def test_frames_of_the_wrong_size_are_refused(annotators: dict[str, Annotator]) -> None:
    video = SampledVideo(np.zeros((2, 256, 456, 3), np.uint8), (0.0, 1.0), 1.0)
    with pytest.raises(PipelineError, match="frames are 456x256, expected multiples of 28"):
        asked(annotators["qwen2_5-vl"], video)


@pytest.mark.parametrize(
    ("frames", "times_s", "fps", "problem"),
    [
        (np.zeros((0, 28, 28, 3), np.uint8), (), 1.0, "expected uint8"),
        (np.zeros((1, 28, 28, 3), np.float32), (0.0,), 1.0, "expected uint8"),
        (np.zeros((1, 3, 28, 28), np.uint8), (0.0,), 1.0, "expected uint8"),
        (np.zeros((2, 28, 28, 3), np.uint8), (0.0,), 1.0, "2 frames but 1 times"),
        (np.zeros((2, 28, 28, 3), np.uint8), (1.0, 0.5), 1.0, "do not go up"),
        (np.zeros((1, 28, 28, 3), np.uint8), (-1.0,), 1.0, "do not go up"),
        (np.zeros((1, 28, 28, 3), np.uint8), (0.0,), 0.0, "fps is 0"),
    ],
)
def test_nonsense_is_no_video(frames: Any, times_s: tuple[float, ...], fps: float, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        SampledVideo(frames, times_s, fps)


# Guards


@pytest.mark.parametrize("fps", [0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 29.97])
@pytest.mark.parametrize("frames", [1, 4, 7])
def test_seconds_per_grid_are_right_at_every_rate(annotators: dict[str, Annotator], fps: float, frames: int) -> None:
    annotator = annotators["qwen2_5-vl"]
    inputs = asked(annotator, noise_video(annotator, frames, fps, size_wh=(28, 28)))
    assert float(inputs.tensors["second_per_grid_ts"][0]) == pytest.approx(2 / fps, abs=1e-6)


def without(*names: str) -> Any:
    return lambda call: {name: value for name, value in call.items() if name not in names}


def rate_only(made: Any) -> Any:
    """transformers 4.57 took the seconds from `fps` alone, and 2 frames a second where there was none."""
    made["second_per_grid_ts"] = torch.tensor([1.0])
    return made


@pytest.mark.parametrize(
    ("faked", "got"),
    [
        pytest.param({"change": without("video_metadata")}, r"0\.083", id="5.x without metadata: 24 fps assumed"),
        pytest.param({"change": without("fps"), "spoil": rate_only}, r"\[1\.0\]", id="4.x without fps: 2 fps assumed"),
        pytest.param({"spoil": lambda made: made | {"second_per_grid_ts": None}}, "None", id="not there at all"),
        pytest.param({"spoil": lambda made: made | {"second_per_grid_ts": [float("nan")]}}, "nan", id="no number"),
    ],
)
def test_the_time_guard_fires(annotators: dict[str, Annotator], faked: dict[str, Any], got: str) -> None:
    annotator = annotators["qwen2_5-vl"]
    with pytest.raises(PipelineError, match=rf"seconds per grid step are .*{got}.*expected \[2\.0\]"):
        asked(annotator, noise_video(annotator, 4), Faked(annotator.processor, **faked))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda call: call | {"videos": [call["videos"][0][:2]]}, id="frames lost"),
        pytest.param(
            lambda call: call | {"videos": [torch.nn.functional.pad(call["videos"][0], (0, 224, 0, 224))]},
            id="other size",
        ),
    ],
)
def test_the_grid_guard_fires(annotators: dict[str, Annotator], family: str, change: Any) -> None:
    annotator = annotators[family]
    with pytest.raises(PipelineError, match=r"video grid is \[\[.*expected \[\[2, "):
        asked(annotator, noise_video(annotator, 4), Faked(annotator.processor, change))


def test_the_visual_token_guard_fires(annotators: dict[str, Annotator]) -> None:
    annotator = annotators["qwen2_5-vl"]

    def one_less(made: Any) -> Any:
        ids = made["input_ids"]
        ids[0, int((ids[0] == annotator.vision.video_token_id).nonzero()[0])] = 5
        return made

    with pytest.raises(PipelineError, match="287 visual tokens in the prompt, expected 288"):
        asked(annotator, noise_video(annotator, 4), Faked(annotator.processor, spoil=one_less))


# Time as text


def told(annotator: Annotator, inputs: Any) -> str:
    text = annotator.processor.tokenizer.decode(inputs.tensors["input_ids"][0])
    return re.sub(r"(<\|video_pad\|>)+", "#", text)


def test_time_texts_stand_before_each_pair_and_are_wrapped_once(annotators: dict[str, Annotator]) -> None:
    annotator = annotators["qwen3-vl"]
    text = told(annotator, asked(annotator, noise_video(annotator, 5)))
    pair = "<{} seconds><|vision_start|>#<|vision_end|>"
    assert "user\n" + pair.format(0.5) + pair.format(2.5) + pair.format("4.0") + "What do" in text


def test_the_library_still_wraps_time_texts_twice(annotators: dict[str, Annotator]) -> None:
    """When this fails, transformers has mended it, and `chat_text` need not take the template's tokens out."""
    annotator = annotators["qwen3-vl"]
    rewrap = Faked(
        annotator.processor,
        lambda call: (
            call | {"text": [call["text"][0].replace("<|video_pad|>", "<|vision_start|><|video_pad|><|vision_end|>")]}
        ),
    )
    with pytest.raises(PipelineError, match="4 vision start tokens, expected 3"):
        asked(annotator, noise_video(annotator, 5), rewrap)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(without("video_metadata"), id="24 fps assumed"),
        pytest.param(
            lambda call: call | {"video_metadata": [call["video_metadata"][0] | {"frames_indices": [0, 1, 2, 3]}]},
            id="counted, not timed",
        ),
    ],
)
def test_the_time_text_guard_fires(annotators: dict[str, Annotator], change: Any) -> None:
    annotator = annotators["qwen3-vl"]
    with pytest.raises(PipelineError, match=r"times told to the model are \[.*expected \[0\.5, 2\.5\]"):
        asked(annotator, noise_video(annotator, 4), Faked(annotator.processor, change))


@pytest.mark.parametrize("fps", [0.3, 1.0, 2.0, 3.0, 7.0, 29.97])
def test_time_texts_pass_their_guard_at_every_rate(annotators: dict[str, Annotator], fps: float) -> None:
    annotator = annotators["qwen3-vl"]
    asked(annotator, noise_video(annotator, 41, fps, size_wh=(32, 32)))


# Gaps


def test_a_gap_is_told_as_it_is(annotators: dict[str, Annotator]) -> None:
    times_s = (0.0, 0.97, 7.0, 8.0, 9.0)  # three seconds could not be decoded
    new, old = annotators["qwen3-vl"], annotators["qwen2_5-vl"]
    text = told(new, asked(new, replace(noise_video(new, 5, size_wh=(64, 64)), times_s=times_s)))
    assert re.findall(r"<([\d.]+) seconds>", text) == ["0.5", "7.5", "9.0"]
    inputs = asked(old, replace(noise_video(old, 5, size_wh=(56, 56)), times_s=times_s))
    visual = inputs.tensors["input_ids"][0] == old.vision.video_token_id
    temporal = inputs.tensors["position_ids"][0, 0][visual]
    assert sorted(set((temporal - temporal[0]).tolist())) == [0, 14, 18]


def test_a_prompt_with_a_video_token_is_refused(annotators: dict[str, Annotator]) -> None:
    annotator = annotators["qwen2_5-vl"]
    with pytest.raises(PipelineError, match="2 places for a video"):
        annotator.inputs(noise_video(annotator, 2), "see <|video_pad|> here")


def test_rate_and_metadata_are_both_passed(annotators: dict[str, Annotator]) -> None:
    """transformers 4.57 reads the first, 5 the second; with one alone, one of them goes wrong in silence."""
    annotator, calls = annotators["qwen2_5-vl"], list[dict[str, Any]]()

    def record(call: dict[str, Any]) -> dict[str, Any]:
        calls.append(call)
        return call

    asked(annotator, noise_video(annotator, 4, 2.0), Faked(annotator.processor, record))
    metadata = calls[0]["video_metadata"][0]
    assert calls[0]["fps"] == 2.0
    assert len(metadata["frames_indices"]) / metadata["total_num_frames"] * metadata["fps"] == pytest.approx(2.0)
    assert (calls[0]["do_sample_frames"], calls[0]["do_resize"]) == (False, False)
