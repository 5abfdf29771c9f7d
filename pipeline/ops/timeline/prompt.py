"""Prompts: files with placeholders, filled in for one stretch of a clip."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Literal

from pipeline.errors import PipelineError
from pipeline.ops.timeline.text_times import seconds_text

PLACEHOLDERS = ("duration_s", "frames", "fps", "frame_times", "width", "height", "box_convention", "part")
MAX_BYTES = 100_000
REGULAR_WITHIN_S = 0.05

_PLACEHOLDER = re.compile(r"\{\{(?P<literal>\s*[A-Za-z_]\w*\s*)\}\}|\{\s*(?P<name>[A-Za-z_]\w*)\s*\}")


@dataclass(frozen=True)
class Prompt:
    """A prompt file's text, with line feeds whatever the file has, and the SHA-256 (hex) of that text."""

    text: str
    sha256: str


def load_prompt(path: Path) -> Prompt:
    """Read a prompt file.

    Raises:
        PipelineError: it is missing, unreadable, empty, too large or not UTF-8, or has an unknown placeholder.
    """
    fix = "pass a text file as PROMPT, such as prompts/segments.txt (prompts/README.md says how to write one)"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PipelineError(f"the prompt {path} cannot be read: {error.strerror}", fix) from None
    if len(content) > MAX_BYTES:
        raise PipelineError(f"the prompt {path} has {len(content)} bytes, at most {MAX_BYTES} were expected", fix)
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise PipelineError(f"the prompt {path} is not UTF-8 at byte {error.start}", fix) from None
    if not text.strip():
        raise PipelineError(f"the prompt {path} is empty", fix)
    for match in _PLACEHOLDER.finditer(text):
        if match["name"] and match["name"] not in PLACEHOLDERS:
            raise _unknown(match["name"], PLACEHOLDERS)
    return Prompt(text, text_digest(text))


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put values in place of `{name}`; `{{name}}` becomes `{name}`; every other brace stays.

    Values are put in as they are: a brace in a value is text.

    Raises:
        PipelineError: a placeholder has no value.
    """

    def one(match: re.Match[str]) -> str:
        if match["literal"] is not None:
            return "{" + match["literal"] + "}"
        if match["name"] not in values:
            raise _unknown(match["name"], tuple(values))
        return values[match["name"]]

    return _PLACEHOLDER.sub(one, template)


def text_digest(text: str) -> str:
    """SHA-256 (hex) of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def prompt_values(
    *,
    times_s: Sequence[float],
    duration_s: float,
    fps: float,
    size_wh: tuple[int, int],
    box_convention: Literal["model_px", "per_mille"],
    part: str = "",
) -> dict[str, str]:
    """Values for every placeholder.

    Args:
        times_s: times of the frames shown, seconds from the start of the part shown, in order.
        duration_s: length of the part shown.
        size_wh: the picture as the model sees it, pixels.
        part: what `part_note` says; empty for a whole clip.
    """
    width, height = size_wh
    conventions = {
        "model_px": f"pixels of the {width}x{height} picture, x from 0 to {width}, y from 0 to {height}",
        "per_mille": "thousandths of the picture, x and y from 0 (left, top) to 1000 (right, bottom)",
    }
    return {
        "duration_s": seconds_text(duration_s),
        "frames": str(len(times_s)),
        "fps": f"{fps:g}",
        "frame_times": _times_text(times_s),
        "width": str(width),
        "height": str(height),
        "box_convention": conventions[box_convention],
        "part": part,
    }


def part_note(start_s: float, end_s: float, duration_s: float, last_subtask: str | None = None) -> str:
    """Tells the model that it sees a part of a clip, and what went on just before it, if that is known."""
    note = (
        f"This is the part from {seconds_text(start_s)} to {seconds_text(end_s)} s of a longer video of "
        f"{seconds_text(duration_s)} s; count the times from the start of this part. "
        "An action may already be going on at its start or go on after its end."
    )
    return f'{note} Just before it the hands did this: "{last_subtask}".' if last_subtask else note


def _times_text(times_s: Sequence[float]) -> str:
    """All times; each regular run as its first, second and last, since the rest follows from these."""
    steps_s = [later - earlier for earlier, later in pairwise(times_s)]
    if not steps_s:
        return ", ".join(map(_tenths, times_s))
    usual_s = median(steps_s)
    breaks = [place for place, step_s in enumerate(steps_s, 1) if abs(step_s - usual_s) > REGULAR_WITHIN_S]
    write = seconds_text if min(steps_s) < 0.1 else _tenths
    runs = [times_s[start:end] for start, end in pairwise([0, *breaks, len(times_s)])]
    texts = [
        f"{write(run[0])}, {write(run[1])}, ... {write(run[-1])}" if len(run) > 3 else ", ".join(map(write, run))
        for run in runs
    ]
    is_short = any(len(run) > 3 for run in runs)
    return ", ".join(texts) + (f" (one frame every {seconds_text(round(usual_s, 2))} s)" if is_short else "")


def _tenths(time_s: float) -> str:
    return f"{abs(time_s):.1f}"  # abs: no "-0.0"


def _unknown(name: str, known: Sequence[str]) -> PipelineError:
    near = get_close_matches(name, known, 1)
    return PipelineError(
        f"the prompt has the placeholder {{{name}}}, known are {', '.join(sorted(known))}",
        f"write {{{near[0]}}}" if near else f"remove it, or write {{{{{name}}}}} if the braces are meant literally",
    )
