"""What stands beside a saved raw response, so that it can be parsed again without the model and give the same bytes."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import ConfigDict, Field, JsonValue, model_validator

from pipeline.schema.base import OwnModel
from pipeline.schema.provenance import AnswerKind, Decoding, ModelSource, Sampling
from pipeline.schema.segments import BoxSpace

BoxConvention = Literal["model_px", "per_mille", "rectified_px"]


class AnswerRecord(OwnModel):
    """One generation: what it was shown and what it cost; its text stands in the raw response.

    `sampled_pts_s` are the true times of the frames shown, seconds from the clip's start, in order. `prompt_sha256`
    is the digest of the prompt as filled in for this answer.
    """

    model_config = ConfigDict(strict=True)
    kind: AnswerKind
    start_s: float = Field(ge=0)
    end_s: float = Field(gt=0)
    finished: bool
    prompt_tokens: int | None = Field(default=None, ge=0)
    new_tokens: int | None = Field(default=None, ge=0)
    prompt_sha256: str | None = None
    sampled_pts_s: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.start_s >= self.end_s:
            raise ValueError(f"start_s {self.start_s} is not before end_s {self.end_s}")
        if list(self.sampled_pts_s) != sorted(self.sampled_pts_s):
            raise ValueError("sampled_pts_s is not in order")
        return self


class RawResponse(OwnModel):
    """The content of `{clip}_raw_response.json`.

    Attributes:
        box_convention: what the model's box numbers mean: pixels of the picture it was shown, thousandths of it,
            or already pixels of the space of `boxes`.
        model_size_wh: size of the picture as the model saw it.
        prompt_sha256: digest of the prompt file.
        settings: the knobs of the run that asked, as its manifest has them; null for a response of unknown origin.
        answers: one record for each answer in the raw response, in its order.
    """

    model_config = ConfigDict(strict=True)
    clip: str = Field(min_length=1)
    duration_s: float = Field(gt=0)
    source_sha256: str | None
    boxes: BoxSpace
    box_convention: BoxConvention
    model_size_wh: tuple[int, int]
    sampling: Sampling
    model: ModelSource
    libraries: dict[str, str]
    prompt_sha256: str | None
    decoding: Decoding
    settings: dict[str, JsonValue] | None = None
    answers: tuple[AnswerRecord, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _has_a_picture(self) -> Self:
        if min(self.model_size_wh) < 1:
            raise ValueError(f"model_size_wh {self.model_size_wh} is no picture size")
        return self
