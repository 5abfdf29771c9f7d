"""The raw response file: every answer of the model about one clip, word for word, and back.

One answer about the whole clip is the bare text. Otherwise each answer stands below a header line such as

    #% answer {"kind": "window", "start_s": 0.0, "end_s": 60.0, "finished": true}

A line of the model's own that could be taken for a header gets a backslash in front, as do lines that already begin
with backslashes and such a mark, so any text survives. Lines end with a line feed; read the file without translating
line ends (`raw.read_bytes().decode()`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field, ValidationError

from pipeline.errors import PipelineError
from pipeline.schema.base import OwnModel
from pipeline.schema.provenance import AnswerKind

MARK = "#% answer "
_TO_ESCAPE = re.compile(r"^(\\*#% answer )", re.MULTILINE)
_ESCAPED = re.compile(r"^\\(\\*#% answer )", re.MULTILINE)
_FIX = "restore the file from a copy, or run annotate again with REDO=annotate"
_TOLERANCE_S = 0.001


@dataclass(frozen=True)
class Answer:
    """One generation about the stretch `[start_s, end_s]` of the clip; times in its text count from `start_s`.

    Attributes:
        text: the model's words, without special tokens.
        finished: the model ended by itself, it was not cut off.
        kind: `whole` clip, a `window` of it, a `continuation` of the answer before, a `retry` of it.
    """

    start_s: float
    end_s: float
    text: str
    finished: bool = True
    kind: AnswerKind = "whole"

    @property
    def span_s(self) -> tuple[float, float]:
        """Start and end in seconds."""
        return (self.start_s, self.end_s)


class _Header(OwnModel):
    kind: AnswerKind
    start_s: float = Field(ge=0)
    end_s: float = Field(gt=0)
    finished: bool


def format_answers(answers: Sequence[Answer], duration_s: float) -> str:
    """The content of `{clip}_raw_response.txt`.

    Bare text exactly when there is one finished answer of kind `whole` over `[0, duration_s]`. Any other list, or an
    answer that was cut off, has headers, so that nothing is lost on the way back.
    """
    if not answers:
        raise ValueError("a raw response needs at least one answer")
    if len(answers) == 1 and answers[0] == Answer(0.0, duration_s, answers[0].text):
        return _escaped(answers[0].text)
    return "".join(f"{_header(answer)}\n{_escaped(answer.text)}\n" for answer in answers)


def parse_answers(content: str, duration_s: float) -> list[Answer]:
    """Back from `format_answers`; a file without headers is one answer about the whole clip.

    Raises:
        PipelineError: a header line is damaged, stands below text without a header, or does not fit the clip.
    """
    lines = content.split("\n")
    if not lines[0].startswith(MARK):
        stray = next((number for number, line in enumerate(lines, 1) if line.startswith(MARK)), None)
        if stray is not None:
            raise PipelineError(f"line {stray} of the raw response is a header, but the first line is none", _FIX)
        return [Answer(0.0, duration_s, _ESCAPED.sub(r"\1", content))]
    starts = [number for number, line in enumerate(lines) if line.startswith(MARK)]
    if lines[-1] == "" and starts[-1] != len(lines) - 1:
        lines.pop()  # what follows the last line feed
    ends = [*starts[1:], len(lines)]
    return [
        _answer(lines[start], start + 1, "\n".join(lines[start + 1 : end]), duration_s)
        for start, end in zip(starts, ends, strict=True)
    ]


def pts_digest(times_s: Sequence[float]) -> str:
    """SHA-256 (hex) of sampled frame times, each as seconds with six decimals on a line of its own."""
    return hashlib.sha256("".join(f"{time_s:.6f}\n" for time_s in times_s).encode()).hexdigest()


def _escaped(text: str) -> str:
    return _TO_ESCAPE.sub(r"\\\1", text)


def _header(answer: Answer) -> str:
    fields = {"kind": answer.kind, "start_s": answer.start_s, "end_s": answer.end_s, "finished": answer.finished}
    return MARK + json.dumps(fields)


def _answer(header_line: str, number: int, text: str, duration_s: float) -> Answer:
    try:
        header = _Header.model_validate_json(header_line.removeprefix(MARK))
    except ValidationError:
        raise PipelineError(
            f"line {number} of the raw response begins like a header but is none: {header_line[:120]!r}", _FIX
        ) from None
    if not header.start_s < header.end_s <= duration_s + _TOLERANCE_S:
        raise PipelineError(
            f"line {number} of the raw response speaks of {header.start_s:g} to {header.end_s:g} s, "
            f"the clip lasts {duration_s:g} s",
            _FIX,
        )
    return Answer(header.start_s, header.end_s, _ESCAPED.sub(r"\1", text), header.finished, header.kind)
