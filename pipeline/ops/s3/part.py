"""One part of the release, sorted by whose files they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.schema.egoexo_release import ManifestEntry, ManifestPath

OWNER = re.compile(r"^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:_.*)?$")
"""Uid of an entry that belongs to a take or a capture; expert_commentary puts a name behind it."""


@dataclass(frozen=True)
class Part:
    """All files of one part."""

    of: dict[str, list[ManifestPath]] = field(default_factory=dict)
    """Take uid or capture uid → its files."""
    shared: list[ManifestPath] = field(default_factory=list)
    """Files of nobody in particular: takes.json, relations_train.json, a feature's settings."""

    @property
    def files(self) -> list[ManifestPath]:
        """All of them."""
        return [*self.shared, *(path for paths in self.of.values() for path in paths)]


def sort_entries(entries: Sequence[ManifestEntry]) -> Part:
    """A part out of its manifest; a uid may stand in it several times."""
    part = Part()
    for entry in entries:
        owner = OWNER.match(entry.uid)
        (part.of.setdefault(owner[1], []) if owner else part.shared).extend(entry.paths)
    return part
