"""Which videos in data/egoexo are ours to delete: those that we have fetched and were not told to keep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.paths import Paths
from pipeline.schema.base import read_model, write_model
from pipeline.schema.egoexo_download import OwnVideos


def own_videos(paths: Paths, take_uid: str) -> dict[str, bool]:
    """Relative path → whether it is to be kept, for each video of the take that we have fetched.

    Raises:
        PipelineError: the note is damaged.
    """
    file = _file(paths, take_uid)
    if not file.exists():
        return {}
    return dict(read_model(file, OwnVideos, f"delete {file}, and the take's videos if they may go").kept)


def note_own(paths: Paths, take_uid: str, relative_paths: Iterable[str]) -> None:
    """Before they are fetched: a killed run must not leave videos that nobody deletes."""
    fresh = dict.fromkeys(relative_paths, False)
    if fresh:
        _write(paths, take_uid, own_videos(paths, take_uid) | fresh)


def forget_gone(paths: Paths, take_uid: str) -> None:
    """What did not come, or is deleted, is not ours: somebody may put it there by hand."""
    own = own_videos(paths, take_uid)
    _write(paths, take_uid, {path: keep for path, keep in own.items() if (paths.release() / path).is_file()})


def keep_own(paths: Paths, take_uid: str, relative_paths: Iterable[str]) -> None:
    """From now on no run deletes these."""
    own = own_videos(paths, take_uid)
    kept = dict.fromkeys((path for path in relative_paths if path in own), True)
    if kept:
        _write(paths, take_uid, own | kept)


def _write(paths: Paths, take_uid: str, kept: Mapping[str, bool]) -> None:
    file = _file(paths, take_uid)
    if kept:
        write_model(file, OwnVideos(kept=dict(kept)))
    else:
        file.unlink(missing_ok=True)


def _file(paths: Paths, take_uid: str) -> Path:
    record = paths.download_record(take_uid)
    return record.with_name(f".{record.stem}.own.json")
