"""What the takes of a release that is there already will be made of: said before any work."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipeline.config_egoexo import DownloadVideosKnobs, ProcessKnobs
from pipeline.egoexo.output_size import output_bytes
from pipeline.egoexo.release import read_index, release_dir
from pipeline.egoexo.room import SPARE_BYTES, free_disk_bytes
from pipeline.egoexo.videos import find_videos, video_paths
from pipeline.egoexo.wanted import DOWNSCALED, NATIVE, expand_parts
from pipeline.errors import PipelineError
from pipeline.paths import Paths

DOWNSCALED_COSTS = (
    "448-pixel videos cost about 10 IoU points (O-MaMa) against full-size ones: PARTS=takes is the best quality, at "
    "about 24 times the bytes"
)
"""Of the whole release: 10,553.5 GB against 438.6 GB."""
SHOWN_TAKES = 10


def say_release(paths: Paths, units: Sequence[str], knobs: DownloadVideosKnobs, report: Callable[[str], None]) -> None:
    """Say which videos of these takes (`dataset/take_uid`) a given release has, in which size, and which it lacks.

    Raises:
        PipelineError: the parts asked for hold no videos, or what is made of them does not fit the disk.
    """
    release = release_dir(paths, knobs)
    if not {NATIVE, DOWNSCALED} & set(expand_parts(knobs.parts_wanted)):
        raise PipelineError(
            f"PARTS={','.join(knobs.parts_wanted)} names no part with videos",
            f"of RELEASE={knobs.release} the parts {NATIVE} and {DOWNSCALED} are read; without PARTS= the better one",
        )
    used, beside, made_bytes = {True: 0, False: 0}, 0, 0
    lacking: list[str] = []
    for unit in units:
        index = read_index(paths, unit.partition("/")[2])
        native = video_paths(index, NATIVE)
        found = find_videos(release, index, knobs.parts_wanted)
        for camera, video in found.items():
            is_native = video == release / native[camera]
            used[is_native] += 1
            beside += not is_native and (release / native[camera]).is_file()
        if gone := [camera for camera in index.cameras if camera not in found]:
            lacking.append(f"{index.take_name} ({', '.join(gone) if found else 'all'})")
        made_bytes += output_bytes(index, knobs.every) if isinstance(knobs, ProcessKnobs) else 0
    report(f"plan: {len(units)} takes out of RELEASE={knobs.release}; nothing to fetch")
    report(f"  videos that are used: {used[True]} of full size (takes), {used[False]} of downscaled_takes/448")
    if used[False]:
        report(f"  {DOWNSCALED_COSTS}")
    if beside:
        report(f"  {beside} of them lie there in full size too: leave PARTS= out, or PARTS=takes, to use these")
    if lacking:
        more = f", and {len(lacking) - SHOWN_TAKES} more" if len(lacking) > SHOWN_TAKES else ""
        report(f"  {len(lacking)} of {len(units)} takes lack videos there: {', '.join(lacking[:SHOWN_TAKES])}{more}")
    if not isinstance(knobs, ProcessKnobs):
        return
    free_bytes = free_disk_bytes(paths.data)
    said = f"about {made_bytes / 1e9:.3g} GB of frames and annotations; {free_bytes / 1e9:.3g} GB are free on the disk "
    said += f"of {paths.data}, {SPARE_BYTES / 1e9:g} GB of them to spare"
    if made_bytes + SPARE_BYTES > free_bytes:
        raise PipelineError(f"{len(units)} takes make {said}", "free some space, or move DATA= to another disk")
    report(f"  {said}")
