"""Take by take: videos in, frames and COCO masks out, videos deleted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.config_egoexo import ProcessKnobs
from pipeline.egoexo.plan import show_plan
from pipeline.egoexo.release import load_take, read_index, release_dir
from pipeline.egoexo.take_cameras import Camera, Recipe, TakeCameras
from pipeline.egoexo.take_folder import link_frames, write_take
from pipeline.egoexo.take_frames import frames_to_keep
from pipeline.egoexo.take_masks import TakeMasks, check_form, read_masks, without_misfits
from pipeline.egoexo.take_report import counts_of, facts_of, warnings_of
from pipeline.egoexo.take_videos import bring_videos
from pipeline.egoexo.take_work import Video, is_left_done
from pipeline.egoexo.videos import find_videos, keep_videos, remove_videos, video_paths
from pipeline.errors import PipelineError
from pipeline.job import Counts, Job
from pipeline.paths import Paths
from pipeline.schema.base import write_model
from pipeline.schema.egoexo_download import DownloadRecord
from pipeline.schema.egoexo_index import TakeIndex


def inputs(paths: Paths, unit: str, knobs: ProcessKnobs) -> dict[str, Path]:
    """What the release's metadata say of the take, the digest of its annotations among them."""
    return {"index": paths.take_index(unit.partition("/")[2])}


def products(paths: Paths, unit: str, knobs: ProcessKnobs) -> dict[str, Path]:
    """The take's folder, as a whole."""
    dataset, _, take_uid = unit.partition("/")
    return {"take": paths.take_dir(dataset, take_uid)}


def plan(paths: Paths, units: Sequence[str], knobs: ProcessKnobs, report: Callable[[str], None]) -> bool:
    """Say what will be fetched and whether it fits; False when that is all that was asked for.

    Raises:
        PipelineError: not even one take's videos fit on the disk.
    """
    return show_plan(paths, units, knobs, report)


def prepare(job: Job) -> DownloadRecord | None:
    """Fetch the take's videos, unless they lie in a release given or an earlier run has all of its frames.

    Annotations that `run` would refuse are refused here, before a byte is fetched for them.

    Raises:
        PipelineError: annotations of another form, or videos that cannot be had.
    """
    index = _index(job)
    object_masks = load_take(release_dir(job.paths, job.knobs), index)["object_masks"]
    with _making_room_if_in_vain(job, index):
        check_form(object_masks, index.take_name)
    if job.knobs.release or all(is_left_done(job.work / name, job.settings) for name in index.cameras):
        return None
    return bring_videos(job, index)


def run(job: Job) -> Counts:
    """Write frames, masks and facts of one take; delete its videos, which nothing needs any more.

    A camera whose video is missing or does not open is left out, and named as missing of the take; so are frames
    beyond a video's end. Frames go into the work folder first: a killed run is taken up there, even without videos.

    Raises:
        PipelineError: no ego or no exo camera has frames; annotations of another form; videos cannot be had.
        OSError: the disk is full, or cannot be written.
    """
    knobs: ProcessKnobs = job.knobs
    index = _index(job)
    object_masks = load_take(release_dir(job.paths, knobs), index)["object_masks"]
    with _making_room_if_in_vain(job, index):
        masks = read_masks(object_masks, index.take_name)
        cameras = _cameras(job, index, object_masks, masks)
    record: DownloadRecord | None = job.prepared
    if record is None and not knobs.release and cameras.need_videos():
        record = bring_videos(job, index)  # what is whole of them stays if this fails: the next run needs it
    with _making_room_if_in_vain(job, index):
        return _make(job, index, object_masks, masks, cameras, record)


