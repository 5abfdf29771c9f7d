"""Let an annotator answer one question about a stretch of video: greedy, counted, and with clear ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil  # type: ignore[import-untyped]
import torch
from transformers import LogitsProcessor, LogitsProcessorList
from transformers.generation.streamers import BaseStreamer

from pipeline.errors import PipelineError
from pipeline.models.loading import free_memory, is_out_of_memory
from pipeline.models.qwen_vl import Annotator
from pipeline.models.video_inputs import VideoInputs

TokenCallback = Callable[[int], None]


@dataclass(frozen=True)
class Answer:
    """One generated text.

    Attributes:
        finished: the model ended it by itself; False when it was cut off at `max_new_tokens`.
        prompt_tokens, new_tokens, visual_tokens: counts; the visual ones are part of the prompt.
        seconds: from the start to the last token; `prefill_seconds` of it until the first.
        peak_gpu_bytes: most memory allocated on the GPU meanwhile; None on a CPU.
    """

    text: str
    finished: bool
    prompt_tokens: int
    new_tokens: int
    visual_tokens: int
    seconds: float
    prefill_seconds: float
    peak_gpu_bytes: int | None

    @property
    def tokens_per_second(self) -> float:
        """Rate of decoding after the first token; 0 for a single one."""
        return (self.new_tokens - 1) / max(self.seconds - self.prefill_seconds, 1e-9)


def generate(
    annotator: Annotator,
    inputs: VideoInputs,
    max_new_tokens: int,
    *,
    constraint: LogitsProcessor | None = None,
    on_token: TokenCallback | None = None,
) -> Answer:
    """Let the model answer, greedily: the same inputs give the same text.

    Args:
        max_new_tokens: the answer is cut off there.
        constraint: from `annotator.constraint(schema)`; None for free text. Use a fresh one each time.
        on_token: called after each new token with the number of tokens so far.

    Raises:
        PipelineError: prompt and answer do not fit the context, or the GPU runs out of memory.
    """
    total = inputs.prompt_tokens + max_new_tokens
    if total > annotator.context_tokens:
        raise PipelineError(
            f"{inputs.prompt_tokens} tokens of prompt ({inputs.visual_tokens} visual) and {max_new_tokens} of answer "
            f"do not fit the {annotator.context_tokens} tokens of {annotator.model_id}",
            "lower --fps or --max-new-tokens, or set --window-s",
        )
    device = annotator.model.device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    counter = _Counter(on_token)
    started = time.perf_counter()
    problem: PipelineError | None = None
    try:
        ids = _run(annotator, inputs, max_new_tokens, constraint, counter)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        problem = out_of_memory(inputs, counter.count, max_new_tokens, str(error).splitlines()[0], device)
    if problem:  # out here nothing holds the tensors of the failed call any more
        free_memory()
        raise problem
    seconds = time.perf_counter() - started
    finished = bool(ids) and ids[-1] in annotator.eos_token_ids
    return Answer(
        text=annotator.processor.tokenizer.decode(ids, skip_special_tokens=True),
        finished=finished,
        prompt_tokens=inputs.prompt_tokens,
        new_tokens=len(ids),
        visual_tokens=inputs.visual_tokens,
        seconds=seconds,
        prefill_seconds=counter.first_at - started,
        peak_gpu_bytes=torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
    )


def _run(
    annotator: Annotator,
    inputs: VideoInputs,
    max_new_tokens: int,
    constraint: LogitsProcessor | None,
    counter: _Counter,
) -> list[int]:
    """The new token ids. Only the last position's logits are computed: all would take 4 GB for three minutes."""
    model: Any = annotator.model
    tensors = {name: value.to(annotator.model.device) for name, value in inputs.tensors.items()}
    with torch.inference_mode():
        sequence = model.generate(
            **tensors,
            max_new_tokens=max_new_tokens,
            logits_to_keep=1,
            logits_processor=LogitsProcessorList([constraint] if constraint else []),
            streamer=counter,
        )
    ids: list[int] = sequence[0, inputs.prompt_tokens :].tolist()
    return ids


def out_of_memory(
    inputs: VideoInputs, done: int, max_new_tokens: int, message: str, device: torch.device
) -> PipelineError:
    """What did not fit, and which knob makes it smaller."""
    cuda = device.type == "cuda"
    free = torch.cuda.mem_get_info(device)[0] if cuda else psutil.virtual_memory().available
    when = f"after {done} of {max_new_tokens} tokens" if done > 0 else f"reading {inputs.visual_tokens} visual tokens"
    return PipelineError(
        f"{'the GPU' if cuda else 'this machine'} ran out of memory {when} (prompt {inputs.prompt_tokens} tokens, "
        f"{free / 1e9:.1f} GB free): {message}",
        "lower --fps (fewer frames), set --window-s (shorter stretches), lower --max-new-tokens, or take a smaller "
        "model with MODEL= (Qwen/Qwen2.5-VL-3B-Instruct, or the AWQ build)",
    )


class _Counter(BaseStreamer):
    """Counts tokens as they come; the first call brings the prompt."""

    def __init__(self, on_token: TokenCallback | None) -> None:
        self.count = -1
        self.first_at = time.perf_counter()
        self._on_token = on_token

    def put(self, value: torch.Tensor) -> None:
        """One more token."""
        self.count += 1
        if self.count == 1:
            self.first_at = time.perf_counter()
        if self.count and self._on_token:
            self._on_token(self.count)

    def end(self) -> None:
        """Nothing is held back."""
