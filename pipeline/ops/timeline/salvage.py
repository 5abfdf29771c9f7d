"""Whole objects out of a model's answer, however it was cut off or dressed up.

The array is read object by object; nothing is closed, completed or guessed, so a cut answer gives a prefix of the
whole one's objects.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.ops.timeline.text_times import TIME_KEYS

State = Literal["complete", "truncated", "none"]

# A JSON error counts the lines before it, so each failed try costs the length of the text: bounded, it stays linear.
MAX_TRIES = 64
MAX_INT_DIGITS = 300

_OPENER = re.compile(r"[\[{]")
_BETWEEN = re.compile(r"[\s,]*")
_WRAPPED_ARRAY = re.compile(r'"segments"\s*:\s*\[')
_END_FENCE = re.compile(r"\s*(?:```\s*)?")


@dataclass(frozen=True)
class Duplicate:
    """A key that stood twice in object number `item` (from 0): the last value was kept, as JSON readers do."""

    item: int
    key: str
    first: object
    kept: object


@dataclass(frozen=True)
class Salvage:
    """What an answer holds.

    Attributes:
        objects: the array's items in order, plain Python values (numbers may be NaN or infinite). Mostly dicts; other
            items that stand between whole objects are passed on, to be counted by who drops them.
        state: `complete`: the array was closed. `truncated`: it began and broke off or broke down. `none`: no array.
        duplicates: keys that stood twice in one object.
        trailing_chars: characters after the closed array that were not used, fences and white space apart.
    """

    objects: tuple[object, ...]
    state: State
    duplicates: tuple[Duplicate, ...] = ()
    trailing_chars: int = 0


def salvage(text: str) -> Salvage:
    """Read every whole object of the first array of segments in a text.

    Accepted around it: prose (also with brackets of its own), code fences, an object with the array under `segments`.
    Instead of an array: one object with times, or several in a row. An array of other objects is taken only when no
    array with times follows and nothing broke down before it, so that a list inside a broken segment is never taken
    for the list of segments. Never raises; takes time proportional to the text.
    """
    return _Reader(text).read()


class _Reader:
    """One pass over one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.duplicates: list[Duplicate] = []
        self.pending: list[tuple[str, object, object]] = []
        self.broke_down = False
        self.failed_at = 0
        self.decoder = json.JSONDecoder(
            strict=False, parse_int=_parse_int, object_pairs_hook=self._object_without_duplicates
        )

    def read(self) -> Salvage:
        fallback: Salvage | None = None
        position, tries = 0, 0
        while (opener := _OPENER.search(self.text, position)) and tries < MAX_TRIES:
            position = opener.start()
            broken_before = self.broke_down
            found: Salvage | None
            if opener[0] == "[":
                after = self._skip(_BETWEEN, position + 1)
                if self.text.startswith("]", after):
                    fallback = fallback or self._closed([], after + 1)
                if not self.text.startswith("{", after):
                    self.broke_down = self.broke_down or after == len(self.text)
                    position += 1
                    continue
                found, position = self._sequence(after)
            else:
                found, position = self._bare(position)
            tries += 1
            if found and any(_has_times(item) for item in found.objects):
                return found
            if found and found.objects and not broken_before and (fallback is None or not fallback.objects):
                fallback = found
        if fallback and (fallback.objects or not self.broke_down):
            return fallback
        return Salvage((), "truncated" if self.broke_down else "none")

    def _sequence(self, position: int) -> tuple[Salvage, int]:
        """Objects from `position` on, up to the closing bracket; also where to go on searching."""
        objects: list[object] = []
        self.duplicates = []
        while True:
            position = self._skip(_BETWEEN, position)
            if self.text.startswith("]", position):
                return self._closed(objects, position + 1), position + 1
            value, end = self._decode(position, len(objects))
            if end is None or not (isinstance(value, dict) or _BETWEEN.fullmatch(self.text, end) is None):
                # The second: a number or word at the very end may be a part of a longer one.
                break
            objects.append(value)
            position = end
        return Salvage(tuple(objects), "truncated", tuple(self.duplicates)), self.failed_at

    def _bare(self, position: int) -> tuple[Salvage | None, int]:
        """An opening brace outside an array: a wrapper, one segment, several in a row, or prose."""
        self.duplicates = []
        value, end = self._decode(position, 0)
        if end is None:
            wrapped = _WRAPPED_ARRAY.search(self.text, position)
            if wrapped and wrapped.end() <= self.failed_at:
                return self._sequence(wrapped.end())
            return None, self.failed_at
        inner = value.get("segments") if isinstance(value, dict) else None
        if isinstance(inner, list) and not _has_times(value):
            wrapped = _WRAPPED_ARRAY.search(self.text, position)
            if self.duplicates and wrapped:
                return self._sequence(wrapped.end())  # once more, to know which item has them
            return self._closed(inner, end), end
        if not _has_times(value) or self.broke_down:  # the second: it may stand in an array that broke down before it
            return None, end
        return self._in_a_row(position)

    def _in_a_row(self, position: int) -> tuple[Salvage, int]:
        """Objects without brackets around them, one after another."""
        objects: list[object] = []
        self.duplicates = []
        end: int | None = position
        while end is not None:
            position = self._skip(_BETWEEN, end)
            if not self.text.startswith("{", position):
                return self._closed(objects, position), position
            value, end = self._decode(position, len(objects))
            if end is not None:
                objects.append(value)
        return Salvage(tuple(objects), "truncated", tuple(self.duplicates)), self.failed_at

    def _decode(self, position: int, item: int) -> tuple[Any, int | None]:
        """One value, and where it ends; None where it breaks down, and `failed_at` says where to go on."""
        self.pending = []
        try:
            value, end = self.decoder.raw_decode(self.text, position)
        except json.JSONDecodeError as error:
            self.broke_down = True
            self.failed_at = max(error.pos, position + 1)
            return None, None
        except RecursionError:
            self.broke_down = True
            self.failed_at = len(self.text)
            return None, None
        self.failed_at = end
        self.duplicates += [Duplicate(item, key, first, kept) for key, first, kept in self.pending]
        return value, end

    def _object_without_duplicates(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        result: dict[str, object] = {}
        for key, value in pairs:
            if key in result:
                self.pending.append((key, result[key], value))
            result[key] = value
        return result

    def _skip(self, pattern: re.Pattern[str], position: int) -> int:
        """Where a pattern that also matches nothing ends."""
        match = pattern.match(self.text, position)
        return match.end() if match else position

    def _closed(self, objects: list[object], end: int) -> Salvage:
        used = self._skip(_END_FENCE, end)
        trailing = len(self.text) - used
        return Salvage(tuple(objects), "complete", tuple(self.duplicates), trailing)


def _parse_int(digits: str) -> int | float:
    """Python refuses to read integers of thousands of digits; those become infinite, which every check refuses."""
    return int(digits) if len(digits) <= MAX_INT_DIGITS else float(digits)


def _has_times(value: object) -> bool:
    return isinstance(value, dict) and not TIME_KEYS.isdisjoint(value)
