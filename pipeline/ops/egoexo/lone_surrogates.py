"""Text that JSON may hold and no file or pydantic model can: an escaped half of a surrogate pair (`"\\ud83e"`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from pipeline.ops.egoexo.relations_scan import ScannedTake


def readable(text: str) -> str:
    """The text with each lone surrogate written as its escape; other text as it is."""
    return text.encode(errors="backslashreplace").decode()


def without_lone_surrogates(scanned: ScannedTake, file: str) -> tuple[ScannedTake, list[str]]:
    """A take whose names can be written, and what had to be changed for that, with its place.

    Args:
        file: the relations file, relative to the release.

    Returns:
        The take as it is and no problem; else one with readable names, no objects, and a problem for each such text.
    """
    end_bytes = scanned.offset_bytes + scanned.size_bytes
    place = f"in bytes {scanned.offset_bytes} … {end_bytes} of {file}"
    problems = [
        f"{what} {readable(text)!r} has half a surrogate pair, {place}"
        for what, text in _names(scanned)
        if readable(text) != text
    ]
    if not problems:
        return scanned, []
    content = {
        key: readable(value)
        for key, value in (scanned.content.items() if isinstance(scanned.content, dict) else ())
        if key in ("scenario", "take_name") and isinstance(value, str)
    }
    whole = dataclasses.replace(
        scanned, take_uid=readable(scanned.take_uid), content=content | {"object_masks": dict[str, object]()}
    )
    return whole, problems


def _names(scanned: ScannedTake) -> Iterator[tuple[str, str]]:
    """All text of a take that the index, or a folder, is named by."""
    yield "uid", scanned.take_uid
    if not isinstance(scanned.content, dict):
        return
    for key in ("scenario", "take_name"):
        if isinstance(value := scanned.content.get(key), str):
            yield key, value
    objects = scanned.content.get("object_masks")
    for name, cameras in objects.items() if isinstance(objects, dict) else ():
        yield "object", name
        if isinstance(cameras, dict):
            yield from (("camera", camera) for camera in cameras)
