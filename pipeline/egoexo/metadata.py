"""Fetch what says which takes there are and where the objects are in them: 46 MB of metadata, 2 GB of masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipeline.config_egoexo import MetadataKnobs
from pipeline.egoexo.fetching import drop_changed, fetch, recorded_files
from pipeline.egoexo.room import SPARE_BYTES, free_disk_bytes
from pipeline.egoexo.wanted import METADATA_FILES, wanted_of_release
from pipeline.errors import PipelineError
from pipeline.job import Counts, Job
from pipeline.ops.s3.store import open_store
from pipeline.paths import Paths
from pipeline.schema.base import write_model

RECORD = "metadata"


def inputs(paths: Paths, unit: str, knobs: Any) -> dict[str, Path]:
    """None: what it needs lies in the store."""
    return {}


def products(paths: Paths, unit: str, knobs: Any) -> dict[str, Path]:
    """takes.json, captures.json, and the relations files that the release turned out to have."""
    places = recorded_files(paths, RECORD)
    return {name: paths.release() / name for name in METADATA_FILES} | places


def plan(paths: Paths, units: Sequence[str], knobs: MetadataKnobs, report: Callable[[str], None]) -> bool:
    """Say what will be fetched; False for a dry run.

    Raises:
        PipelineError: it does not fit the disk; trouble with keys or network.
    """
    release = paths.release()
    wanted = wanted_of_release(open_store(knobs.s3_profile, knobs.release_version))
    to_fetch_bytes = sum(file.size_bytes for file in wanted.to_fetch(release))
    free_bytes = free_disk_bytes(release)
    report(
        f"plan: {len(wanted.files)} files of {', '.join(wanted.parts)}; {to_fetch_bytes / 1e9:.3g} GB to fetch, "
        f"{free_bytes / 1e9:.3g} GB free on the disk of {release}"
    )
    if to_fetch_bytes and to_fetch_bytes + SPARE_BYTES > free_bytes:
        raise PipelineError(
            f"{to_fetch_bytes / 1e9:.3g} GB and {SPARE_BYTES / 1e9:g} GB spare do not fit: {free_bytes / 1e9:.3g} GB "
            f"are free on the disk of {release}",
            "free some space, or move DATA= to another disk",
        )
    if knobs.dry_run:
        report(
            "  dry run: nothing is fetched. The plan of the takes' videos needs these files first: run egoexo-metadata "
            f"({to_fetch_bytes / 1e9:.2g} GB), then --dry-run again"
        )
    return not knobs.dry_run


def run(job: Job) -> Counts:
    """Bring the metadata into data/egoexo with the real client; what is whole is not fetched again.

    Raises:
        PipelineError: no keys, expired keys, no network, a full disk; a file that the release lists but does not have.
    """
    release, knobs = job.paths.release(), job.knobs
    changed = drop_changed(
        job.paths.manifest("egoexo-metadata", job.unit), products(job.paths, job.unit, knobs).values()
    )
    if changed:
        job.report(f"{', '.join(changed)}: not what was fetched, so fetched again")
    store = open_store(knobs.s3_profile, knobs.release_version)
    wanted = wanted_of_release(store)
    to_fetch_bytes = sum(file.size_bytes for file in wanted.to_fetch(release))
    record = fetch(
        wanted, store, release, RECORD, knobs,
        what="metadata of Ego-Exo4D", stop=job.stop, report=job.report, progress=job.progress,
    )  # fmt: skip
    if record.missing:
        raise PipelineError(
            f"the release is not whole: {'; '.join(f'{name}: {why}' for name, why in record.missing.items())}",
            "run again later; if it stays so, tell the data set's owners (docs.ego-exo4d-data.org)",
        )
    write_model(job.products["record"], record)
    return Counts(
        made={"files": len(record.files), "bytes": record.size_bytes, "bytes_fetched": to_fetch_bytes},
        details={"release": store.place},
    )
