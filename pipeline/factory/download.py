"""Fetch one clip and its worker's calibration from the hub: the clip's bytes only, unless all of it is asked for."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.errors import PipelineError
from pipeline.job import Counts, Job
from pipeline.ops.hub.archives import SUFFIXES, cut, find_local, no_such_clip
from pipeline.ops.hub.dataset import COMMIT, Entry, Hub
from pipeline.ops.hub.remote_file import RangeRefused, RemoteFile, partial_name
from pipeline.ops.hub.shelf import Shelf
from pipeline.paths import Paths
from pipeline.schema.archive import ArchiveIndex
from pipeline.schema.base import sweep_partials, write_whole
from pipeline.schema.egocentric import layout_of
from pipeline.schema.intrinsics import Intrinsics


def inputs(paths: Paths, unit: str, knobs: Any) -> dict[str, Path]:
    """None: what it needs lies on the hub."""
    return {}


def products(paths: Paths, unit: str, knobs: Any) -> dict[str, Path]:
    """The clip's two members; calibration, index and whole archive are shared between clips and written apart."""
    return {"video": paths.raw_member(unit, ".mp4"), "info": paths.raw_member(unit, ".json")}


def run(job: Job) -> Counts:
    """Bring the clip's two members and the calibration into data/raw.

    An archive that already lies there is used without network. Else only the members' bytes are fetched; with
    `whole_archive`, or from a server that does not send parts of files, the archive comes whole and stays.

    Raises:
        PipelineError: no token, terms not accepted, unknown worker or clip, network or disk trouble.
    """
    sweep_partials(job.paths.raw_worker(job.unit))
    repo = job.knobs.repo or layout_of(job.unit).repo
    index = find_local(job.paths, job.unit)
    if index and _fits(index, repo, job.knobs.revision):
        source = "archive in data/raw"
        if not job.paths.raw_intrinsics(job.unit).exists():
            _fetch_intrinsics(job, Hub(repo, job.knobs.revision))
    else:
        index, source = _from_hub(job, Hub(repo, job.knobs.revision))
    if source.startswith("archive"):
        _cut_members(job, index)
    sizes = {name: job.products[name].stat().st_size for name in job.products}
    details: dict[str, Any] = {
        "source": source,
        "repo": index.repo or None,
        "revision": index.revision or None,
        "archive": index.path,
    }
    if index.refused:
        job.report(f"{index.path}: {len(index.refused)} members are left out, as its index tells")
        details |= {"members_refused": len(index.refused)}
    return Counts(made={"bytes": sum(sizes.values())}, details=details)


def _fits(index: ArchiveIndex, repo: str, revision: str) -> bool:
    """Whether a local archive may stand for what is asked: its origin is unknown, or the same."""
    return not index.etag or (index.repo == repo and (not COMMIT.fullmatch(revision) or index.revision == revision))


def _from_hub(job: Job, hub: Hub) -> tuple[ArchiveIndex, str]:
    shelf = Shelf(hub, job.paths, layout_of(job.unit).worker_dir(job.unit), job.report, job.progress)
    index = shelf.find(job.unit)
    _fetch_intrinsics(job, hub)
    # The commit of this run, under which the very same bytes are found, goes into the manifest.
    pinned = index.model_copy(update={"revision": hub.commit})
    if shelf.is_here(index):
        return pinned, "archive of this revision in data/raw"
    if not job.knobs.whole_archive:
        try:
            _fetch_members(job, hub, index)
            return pinned, "byte ranges"
        except RangeRefused:
            job.report(f"the server does not send parts of a file: fetching all of {index.path}")
    shelf.fetch_archive(_listed(shelf, index, job.unit))
    return pinned, "archive, fetched whole"


def _listed(shelf: Shelf, index: ArchiveIndex, clip: str) -> Entry:
    """The archive as the hub lists it now, with its SHA-256."""
    for entry in shelf.archives():
        if entry.path == index.path:
            return entry
    raise no_such_clip(clip, [], f"{shelf.folder} of {shelf.hub.repo}")


def _fetch_members(job: Job, hub: Hub, index: ArchiveIndex) -> None:
    wanted = [
        (index.members[f"{job.unit}{suffix}"], name) for suffix, name in zip(SUFFIXES, ("video", "info"), strict=True)
    ]
    archive = RemoteFile(hub, index.path, index.size_bytes)
    job.progress.start(sum(member.size_bytes for member, _ in wanted), job.unit, "B")
    for member, name in wanted:
        partial = job.work / partial_name(name, index.etag, member.offset_bytes)
        archive.fetch(member.offset_bytes, member.offset_bytes + member.size_bytes, partial, job.progress.advance)
        shutil.move(partial, job.products[name])


def _fetch_intrinsics(job: Job, hub: Hub) -> None:
    """The calibration, checked before it is put in place; shared by all clips of the worker."""
    path = f"{layout_of(job.unit).worker_dir(job.unit)}/intrinsics.json"
    try:
        file = RemoteFile(hub, path)
    except FileNotFoundError:
        raise PipelineError(
            f"{hub.repo} has no {path}, so the camera of {job.unit} is unknown",
            f"look at {hub.page}, or choose another worker",
        ) from None
    content = file.read_all()
    try:
        Intrinsics.model_validate_json(content)
    except ValidationError as error:
        where = ", ".join(".".join(map(str, item["loc"])) or "the whole" for item in error.errors()[:5])
        raise PipelineError(
            f"{path} of {hub.repo} is no valid calibration ({where})", "choose another worker"
        ) from None
    write_whole(job.paths.raw_intrinsics(job.unit), content)


def _cut_members(job: Job, index: ArchiveIndex) -> None:
    for suffix, name in zip(SUFFIXES, ("video", "info"), strict=True):
        cut(job.paths.raw(index.path), index, f"{job.unit}{suffix}", job.products[name])
