"""Put one clip and its facts into data/clips, from the members fetched alone or from a whole archive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.job import Counts, Job
from pipeline.ops.files import link_or_copy
from pipeline.ops.hub.archives import SUFFIXES, clips_in, cut, find_local, index_local, local_archives, no_such_clip
from pipeline.paths import Paths
from pipeline.schema.base import read_model
from pipeline.schema.egocentric import ClipInfo, layout_of


def inputs(paths: Paths, unit: str, knobs: Any) -> dict[str, Path]:
    """The two members fetched by `download`; without them the whole archives in data/raw."""
    members = {"video": paths.raw_member(unit, ".mp4"), "info": paths.raw_member(unit, ".json")}
    if not all(path.exists() for path in members.values()):
        archives = local_archives(paths, unit)
        if archives:
            return {path.name: path for path in archives}
    return members


def products(paths: Paths, unit: str, knobs: Any) -> dict[str, Path]:
    """Video and facts of the clip."""
    return {"video": paths.clip_video(unit), "info": paths.clip_info(unit)}


def run(job: Job) -> Counts:
    """Link or copy the clip's two members into data/clips.

    The archive is kept. With `remove_archive` it is deleted after both files are in place, and only if it came from the
    hub, where it can be had again.

    Raises:
        PipelineError: the clip is not in data/raw; an empty video; facts that are no valid JSON of a clip.
    """
    members = {
        name: job.paths.raw_member(job.unit, suffix) for name, suffix in zip(("video", "info"), SUFFIXES, strict=True)
    }
    if all(path.exists() for path in members.values()):
        for name, path in members.items():
            link_or_copy(path, job.products[name])
        source = "fetched members"
    else:
        source = _cut_from_archive(job)
    info = read_model(
        job.products["info"], ClipInfo, "REDO=download fetches it again; if it stays so, choose another clip"
    )
    size = job.products["video"].stat().st_size
    if not size:
        raise PipelineError(f"the video of {job.unit} is empty", "REDO=download fetches it again")
    if size != info.size_bytes:
        job.report(f"{job.unit}: its facts say {info.size_bytes} bytes, the video has {size}; the video decides")
    counts = Counts(
        made={"clips": 1, "bytes": size}, details={"source": source, "duration_stated_s": info.duration_sec}
    )
    if job.knobs.remove_archive:
        counts.details["archives_removed"] = _remove_archives(job)
    return counts


def _cut_from_archive(job: Job) -> str:
    index = find_local(job.paths, job.unit)
    if index is None:
        archives = local_archives(job.paths, job.unit)
        if not archives:
            raise PipelineError(f"{job.unit} is not in data/raw yet", "run download first")
        layout = layout_of(job.unit)
        folder = layout.worker_dir(job.unit)
        names = [
            name for path in archives for name in clips_in(index_local(job.paths, f"{folder}/{path.name}"), layout)
        ]
        raise no_such_clip(job.unit, names, f"the archives in {job.paths.raw(folder)}")
    for suffix, name in zip(SUFFIXES, ("video", "info"), strict=True):
        cut(job.paths.raw(index.path), index, f"{job.unit}{suffix}", job.products[name])
    return index.path


def _remove_archives(job: Job) -> list[str]:
    """Delete the archive that the clip came from; one that was put there by hand stays, as nobody else may have it."""
    index = find_local(job.paths, job.unit)
    if index is None:
        return []
    if not index.etag:
        job.report(f"{index.path} was not downloaded by this project: it stays")
        return []
    for name in job.products:
        job.publish(name)
    job.paths.raw(index.path).unlink()
    job.report(f"removed {index.path} ({index.size_bytes / 1e6:.0f} MB); it can be downloaded again")
    return [index.path]
