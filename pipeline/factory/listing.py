"""What the archives of one worker hold, without extracting anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import ValidationError

from pipeline.job import Progress
from pipeline.ops.hub.archives import MAX_INFO_BYTES, clips_in, index_local, local_archives_in
from pipeline.ops.hub.dataset import Hub
from pipeline.ops.hub.remote_file import RemoteFile
from pipeline.ops.hub.shelf import Shelf
from pipeline.ops.hub.tar_index import LocalFile, RandomAccess
from pipeline.paths import Paths
from pipeline.schema.archive import ArchiveIndex
from pipeline.schema.egocentric import ClipInfo, layout_of_worker


@dataclass(frozen=True)
class ClipRow:
    """One clip of an archive; what its facts do not tell is None."""

    clip: str
    duration_s: float | None
    size_bytes: int
    """Of the video."""
    codec: str | None
    archive: str
    """Path in the repository."""


def list_clips(
    paths: Paths, worker: str, say: Callable[[str], None], meter: Progress, repo: str = "", revision: str = "main"
) -> list[ClipRow]:
    """All clips of one worker: from the archives in data/raw where there are any, else from the hub by small ranges.

    Args:
        worker: folder in the repository, like `factory001/worker001`.
        repo: empty: the one that the folder's name belongs to.

    Raises:
        PipelineError: unknown worker, damaged archive, or the hub cannot be reached or refuses.
    """
    layout = layout_of_worker(worker)
    rows: list[ClipRow] = []
    local = local_archives_in(paths, worker)
    for archive in local:
        index = index_local(paths, f"{worker}/{archive.name}")
        rows += _rows(index, LocalFile(archive), meter)
    if not local:
        shelf = Shelf(Hub(repo or layout.repo, revision), paths, worker, say, meter)
        for entry in shelf.archives():
            index = shelf.index(entry)
            here = shelf.is_here(index)  # it came whole, from a server without ranges
            source = LocalFile(paths.raw(index.path)) if here else RemoteFile(shelf.hub, index.path, index.size_bytes)
            rows += _rows(index, source, meter)
    return rows


def _rows(index: ArchiveIndex, source: RandomAccess, meter: Progress) -> list[ClipRow]:
    clips = clips_in(index, layout_of_worker(index.path.rpartition("/")[0]))
    meter.start(len(clips), index.path, "clips")
    rows = []
    for clip in clips:
        info = _info(index, source, clip)
        video = index.members.get(f"{clip}.mp4")
        rows.append(
            ClipRow(
                clip=clip,
                duration_s=info.duration_sec if info else None,
                size_bytes=video.size_bytes if video else 0,
                codec=info.codec if info else None,
                archive=index.path,
            )
        )
        meter.advance()
    return rows


def _info(index: ArchiveIndex, source: RandomAccess, clip: str) -> ClipInfo | None:
    member = index.members.get(f"{clip}.json")
    if member is None or member.size_bytes > MAX_INFO_BYTES:
        return None
    try:
        return ClipInfo.model_validate_json(
            source.read_at(member.offset_bytes, member.offset_bytes + member.size_bytes)
        )
    except ValidationError:
        return None
