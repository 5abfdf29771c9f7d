"""What a release holds: takes, recording sessions and annotations, each found by the take's uid."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline.egoexo.listing import list_relations
from pipeline.egoexo.release import captures_file, read_captures, read_takes
from pipeline.job import Progress
from pipeline.paths import Paths
from pipeline.schema.egoexo_index import ListedTake, RelationsListing
from pipeline.schema.egoexo_release import Capture, Split, Take
from pipeline.schema.manifest import FileDigest


@dataclass(frozen=True)
class Catalog:
    """A release's metadata. Lists under a uid are longer than one where the release repeats it.

    Attributes:
        takes: uid → what takes.json says.
        captures: capture uid → cameras; without captures.json empty.
        listings: split → its relations file.
        annotated: uid → (split of the file, numbers and place), in file order.
    """

    takes: dict[str, list[Take]]
    captures: dict[str, Capture]
    listings: dict[Split, RelationsListing]
    annotated: dict[str, list[tuple[Split, ListedTake]]]

    def name_of(self, take_uid: str) -> str:
        """The take's name, as far as anything says it."""
        if take_uid in self.takes:
            return self.takes[take_uid][0].take_name
        return next((listed.take_name for _, listed in self.annotated.get(take_uid, ())), "")


def read_catalog(
    paths: Paths,
    release: Path,
    digest_of: Callable[[Path, FileDigest | None], FileDigest],
    say: Callable[[str], None],
    meter: Progress,
) -> Catalog:
    """Read all metadata of a release; relations files only where they changed since they were parsed.

    Raises:
        PipelineError: a file is damaged, or takes.json is missing.
    """
    takes = _grouped(read_takes(release))
    has_captures = captures_file(release).is_file()
    if not has_captures:
        say(f"{captures_file(release)} is not there: takes.json tells ego from exo cameras, else their names do")
    captures = {capture.capture_uid: capture for capture in read_captures(release)} if has_captures else {}
    listings = list_relations(paths, release, digest_of, say, meter)
    annotated: dict[str, list[tuple[Split, ListedTake]]] = {}
    for split, listing in listings.items():
        for listed in listing.takes:
            annotated.setdefault(listed.take_uid, []).append((split, listed))
    return Catalog(takes, captures, listings, annotated)


def _grouped(takes: Iterable[Take]) -> dict[str, list[Take]]:
    found: dict[str, list[Take]] = {}
    for take in takes:
        found.setdefault(take.take_uid, []).append(take)
    return found
