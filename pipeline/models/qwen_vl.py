"""Qwen2.5-VL and Qwen3-VL as annotators: a loaded model with what belongs to it; `generation.generate` asks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from llguidance import LLTokenizer
from transformers import GenerationConfig, PreTrainedModel

from pipeline.errors import PipelineError
from pipeline.models.constrain import SchemaConstraint, grammar_tokenizer
from pipeline.models.families import Family, Vision, family_of, vision_of
from pipeline.models.model_files import find_model
from pipeline.models.video_inputs import SampledVideo, VideoInputs, build_inputs, model_size_wh, most_frames
from pipeline.models.weights import (
    DeviceChoice,
    DtypeChoice,
    check_quantization,
    check_room,
    choose_device,
    choose_dtype,
    load_processor,
    load_weights,
    name_of,
)


@dataclass(frozen=True)
class Annotator:
    """A loaded model and what belongs to it.

    Attributes:
        model_id: as given by the user.
        revision: commit on the hub; None for a local folder.
    """

    model_id: str
    revision: str | None
    family: Family
    vision: Vision
    model: PreTrainedModel
    processor: Any

    @property
    def dtype_name(self) -> str:
        """Number format of the weights, like `bfloat16`."""
        return name_of(self.model.dtype)

    @property
    def context_tokens(self) -> int:
        """Most tokens of prompt and answer together: what the authors trained for, or less if the config says so."""
        return min(self.family.context_tokens, int(self.model.config.get_text_config().max_position_embeddings))

    @property
    def logit_width(self) -> int:
        """Number of logits; models pad it beyond the tokenizer's length."""
        model: Any = self.model
        return int(model.get_output_embeddings().weight.shape[0])

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        """Every token that ends an answer."""
        config = self.model.generation_config
        assert config is not None, "set by load_annotator"
        ids = config.eos_token_id
        return tuple(ids) if isinstance(ids, list) else (int(ids),)

    @cached_property
    def grammar_tokenizer(self) -> LLTokenizer:
        """For constrained decoding; made when first needed (seconds for a large vocabulary), then kept."""
        return grammar_tokenizer(self.processor.tokenizer, self.logit_width, self.eos_token_ids)

    def size_wh(self, size_wh: tuple[int, int]) -> tuple[int, int]:
        """Size to which frames of `size_wh` must be brought for this model."""
        return model_size_wh(self.family, self.vision, size_wh)

    def text_tokens(self, prompt: str) -> int:
        """Tokens of a prompt's text; the chat template adds some twenty more."""
        return len(self.processor.tokenizer(prompt)["input_ids"])

    def most_frames(self, model_size_wh: tuple[int, int], prompt: str, max_new_tokens: int) -> int:
        """How many frames of the model's size fit into one question with this prompt and room for the answer."""
        template_tokens = 256
        left = self.context_tokens - self.text_tokens(prompt) - template_tokens - max_new_tokens
        return most_frames(self.family, self.vision, model_size_wh, left)

    def inputs(self, video: SampledVideo, prompt: str) -> VideoInputs:
        """The checked inputs of one question; see `video_inputs.build_inputs`."""
        return build_inputs(self.processor, self.family, self.vision, video, prompt, self.model_id)

    def constraint(self, schema: dict[str, Any]) -> SchemaConstraint:
        """A fresh constraint for one answer."""
        return SchemaConstraint(self.grammar_tokenizer, schema)


def load_annotator(
    model_id: str,
    revision: str = "main",
    dtype: DtypeChoice = "auto",
    device: DeviceChoice = "auto",
    *,
    token: str | None = None,
    report: Callable[[str], None] | None = None,
) -> Annotator:
    """Load a model by its name on the hub or from a local folder, strictly, for inference with sdpa attention.

    Args:
        dtype: `auto` is bfloat16 on CUDA and float32 on a CPU. An AWQ build always computes in float16.
        token: access token for gated models.
        report: says one line before a download.

    Raises:
        PipelineError: no such model, unknown family, no access, no network, files that do not belong together,
            kernels that this machine lacks, or too little disk or memory.
    """
    files = find_model(model_id, revision, token, report)
    family = family_of(files.config.model_type, model_id)
    place = choose_device(device)
    check_quantization(files, place)
    number_format = choose_dtype(dtype, place, files)
    check_room(files, place, number_format)
    processor = load_processor(files)
    model = load_weights(files, family, place, number_format)
    vision = vision_of(family, model.config, processor, model_id)
    model.generation_config = plain_generation_config(model, processor)
    annotator = Annotator(model_id, files.revision, family, vision, model, processor)
    if annotator.logit_width < len(processor.tokenizer):
        raise PipelineError(
            f"{model_id}: the tokenizer has {len(processor.tokenizer)} tokens, the model only {annotator.logit_width}",
            "take all files of the model from one place",
        )
    return annotator


def plain_generation_config(model: PreTrainedModel, processor: Any) -> GenerationConfig:
    """The model's end and padding tokens, and nothing else of its defaults.

    The published defaults sample, and punish repetition: in JSON, where every key repeats, that bends the answer.
    """
    published = model.generation_config
    eos = getattr(published, "eos_token_id", None) or processor.tokenizer.eos_token_id
    pad = getattr(published, "pad_token_id", None)
    return GenerationConfig(  # type: ignore[no-untyped-call]
        eos_token_id=eos, pad_token_id=processor.tokenizer.pad_token_id if pad is None else pad, do_sample=False
    )
