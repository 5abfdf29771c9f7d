"""Each relations file parsed once: what it holds is kept beside it, by the digest of its content."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline.egoexo.release import relations_files
from pipeline.errors import PipelineError
from pipeline.job import Progress
from pipeline.ops.egoexo.listed_take import list_take
from pipeline.ops.egoexo.lone_surrogates import without_lone_surrogates
from pipeline.ops.egoexo.relations_scan import ScannedTake, scan_relations
from pipeline.paths import Paths
from pipeline.schema.base import read_model, write_model
from pipeline.schema.egoexo_index import ListedTake, RelationsListing
from pipeline.schema.egoexo_release import Split
from pipeline.schema.manifest import FileDigest


def list_relations(
    paths: Paths,
    release: Path,
    digest_of: Callable[[Path, FileDigest | None], FileDigest],
    say: Callable[[str], None],
    meter: Progress,
) -> dict[Split, RelationsListing]:
    """Split → what its relations file holds, for the files that are there; parses those that changed since.

    Args:
        digest_of: digest of a file, given the one that is known of it, if any.

    Raises:
        PipelineError: a file is damaged, named with the place.
    """
    listings: dict[Split, RelationsListing] = {}
    for split, file in relations_files(release).items():
        place = paths.relations_listing(split)
        known = _known(place)
        digest = digest_of(file, known.source if known else None)
        if known and known.source.sha256 == digest.sha256:
            listings[split] = known
            continue
        say(f"reading {file} ({digest.size_bytes / 1e6:.0f} MB), once")
        meter.start(digest.size_bytes, file.name, "B")
        name = str(file.relative_to(release))
        takes = [_listed(scanned, name) for scanned in scan_relations(file, meter.advance)]
        listings[split] = RelationsListing(source=digest, rules=2, takes=takes)
        write_model(place, listings[split])
    return listings


def _listed(scanned: ScannedTake, file: str) -> ListedTake:
    """What a take holds; one whose names no file can hold is damaged, and must not cost the others."""
    whole, problems = without_lone_surrogates(scanned, file)
    listed = list_take(whole, file)
    return listed.model_copy(update={"problems": [*problems, *listed.problems]}) if problems else listed


def _known(listing_file: Path) -> RelationsListing | None:
    """What an earlier run found; it is only a shortcut, so one of another version, or a damaged one, is made anew."""
    try:
        return read_model(listing_file, RelationsListing, "")
    except PipelineError:
        return None
