"""Where a clip's annotations came from: footage, sampling, model, prompt, decoding.

Nothing in here varies between two runs on the same input.
"""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field, field_validator

from pipeline.schema.base import OwnModel

AnswerKind = Literal["whole", "window", "continuation", "retry"]


class DecodeGap(OwnModel):
    """A stretch of the clip without usable frames, seconds, and why."""

    model_config = ConfigDict(strict=True)
    t_start_s: float = Field(ge=0)
    t_end_s: float = Field(ge=0)
    reason: str


class Sampling(OwnModel):
    """Which frames the model was shown; `pts_digest` of their true times as in `ops.timeline.answers`."""

    model_config = ConfigDict(strict=True)
    fps: float = Field(gt=0)
    frames: int = Field(ge=0)
    pts_digest: str
    decode_gaps: tuple[DecodeGap, ...]


class ModelSource(OwnModel):
    """Which weights answered; null where it is not known (a response of unknown origin)."""

    model_config = ConfigDict(strict=True)
    id: str
    revision: str | None
    family: str
    dtype: str | None


class Decoding(OwnModel):
    """How the text was generated. `tries` bounds the answers asked for a stretch: the first, a retry, continuations."""

    model_config = ConfigDict(strict=True)
    max_new_tokens: int | None = Field(default=None, ge=1)
    constrained: bool | None = None
    tries: int | None = Field(default=None, ge=1)


class AnswerUse(OwnModel):
    """One answer that went in: the stretch it was shown, whether it came to its own end, what it took in tokens."""

    model_config = ConfigDict(strict=True)
    kind: AnswerKind
    start_s: float = Field(ge=0)
    end_s: float = Field(gt=0)
    finished: bool
    prompt_tokens: int | None = Field(ge=0)
    new_tokens: int | None = Field(ge=0)


class Provenance(OwnModel):
    """All of the above for one clip. `prompt_sha256` is the digest of the prompt file; null where it is not known."""

    model_config = ConfigDict(strict=True)
    source_sha256: str | None
    sampling: Sampling
    model: ModelSource
    libraries: dict[str, str]
    prompt_sha256: str | None
    decoding: Decoding
    answers: tuple[AnswerUse, ...]

    @field_validator("libraries")
    @classmethod
    def _in_a_fixed_order(cls, value: dict[str, str]) -> dict[str, str]:
        return dict(sorted(value.items()))
