"""Values out of a model's text, made fit for a file: finite, shallow, encodable as UTF-8."""

from __future__ import annotations

import math

from pydantic import JsonValue

MAX_DEPTH = 6
MAX_STRING = 500
MAX_ITEMS = 50
LARGEST_EXACT_INT = 2**53


def clean_text(text: str) -> str:
    """The text with lone surrogates, which UTF-8 cannot encode, replaced by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def excerpt(value: object, depth: int = MAX_DEPTH) -> JsonValue:
    """A copy that any JSON reader takes and that cannot grow without bound.

    Not-a-number, infinities and integers above 2**53 become strings; long strings, long lists and deep nesting are
    cut, with `…` in their place. The whole text stays in the raw response.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= LARGEST_EXACT_INT else f"an integer of {value.bit_length()} bits"
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return clean_text(value if len(value) <= MAX_STRING else value[:MAX_STRING] + "…")
    if depth == 0:
        return "…"
    if isinstance(value, dict):
        copy = {clean_text(str(key)[:MAX_STRING]): excerpt(value[key], depth - 1) for key in list(value)[:MAX_ITEMS]}
        return copy if len(value) <= MAX_ITEMS else {**copy, "…": len(value) - MAX_ITEMS}
    if isinstance(value, list | tuple):
        items = [excerpt(item, depth - 1) for item in value[:MAX_ITEMS]]
        return items if len(value) <= MAX_ITEMS else [*items, "…"]
    return type(value).__name__
