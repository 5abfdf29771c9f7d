"""Loading an annotator and letting it answer: real transformers classes with tiny weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from transformers import GenerationConfig

from pipeline.errors import PipelineError
from pipeline.models.generation import Answer, generate
from pipeline.models.loading import lend
from pipeline.models.qwen_vl import Annotator, load_annotator
from pipeline.models.tiny import write_tiny_model
from pipeline.models.video_inputs import VideoInputs
from pipeline.schema.segment_schema import box_limits, segment_schema
from tests.tiny_models import FAMILIES, load_tiny, noise_video


@pytest.fixture(scope="module")
def annotators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Annotator]]:
    folder = tmp_path_factory.mktemp("models")
    yield {family: load_tiny(folder, family) for family in FAMILIES}


def question(annotator: Annotator, frames: int = 5, fps: float = 1.0, seed: int = 0) -> VideoInputs:
    video = noise_video(annotator, frames, fps, size_wh=(112, 96), seed=seed)
    return annotator.inputs(video, "What do the hands do?")


def library_positions(annotator: Annotator, inputs: VideoInputs) -> torch.Tensor:
    """(3, 1, L) as the installed transformers computes them."""
    network: Any = annotator.model
    names = ("input_ids", "mm_token_type_ids", "video_grid_thw", "second_per_grid_ts", "attention_mask")
    given = {name: inputs.tensors[name] for name in names if name in inputs.tensors}
    positions: torch.Tensor = network.model.get_rope_index(**given)[0]
    return positions


# Positions


@pytest.mark.parametrize("fps", [0.5, 1.0, 2.0, 4.0])
def test_positions_are_the_librarys_up_to_the_end_of_the_video(annotators: dict[str, Annotator], fps: float) -> None:
    annotator = annotators["qwen2_5-vl"]
    inputs = question(annotator, 9, fps)
    visual = (inputs.tensors["input_ids"][0] == annotator.vision.video_token_id).nonzero()[:, 0]
    end = int(visual[-1]) + 1
    ours, theirs = inputs.tensors["position_ids"], library_positions(annotator, inputs)
    assert torch.equal(ours[..., :end], theirs[..., :end])
    assert ours[:, 0, end].tolist() == [int(ours[..., :end].max()) + 1] * 3


def test_the_library_still_lets_text_overlap_the_video(annotators: dict[str, Annotator]) -> None:
    """When this fails, transformers has mended it, and positions need not be passed to `generate` any more."""
    annotator = annotators["qwen2_5-vl"]
    inputs = question(annotator, 40)
    visual = inputs.tensors["input_ids"][0] == annotator.vision.video_token_id
    theirs = library_positions(annotator, inputs)[:, 0]
    assert int(theirs[0, -1]) < int(theirs[0][visual].max())


def test_positions_of_the_newer_family_are_the_librarys(annotators: dict[str, Annotator]) -> None:
    inputs = question(annotators["qwen3-vl"], 9)
    assert torch.equal(inputs.tensors["position_ids"], library_positions(annotators["qwen3-vl"], inputs))


@pytest.mark.parametrize("family", FAMILIES)
def test_prefill_and_decoding_use_our_positions(annotators: dict[str, Annotator], family: str) -> None:
    annotator = annotators[family]
    inputs = question(annotator)
    seen: list[torch.Tensor] = []
    network: Any = annotator.model
    hook = network.model.language_model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["position_ids"].clone()), with_kwargs=True
    )
    try:
        generate(annotator, inputs, 4, constraint=annotator.constraint(segment_schema(5.0, (112, 84))))
    finally:
        hook.remove()
    ours = inputs.tensors["position_ids"]
    assert torch.equal(seen[0], ours)
    last = int(ours.max())
    assert [step.flatten().tolist() for step in seen[1:]] == [[last + number] * 3 for number in (1, 2, 3)]


@pytest.mark.parametrize("family", FAMILIES)
def test_generation_equals_a_slow_loop_without_a_cache(annotators: dict[str, Annotator], family: str) -> None:
    annotator, steps = annotators[family], 12
    inputs = question(annotator)
    network: Any = annotator.model
    tensors = dict(inputs.tensors)
    ids, positions = tensors.pop("input_ids"), tensors.pop("position_ids")
    tensors.pop("attention_mask"), tensors.pop("mm_token_type_ids")
    for _ in range(steps):
        with torch.inference_mode():
            logits = network(input_ids=ids, position_ids=positions, use_cache=False, **tensors).logits[0, -1]
        ids = torch.cat([ids, logits.argmax().view(1, 1)], dim=1)
        positions = torch.cat([positions, (positions.max() + 1).expand(3, 1, 1)], dim=2)
    tokenizer = annotator.processor.tokenizer
    slow = tokenizer.decode(ids[0, inputs.prompt_tokens :], skip_special_tokens=True)
    assert generate(annotator, inputs, steps).text == slow


def test_positions_change_the_answer(annotators: dict[str, Annotator]) -> None:
    """The tiny model does look at time: the same frames at other times read differently."""
    annotator = annotators["qwen2_5-vl"]
    schema = segment_schema(60.0, (112, 84), max_segments=4)
    texts = {
        generate(annotator, question(annotator, 9, fps), 120, constraint=annotator.constraint(schema)).text
        for fps in (0.5, 1, 2)
    }
    assert len(texts) > 1


def test_only_the_last_positions_logits_are_computed(annotators: dict[str, Annotator]) -> None:
    annotator = annotators["qwen2_5-vl"]
    lengths: list[int] = []
    network: Any = annotator.model
    hook = network.lm_head.register_forward_hook(lambda module, args, output: lengths.append(output.shape[1]))
    try:
        generate(annotator, question(annotator), 3, constraint=annotator.constraint(segment_schema(5.0, (112, 84))))
    finally:
        hook.remove()
    assert lengths == [1, 1, 1]


# Answers


@pytest.mark.parametrize("family", FAMILIES)
def test_an_answer_under_the_schema(annotators: dict[str, Annotator], family: str) -> None:
    annotator = annotators[family]
    limits = box_limits(annotator.family.box_convention, annotator.size_wh((456, 256)))
    schema = segment_schema(30.0, limits, max_segments=2, max_objects=2, name_chars=20, text_chars=30)
    inputs = annotator.inputs(noise_video(annotator, 30), "What do the hands do?")
    counts: list[int] = []
    answer = generate(annotator, inputs, 1500, constraint=annotator.constraint(schema), on_token=counts.append)
    assert answer.finished
    jsonschema.validate(json.loads(answer.text), schema)
    assert counts == list(range(1, answer.new_tokens + 1))
    assert answer.visual_tokens == inputs.visual_tokens < answer.prompt_tokens == inputs.prompt_tokens
    assert 0 < answer.prefill_seconds < answer.seconds < 60
    assert answer.tokens_per_second > 0
    assert answer.peak_gpu_bytes is None
    again = generate(annotator, inputs, 1500, constraint=annotator.constraint(schema))
    assert again.text == answer.text


def test_an_answer_that_is_cut_off(annotators: dict[str, Annotator]) -> None:
    annotator = annotators["qwen2_5-vl"]
    inputs, schema = question(annotator), segment_schema(5.0, (112, 84))
    whole = generate(annotator, inputs, 60, constraint=annotator.constraint(schema))
    cut = generate(annotator, inputs, 20, constraint=annotator.constraint(schema))
    assert (cut.finished, cut.new_tokens) == (False, 20)
    assert whole.text.startswith(cut.text)
    assert cut.text.startswith("[")


def test_the_models_own_sampling_defaults_do_not_count(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path)
    plain = load_annotator(str(folder), device="cpu")
    before = generate(plain, question(plain), 60).text
    settings: Any = GenerationConfig
    settings(do_sample=True, temperature=2.0, repetition_penalty=3.0, eos_token_id=[512, 513]).save_pretrained(folder)
    bent = load_annotator(str(folder), device="cpu")
    assert bent.eos_token_ids == (512, 513)
    assert generate(bent, question(bent), 60).text == before


def test_a_prompt_that_does_not_fit_is_refused_before_anything_runs(annotators: dict[str, Annotator]) -> None:
    annotator = annotators["qwen2_5-vl"]
    inputs = question(annotator)
    with pytest.raises(
        PipelineError, match=rf"{inputs.prompt_tokens} tokens of prompt .*32768 of answer do not fit the 32768"
    ):
        generate(annotator, inputs, 32_768)
    generate(annotator, inputs, 1)


def test_out_of_memory_says_what_to_lower(annotators: dict[str, Annotator], monkeypatch: pytest.MonkeyPatch) -> None:
    annotator = annotators["qwen2_5-vl"]

    def fail(**_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 4.00 GiB.\nmore lines")

    monkeypatch.setattr(annotator.model, "generate", fail)
    with pytest.raises(PipelineError, match=r"ran out of memory reading 36 visual.*4\.00 GiB") as caught:
        generate(annotator, question(annotator), 10)
    for knob in ("--fps", "--window-s", "--max-new-tokens", "MODEL="):
        assert knob in caught.value.fix


def test_rate_of_a_single_token() -> None:
    assert Answer("[", False, 1, 1, 0, 1.0, 1.0, None).tokens_per_second == 0


def test_most_frames_leaves_room_for_prompt_and_answer(annotators: dict[str, Annotator]) -> None:
    annotator, prompt = annotators["qwen2_5-vl"], "What do the hands do? " * 50
    frames = annotator.most_frames((448, 252), prompt, 15_000)
    assert 100 < frames < 332
    visual = frames // 2 * 144
    assert visual + annotator.text_tokens(prompt) + 15_000 <= annotator.context_tokens


def test_a_lent_annotator_gives_its_weights_back(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path)
    with lend("tiny", lambda: load_annotator(str(folder), device="cpu")) as annotator:
        pass
    assert all(weight.device.type == "meta" for weight in annotator.model.parameters())


# Number formats


def test_number_formats_on_a_cpu(tmp_path: Path) -> None:
    folder = str(write_tiny_model(tmp_path))
    assert load_annotator(folder, device="cpu").dtype_name == "float32"
    half = load_annotator(folder, dtype="bfloat16", device="cpu")
    assert half.dtype_name == "bfloat16"
    network: Any = half.model
    assert network.config._attn_implementation == "sdpa"
    assert generate(half, question(half), 5, constraint=half.constraint(segment_schema(5.0, (112, 84)))).new_tokens == 5


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="torch sees no CUDA device"):
        load_annotator(str(write_tiny_model(tmp_path)), device="cuda")
