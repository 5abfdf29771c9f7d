"""The videos of one take: where they lie, fetching them with the client, deleting them when the frames are out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event

from pipeline.config_egoexo import DownloadVideosKnobs
from pipeline.egoexo.fetching import fetch, take_lock
from pipeline.egoexo.own_videos import forget_gone, keep_own, note_own, own_videos
from pipeline.egoexo.room import lack_of_room
from pipeline.egoexo.wanted import DOWNSCALED, NATIVE, VIDEO_PARTS, expand_parts, video_paths, wanted_of_take
from pipeline.errors import PipelineError
from pipeline.job import Progress
from pipeline.ops.s3.store import open_store
from pipeline.paths import Paths
from pipeline.schema.base import read_model, write_model
from pipeline.schema.egoexo_download import DownloadRecord
from pipeline.schema.egoexo_index import TakeIndex

__all__ = ["fetch_take", "find_videos", "is_whole", "keep_videos", "remove_videos", "room_for", "video_paths"]


def find_videos(release: Path, index: TakeIndex, parts: Sequence[str]) -> dict[str, Path]:
    """Camera → video that is there: of a part asked for if there is one, else of the other size.

    A camera without any video is not in the answer.
    """
    asked = [part for part in expand_parts(parts) if part in VIDEO_PARTS]
    order = dict.fromkeys([*asked, NATIVE, DOWNSCALED])
    found: dict[str, Path] = {}
    for part in order:
        for camera, relative_path in video_paths(index, part).items():
            if (release / relative_path).is_file():
                found.setdefault(camera, release / relative_path)
    return {camera: found[camera] for camera in index.cameras if camera in found}


def fetch_take(
    paths: Paths,
    index: TakeIndex,
    knobs: DownloadVideosKnobs,
    *,
    report: Callable[[str], None],
    stop: Event,
    progress: Progress | None = None,
) -> DownloadRecord:
    """Bring one take's files into `paths.release()` with the real client and check each against its size.

    Without network when all is there already. What is whole stays and is not fetched again.

    Args:
        stop: set from another thread to end the download; files that are whole stay.
        progress: shows bytes; None when another bar is on the screen.

    Returns:
        What is there now. `missing` names files that the release itself does not have, or not in the size that it
        states; at least one video of the take is there if a video part was asked for.

    Raises:
        PipelineError: no keys, expired keys, no network, an unknown part, a take that is in no part asked for, no
            room, a full disk, no video at all, or stopped.
    """
    file = paths.download_record(index.take_uid)
    with take_lock(file.with_name(f".{file.stem}.lock"), index.take_name, stop):
        known = is_whole(paths, index, knobs)
        if known:
            return known
        store = open_store(knobs.s3_profile, knobs.release_version)
        wanted = wanted_of_take(store, index, knobs.parts_wanted)
        if lack := lack_of_room(paths.release(), knobs, wanted):
            raise PipelineError(f"no room for {index.take_name}: {lack[0]}", lack[1])
        ours = [file.relative_path for file in wanted.to_fetch(paths.release()) if file.part in VIDEO_PARTS]
        note_own(paths, index.take_uid, ours)
        try:
            record = fetch(
                wanted, store, paths.release(), index.take_uid, knobs, what=index.take_name, stop=stop, report=report,
                progress=progress,
            )  # fmt: skip
        finally:
            forget_gone(paths, index.take_uid)
        asked = {path for part in wanted.parts if part in VIDEO_PARTS for path in video_paths(index, part).values()}
        if asked and not any(here.relative_path in asked for here in record.files):
            raise PipelineError(
                f"no video of {index.take_name} is to be had: {'; '.join(sorted(set(record.missing.values())))}",
                "try the other size with PARTS=takes or PARTS=downscaled_takes/448, or leave the take out with TAKES=",
            )
        write_model(file, record)
        return record


def is_whole(paths: Paths, index: TakeIndex, knobs: DownloadVideosKnobs) -> DownloadRecord | None:
    """The take's record if it is what is asked for now and all of its files are there; None: to be fetched."""
    file = paths.download_record(index.take_uid)
    if not file.exists():
        return None
    record = read_model(file, DownloadRecord, f"delete {file} and run again")
    asked = _asked(index, knobs)
    sizes = {here.relative_path: here.size_bytes for here in record.files}
    same = (record.release_version, record.parts) == (knobs.release_version, expand_parts(knobs.parts_wanted))
    there = all(_size_of(paths.release() / path) == size for path, size in sizes.items())
    return record if same and there and not record.missing and asked <= sizes.keys() else None


def remove_videos(paths: Paths, index: TakeIndex, knobs: DownloadVideosKnobs) -> int:
    """Delete one take's videos of the parts asked for, as far as we have fetched them, and its record.

    Says how many bytes that freed. What was put there by hand or is to be kept stays, and so does the other size;
    nothing in a release that the user gave (RELEASE) is ever touched.
    """
    if knobs.release:
        return 0
    release, asked = paths.release(), _asked(index, knobs)
    videos = {release / path for path, keep in own_videos(paths, index.take_uid).items() if path in asked and not keep}
    if not videos:
        return 0
    paths.download_record(index.take_uid).unlink(missing_ok=True)  # first: it must never promise what is gone
    freed_bytes = 0
    for video in sorted(videos):
        freed_bytes += _size_of(video) or 0
        video.unlink(missing_ok=True)
    for folder in sorted({parent for video in videos for parent in video.parents}, reverse=True):
        if release / "takes" in folder.parents:
            with contextlib.suppress(OSError):
                folder.rmdir()
    forget_gone(paths, index.take_uid)
    return freed_bytes


def keep_videos(paths: Paths, index: TakeIndex, knobs: DownloadVideosKnobs) -> None:
    """Let no later run delete this take's videos of the parts asked for."""
    if not knobs.release:
        keep_own(paths, index.take_uid, _asked(index, knobs))


def room_for(paths: Paths, index: TakeIndex, knobs: DownloadVideosKnobs) -> bool:
    """Whether a take fits beside the videos that lie on the disk now, by free space and by `max_videos_gb`.

    Raises:
        PipelineError: as `fetch_take`, since the sizes may have to be asked for.
    """
    if is_whole(paths, index, knobs):
        return True
    wanted = wanted_of_take(open_store(knobs.s3_profile, knobs.release_version), index, knobs.parts_wanted)
    return lack_of_room(paths.release(), knobs, wanted) is None


def _asked(index: TakeIndex, knobs: DownloadVideosKnobs) -> set[str]:
    """Relative paths of the take's videos, in the sizes asked for."""
    return {path for part in expand_parts(knobs.parts_wanted) for path in video_paths(index, part).values()}


def _size_of(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except OSError:
        return None
