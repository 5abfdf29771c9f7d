"""Read a relations file of 2 GB once, take by take, with a few takes in memory at a time.

A window of text moves over the file; the decoder of the standard library parses each take where it stands and tells
where it ends, so that finding a take's bytes and parsing it are one pass.
"""

from __future__ import annotations

import codecs
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.errors import PipelineError

WINDOW_BYTES = 32 << 20
"""Text held at once; grows only for a take that is longer."""
ANNOTATIONS = "annotations"
"""The only key of the document that anybody reads."""
_LONGEST_TOKEN = 12
"""Letters of the longest token that a cut makes invalid: an escaped pair of surrogates."""
_SPACE = " \t\n\r"


@dataclass(frozen=True)
class ScannedTake:
    """One take of a relations file and where its JSON object lies."""

    take_uid: str
    offset_bytes: int
    size_bytes: int
    sha256: str
    """Of the object's bytes, hexadecimal."""
    content: Any
    """The parsed object; whatever JSON value stands there."""


def scan_relations(file: Path, advance: Callable[[float], None] = lambda size_bytes: None) -> Iterator[ScannedTake]:
    """All takes in file order; a uid that stands there twice comes twice.

    Args:
        advance: told the bytes of each take when it was parsed.

    Raises:
        PipelineError: unreadable, not JSON, cut off, or no relations file; damage is named with its byte position.
    """
    try:
        with file.open("rb") as stream:
            yield from _scan(_Reader(stream, file), advance)
    except OSError as error:
        raise PipelineError(
            f"{file} cannot be read: {error.strerror}", "check the disk and the file's rights"
        ) from None


def _scan(reader: _Reader, advance: Callable[[float], None]) -> Iterator[ScannedTake]:
    found = False
    for key in reader.members():
        if key != ANNOTATIONS:
            reader.value()
            continue
        found = True
        for take_uid in reader.members():
            content, offset_bytes, raw = reader.value(f"take {take_uid}")
            yield ScannedTake(take_uid, offset_bytes, len(raw), hashlib.sha256(raw).hexdigest(), content)
            advance(len(raw))
    reader.end()
    if not found:
        raise reader.error(f'it has no key "{ANNOTATIONS}"')


class _Reader:
    """A place in a JSON document that moves ahead; `text` is the part of it around that place."""

    def __init__(self, stream: BinaryIO, file: Path) -> None:
        self._stream, self._file = stream, file
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._json = json.JSONDecoder()
        self._text, self._position = "", 0
        self._offset_bytes = self._read_bytes = 0
        self._is_all = False

    def members(self) -> Iterator[str]:
        """Keys of the object that begins here; the reader stands at each key's value, which must be read."""
        self._take("{")
        if self._peek() == "}":
            self._take("}")
            return
        while True:
            key, _, _ = self.value()
            if not isinstance(key, str):
                raise self.error("a key in double quotes was expected", self._offset_bytes)
            self._take(":")
            yield key
            if self._take(",}") == "}":
                return

    def value(self, what: str = "a value") -> tuple[Any, int, bytes]:
        """The value that begins here, its byte offset in the file and its bytes."""
        self._peek()
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._position)
            except json.JSONDecodeError as error:
                if self._is_all or not self._may_be_cut(error):
                    raise self._damaged(error, what) from None
            except RecursionError:
                raise self.error(f"{what} is nested too deeply", self._offset_bytes) from None
            else:
                if end <= len(self._text) - _LONGEST_TOKEN or self._is_all:  # 1.5e+ at the edge would be read as 1.5
                    offset_bytes = self._offset_bytes
                    return value, offset_bytes, self._move_to(end)
            self._read_more()

    def end(self) -> None:
        """Nothing but blanks may follow."""
        if self._peek():
            raise self.error("something follows the end of the document", self._offset_bytes)

    def error(self, problem: str, offset_bytes: int | None = None) -> PipelineError:
        """What is wrong with the file, and where."""
        place = "" if offset_bytes is None else f" at byte {offset_bytes}"
        return PipelineError(
            f"{self._file} is damaged or no relations file{place}: {problem}",
            "REDO=egoexo-metadata fetches it again; where RELEASE= is given, mend that folder",
        )

    def _may_be_cut(self, error: json.JSONDecodeError) -> bool:
        """Whether the text behind the window may mend this error."""
        return error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - _LONGEST_TOKEN

    def _damaged(self, error: json.JSONDecodeError, what: str) -> PipelineError:
        offset_bytes = self._offset_bytes + len(self._text[self._position : error.pos].encode())
        if error.pos >= len(self._text) or error.msg.startswith("Unterminated string"):
            return self.error(f"the file ends within {what}", offset_bytes)
        return self.error(f"{error.msg} in {what}", offset_bytes)

    def _peek(self) -> str:
        """The next letter that is no blank; empty at the end of the file."""
        while True:
            position = self._position
            while position < len(self._text) and self._text[position] in _SPACE:
                position += 1
            self._move_to(position)
            if position < len(self._text):
                return self._text[position]
            if self._is_all:
                return ""
            self._read_more()

    def _take(self, expected: str) -> str:
        """Read one of these letters."""
        letter = self._peek()
        if not letter:
            raise self.error(f"the file ends where {' or '.join(expected)} was expected", self._offset_bytes)
        if letter not in expected:
            raise self.error(f"{' or '.join(expected)} was expected, not {letter!r}", self._offset_bytes)
        self._move_to(self._position + 1)
        return letter

    def _move_to(self, position: int) -> bytes:
        raw = self._text[self._position : position].encode()
        self._position = position
        self._offset_bytes += len(raw)
        return raw

    def _read_more(self) -> None:
        """Put more text behind the window and drop what was read; twice as much when one value fills it."""
        rest = self._text[self._position :]
        content = self._stream.read(max(WINDOW_BYTES, len(rest)))
        self._read_bytes += len(content)
        self._is_all = not content
        try:
            more = self._utf8.decode(content, final=self._is_all)
        except UnicodeDecodeError as error:
            offset_bytes = self._read_bytes - len(error.object) + error.start
            raise self.error("text that is not UTF-8", offset_bytes) from None
        self._text, self._position = rest + more, 0
