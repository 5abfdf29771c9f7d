"""Times as language models write them, and the integer milliseconds in which the timeline is worked out."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

from pipeline.errors import PipelineError

START_KEYS = ("t_start_s", "t_start", "start_s", "start_time_s", "start_time", "start_sec", "start")
END_KEYS = ("t_end_s", "t_end", "end_s", "end_time_s", "end_time", "end_sec", "end")
TIME_KEYS = frozenset(START_KEYS + END_KEYS)

_PLAIN = re.compile(r"([-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))\s*(?:s|sec|secs|seconds?)?", re.IGNORECASE)
_CLOCK = re.compile(r"(?:([0-9]{1,3}):)?([0-9]{1,4}):([0-9]{1,2}(?:\.[0-9]+)?)")
_MAX_LENGTH = 40
_MAX_TIME_S = 1e9


def parse_time(value: object) -> float | None:
    """Seconds out of a number or a text such as `12`, `12.0s`, `12 seconds`, `00:12`, `1:02:03.5`, `<12.0 seconds>`.

    None for anything else: booleans, not-a-number, infinities, absurd magnitudes, clocks with more than 59 seconds.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if abs(value) <= _MAX_TIME_S else None  # NaN compares false
    if not isinstance(value, str) or len(value) > _MAX_LENGTH:
        return None
    text = value.strip()
    if text.startswith("<") and text.endswith(">"):
        text = text[1:-1].strip()
    if match := _PLAIN.fullmatch(text):
        seconds = float(match[1])
    elif match := _CLOCK.fullmatch(text):
        hours, minutes, rest = int(match[1] or 0), int(match[2]), float(match[3])
        if rest >= 60 or (match[1] and minutes >= 60):
            return None
        seconds = hours * 3600 + minutes * 60 + rest
    else:
        return None
    return seconds if abs(seconds) <= _MAX_TIME_S else None


def to_ms(seconds: float) -> int:
    """The nearest whole millisecond."""
    return round(seconds * 1000)


def duration_to_ms(duration_s: float) -> int:
    """Whole milliseconds that fit into the clip, so that no time lies beyond its true end.

    Raises:
        PipelineError: the duration is not at least one millisecond.
    """
    if not (math.isfinite(duration_s) and duration_s >= 0.001):
        raise PipelineError(
            f"the clip lasts {duration_s} s, at least 0.001 s was expected",
            "look at the video with ffprobe; extract it again if it is damaged",
        )
    return math.floor(duration_s * 1000 + 1e-6)  # the last term: 30.03 s is 30029.999… in floating point


def to_seconds(milliseconds: int) -> float:
    """Seconds of whole milliseconds; the nearest float, which prints with at most three decimals."""
    return milliseconds / 1000


def seconds_text(seconds: float) -> str:
    """Seconds as shown to a model or a person: at most three decimals, no trailing zeros."""
    return f"{seconds:.3f}".rstrip("0").rstrip(".")


def first_key(item: Mapping[str, object], keys: Iterable[str]) -> str | None:
    """The first of `keys` that the object has."""
    return next((key for key in keys if key in item), None)
