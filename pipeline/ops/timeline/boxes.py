"""A model's boxes, turned once into pixels of the clip's own picture."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from pipeline.ops.timeline.json_values import excerpt
from pipeline.schema.answers import BoxConvention
from pipeline.schema.segments import Box

MIN_SIDE_PX = 1.0
DECIMALS = 2

_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_NUMBERS_ONLY = re.compile(r"[-+0-9.,;\s()\[\]]*")
_MAX_STRING = 200


@dataclass(frozen=True)
class BoxFix:
    """One change to a box; the rule names start with `bbox_`."""

    rule: str
    before: JsonValue
    after: JsonValue


@dataclass(frozen=True)
class MappedBox:
    """A box in the clip's pixels (None: there is none to use), the model's own numbers, and what was changed."""

    bbox: Box | None
    model_box: Box | None
    fixes: tuple[BoxFix, ...]


@dataclass(frozen=True)
class BoxMapper:
    """From what a model family writes to pixels of the clip's picture.

    Attributes:
        convention: `model_px`: pixels of the picture as resized for the model; `per_mille`: thousandths of the
            picture's sides; `rectified_px`: already the clip's pixels.
        model_size_wh: the picture the model saw, pixels.
        clip_size_wh: the clip's own picture, pixels; boxes come out in its pixels, 0 ≤ x ≤ width.
    """

    convention: BoxConvention
    model_size_wh: tuple[int, int]
    clip_size_wh: tuple[int, int]

    def map(self, raw: object) -> MappedBox:
        """Read, order, convert and clip one box.

        The conversion is the same for every box and no fix; the model's own numbers come back beside the box. Fixes:
        `bbox_parsed` (numbers taken out of a text, nested lists or named corners), `bbox_unreadable`,
        `bbox_wrong_length` (not four numbers), `bbox_not_finite`, `bbox_ordered` (corners swapped), `bbox_clipped`,
        `bbox_degenerate` (a side under one pixel is left). `before` and `after` are the model's numbers but for
        the last two, which are pixels of the clip.
        """
        if raw is None:
            return MappedBox(None, None, ())
        numbers, as_is = _numbers(raw)
        if numbers is None:
            return MappedBox(None, None, (BoxFix("bbox_unreadable", excerpt(raw), None),))
        if len(numbers) != 4:
            return MappedBox(None, None, (BoxFix("bbox_wrong_length", excerpt(raw), None),))
        if not all(math.isfinite(number) for number in numbers):
            return MappedBox(None, None, (BoxFix("bbox_not_finite", excerpt(raw), None),))
        model_box = (numbers[0], numbers[1], numbers[2], numbers[3])
        fixes = [] if as_is else [BoxFix("bbox_parsed", excerpt(raw), list(model_box))]
        x1, y1, x2, y2 = model_box
        ordered = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
        if ordered != model_box:
            fixes.append(BoxFix("bbox_ordered", list(model_box), list(ordered)))
        whole = self._to_clip(ordered)
        width, height = self.clip_size_wh
        clipped = tuple(
            min(max(value, 0.0), float(limit)) for value, limit in zip(whole, (width, height) * 2, strict=True)
        )
        bbox = (clipped[0], clipped[1], clipped[2], clipped[3])
        if bbox != whole:
            fixes.append(BoxFix("bbox_clipped", list(whole), list(bbox)))
        if bbox[2] - bbox[0] < MIN_SIDE_PX or bbox[3] - bbox[1] < MIN_SIDE_PX:
            fixes.append(BoxFix("bbox_degenerate", list(bbox), None))
            return MappedBox(None, model_box, tuple(fixes))
        return MappedBox(bbox, model_box, tuple(fixes))

    def _to_clip(self, box: Box) -> Box:
        """Scale to the clip's pixels, to a hundredth; multiplied before divided, so that edges fall on edges."""
        width, height = self.clip_size_wh
        if self.convention == "rectified_px":
            of_width, of_height = width, height
        else:
            of_width, of_height = (1000, 1000) if self.convention == "per_mille" else self.model_size_wh
        x1, y1, x2, y2 = box
        return (
            round(x1 * width / of_width, DECIMALS),
            round(y1 * height / of_height, DECIMALS),
            round(x2 * width / of_width, DECIMALS),
            round(y2 * height / of_height, DECIMALS),
        )


def nearest_time(times_s: Sequence[float], time_s: float) -> float | None:
    """The one of the sorted times nearest to `time_s`, the earlier of two equally near; None when there is none."""
    if not times_s:
        return None
    right = bisect_left(times_s, time_s)
    around = times_s[max(right - 1, 0) : right + 1]
    return min(around, key=lambda candidate: abs(candidate - time_s))


def _numbers(raw: object) -> tuple[list[float] | None, bool]:
    """The numbers in whatever stands for a box, and whether it was a plain list of them; None: not readable."""
    if isinstance(raw, list | tuple):
        items = list(raw[:9])
        flat: list[object] = []
        for item in items:
            flat.extend(item[:9] if isinstance(item, list | tuple) else [item])
        numbers = [_number(item) for item in flat]
        as_is = all(isinstance(item, int | float) for item in items)
        return None if None in numbers else [number for number in numbers if number is not None], as_is
    if isinstance(raw, dict):
        corners = [_number(raw.get(key)) for key in ("x1", "y1", "x2", "y2")]
        return None if None in corners else [number for number in corners if number is not None], False
    if isinstance(raw, str) and len(raw) <= _MAX_STRING and _NUMBERS_ONLY.fullmatch(raw):
        return [float(match) for match in _NUMBER.findall(raw)], False
    return None, False


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        # An integer of hundreds of digits does not fit a float; both ways out are refused as not finite.
        return float(value) if not isinstance(value, int) or abs(value) < 10**300 else math.inf
    if isinstance(value, str) and len(value) <= 40 and _NUMBER.fullmatch(value.strip()):
        return float(value)
    return None
