"""LZString as JavaScript's `compressToEncodedURIComponent` writes it: the form in which Ego-Exo4D stores its masks.

The text is cut into phrases, each the longest that the dictionary has, and each makes a new entry: itself and the
character behind it. Codes go out lowest bit first, six bits a character.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.ops.masks.kernels import CUT_SHORT, FINE, FOREIGN_CHARACTER, UNKNOWN_PHRASE, expand

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-"
_BLANK = "$"  # the original's alphabet has it too, as six zeros, and never writes it
_NEW_CHARACTER, _NEW_WIDE_CHARACTER, _END, _FIRST_ENTRY = range(4)
_CHARACTER_OF = [_ALPHABET[int(f"{bits:06b}"[::-1], 2)] for bits in range(64)]  # of six bits, the first one lowest
_BITS_OF = np.full(256, 255, np.int64)  # 255: not in the alphabet
_BITS_OF[[ord(character) for character in _CHARACTER_OF]] = np.arange(64)
_BITS_OF[ord(_BLANK)] = 0

_REASONS = {
    FOREIGN_CHARACTER: "character outside the LZString alphabet",
    CUT_SHORT: "LZString text without its end",
    UNKNOWN_PHRASE: "LZString text with a code for a phrase not seen yet",
}


class MaskError(ValueError):
    """A text that is not a mask.

    Args:
        reason: what is wrong, in the same words for every mask with this fault.
        detail: the values of this one.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


def expanded(encoded: str) -> NDArray[np.uint16]:
    """What `decompress` gives, as 16-bit units.

    Raises:
        MaskError: as `decompress`.
    """
    if not encoded:
        raise MaskError("empty LZString text")
    # "?" stands for all that is not ASCII: the alphabet lacks it.
    fault, text = expand(np.frombuffer(encoded.encode("ascii", "replace"), np.uint8), _BITS_OF)
    if fault == FINE:
        return text
    detail = f"{len(encoded)} characters"
    if fault == FOREIGN_CHARACTER:
        place = next(place for place, character in enumerate(encoded) if character not in _ALPHABET + _BLANK)
        detail = f"{encoded[place]!r} at {place} of {len(encoded)}"
    raise MaskError(_REASONS[fault], detail)


def decompress(encoded: str) -> str:
    """The text that `compress` was given. What stands behind the end-of-stream code is ignored, as in the original.

    Raises:
        MaskError: nothing there, a character outside the alphabet, no end-of-stream code, a code that means nothing.
    """
    return expanded(encoded).astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")


def compress(text: str) -> str:
    """The text as LZString, byte for byte as the original writes it.

    Raises:
        MaskError: a character above U+FFFF.
    """
    if text and max(text) > "\uffff":
        raise MaskError("character above U+FFFF", repr(max(text)))
    codes = _Codes()
    entries: dict[str, int] = {}
    unwritten: set[str] = set()  # characters that are entries here, but that the reader has not been told yet
    phrase = ""
    for character in text:
        if character not in entries:
            entries[character] = _FIRST_ENTRY + len(entries)
            unwritten.add(character)
        longer = phrase + character
        if longer in entries:
            phrase = longer
            continue
        codes.write_phrase(phrase, entries, unwritten)
        entries[longer] = _FIRST_ENTRY + len(entries)
        phrase = character
    if phrase:
        codes.write_phrase(phrase, entries, unwritten)
    codes.write(_END)
    return codes.finish()


class _Codes:
    """Codes of growing width, packed into characters."""

    def __init__(self) -> None:
        self._characters: list[str] = []
        self._waiting = 0  # bits not yet in a character, the first one lowest
        self._waiting_count = 0
        self._width = 2
        self._room = 2  # entries until codes take one bit more

    def write_phrase(self, phrase: str, entries: dict[str, int], unwritten: set[str]) -> None:
        if phrase in unwritten:
            unwritten.remove(phrase)
            wide = ord(phrase) > 0xFF
            self.write(_NEW_WIDE_CHARACTER if wide else _NEW_CHARACTER)
            self._pack(ord(phrase), 16 if wide else 8)
            self._count_entry()
        else:
            self.write(entries[phrase])
        self._count_entry()

    def write(self, code: int) -> None:
        self._pack(code, self._width)

    def finish(self) -> str:
        """All characters; there is always one more for the bits left, though there be none."""
        return "".join(self._characters) + _CHARACTER_OF[self._waiting]

    def _pack(self, value: int, width: int) -> None:
        self._waiting |= value << self._waiting_count
        self._waiting_count += width
        while self._waiting_count >= 6:
            self._characters.append(_CHARACTER_OF[self._waiting & 63])
            self._waiting >>= 6
            self._waiting_count -= 6

    def _count_entry(self) -> None:
        self._room -= 1
        if self._room == 0:
            self._room = 1 << self._width
            self._width += 1