def _make(
    job: Job,
    index: TakeIndex,
    object_masks: dict[str, Any],
    masks: TakeMasks,
    cameras: TakeCameras,
    record: DownloadRecord | None,
) -> Counts:
    knobs: ProcessKnobs = job.knobs
    cameras.look(_videos(release_dir(job.paths, knobs), index, knobs), _reasons(index, record))
    _require_both_views(job, index, cameras)
    cameras.extract(index.take_name, job.progress)
    _require_both_views(job, index, cameras)
    masks = without_misfits(masks, {name: made.video_size_wh for name, (_, made) in cameras.done.items()})
    warnings = warnings_of(index, cameras, masks, knobs.parts_wanted)
    for warning in warnings:
        job.report(f"{index.take_name}: {warning}")
    folder = job.products["take"]
    link_frames(folder, cameras)
    write_take(folder, index, object_masks, masks)
    write_model(folder / "take.json", facts_of(index, cameras, masks, [*index.warnings, *warnings]))
    _let_go(job, index)
    return counts_of(index, cameras, masks, folder, warnings)


@contextlib.contextmanager
def _making_room_if_in_vain(job: Job, index: TakeIndex) -> Iterator[None]:
    """Delete the take's videos if it fails in a way that no further run would mend: they would keep others out.

    A run that was stopped, or met a full disk, is taken up with the videos that it has.
    """
    try:
        yield
    except (OSError, MemoryError):
        raise
    except Exception as error:
        if not (isinstance(error, PipelineError) and job.stop.is_set()):
            _let_go(job, index)
        raise


def _let_go(job: Job, index: TakeIndex) -> None:
    if job.knobs.keep_videos:
        keep_videos(job.paths, index, job.knobs)
    else:
        remove_videos(job.paths, index, job.knobs)


def _index(job: Job) -> TakeIndex:
    index = read_index(job.paths, job.unit.partition("/")[2])
    for name in index.cameras:
        if name in ("", ".", "..") or any(letter in name for letter in "/\\\0"):
            raise PipelineError(
                f"{index.take_name} has a camera called {name!r}, which cannot name a folder",
                "mend the annotations, or leave the take out with TAKES=",
            )
    return index


def _cameras(job: Job, index: TakeIndex, object_masks: dict[str, Any], masks: TakeMasks) -> TakeCameras:
    """The take's cameras with the frames to keep: a camera of which none is wanted is not among them."""
    ego = [name for name, facts in index.cameras.items() if facts.is_ego]
    exo = [name for name, facts in index.cameras.items() if not facts.is_ego]
    wanted = frames_to_keep(object_masks, masks, ego, exo)
    return TakeCameras(
        [Camera(name, name in ego, tuple(wanted[name])) for name in index.cameras if wanted.get(name)],
        Recipe(job.settings, job.knobs.jpeg_quality, job.knobs.every),
        job.work,
        job.stop,
    )


def _videos(release: Path, index: TakeIndex, knobs: ProcessKnobs) -> dict[str, Video]:
    found = find_videos(release, index, knobs.parts_wanted)
    return {name: Video(path, path.relative_to(release).as_posix()) for name, path in found.items()}


def _reasons(index: TakeIndex, record: DownloadRecord | None) -> dict[str, str]:
    """Camera → why the release has no video of it, as far as the download has found out."""
    if record is None:
        return {}
    paths = {path: name for part in record.parts for name, path in video_paths(index, part).items()}
    return {paths[path]: reason for path, reason in record.missing.items() if path in paths}


def _require_both_views(job: Job, index: TakeIndex, cameras: TakeCameras) -> None:
    """Refuse a take that nobody can pair.

    Raises:
        PipelineError: no ego, or no exo camera has frames.
    """
    kinds = cameras.kinds()
    if kinds == {True, False}:
        return
    lacking = " and no ".join(word for is_ego, word in ((True, "ego"), (False, "exo")) if is_ego not in kinds)
    reasons = "; ".join(f"{name}: {reason}" for name, reason in cameras.failed.items())
    raise PipelineError(
        f"{index.take_name} has no {lacking} camera to take frames from" + (f" ({reasons})" if reasons else ""),
        f"mend RELEASE={job.knobs.release}, or leave the take out with TAKES="
        if job.knobs.release
        else "run again, which fetches the videos again; try the other size with PARTS=; or leave it out with TAKES=",
    )
