"""What is told of one processed take: facts, what is missing of it, and how much smaller it became."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from pipeline.egoexo.take_cameras import TakeCameras
from pipeline.egoexo.take_masks import Reason, TakeMasks, by
from pipeline.egoexo.videos import video_paths
from pipeline.egoexo.wanted import NATIVE, expand_parts
from pipeline.job import Counts
from pipeline.schema.egoexo_index import TakeIndex
from pipeline.schema.egoexo_take import TakeCamera, TakeFacts
from pipeline.schema.egoexo_work import ExtractedCamera

SHOWN_FRAMES = 3
"""Missing frames of one reason that a line names; take.json names all."""


def facts_of(index: TakeIndex, cameras: TakeCameras, masks: TakeMasks, warnings: Sequence[str]) -> TakeFacts:
    """take.json: cameras that have frames with all that is known of them, the others by their kind alone."""
    described = {
        name: TakeCamera(
            is_ego=index.cameras[name].is_ego,
            video=work.video,
            video_size_wh=made.video_size_wh,
            video_frames=made.video_frames,
            native_size_wh=masks.native_size_wh.get(name, made.video_size_wh),
            frame_size_wh=made.frame_size_wh,
            scale=made.frame_size_wh[0] / masks.native_size_wh.get(name, made.video_size_wh)[0],
            frames=made.frames,
            missing=made.missing,
        )
        for name, (work, made) in cameras.done.items()
    }
    return TakeFacts(
        take_uid=index.take_uid,
        take_name=index.take_name,
        cameras=described,
        without_frames={name: of.is_ego for name, of in index.cameras.items() if name not in described},
        left_out_masks=masks.left_out,
        warnings=list(warnings),
    )


def warnings_of(index: TakeIndex, cameras: TakeCameras, masks: TakeMasks, parts: Sequence[str]) -> list[str]:
    """What is odd about a take's videos and costs nothing of it.

    Args:
        parts: of the release, as asked for.
    """
    warnings = []
    native_paths = video_paths(index, NATIVE)
    if NATIVE in expand_parts(parts) and all(
        work.video != native_paths[name] for name, (work, _) in cameras.done.items()
    ):
        return ["there are no full-size videos of it, so its frames come from 448-pixel ones"]
    for name, (work, made) in cameras.done.items():
        if work.video != native_paths[name]:
            if NATIVE in expand_parts(parts):
                warnings.append(f"{name}: there is no full-size video of it, so its frames come from {work.video}")
        elif NATIVE not in expand_parts(parts):
            warnings.append(f"{name}: there is no downscaled video of it, so its frames come from {work.video}")
        elif (size_wh := masks.native_size_wh.get(name, made.video_size_wh)) != made.video_size_wh:
            warnings.append(f"{name}: its masks are {by(size_wh)}, its full-size video is {by(made.video_size_wh)}")
    return warnings


def counts_of(
    index: TakeIndex, cameras: TakeCameras, masks: TakeMasks, folder: Path, warnings: Sequence[str]
) -> Counts:
    """What was made of the take, what was dropped, what is missing, and the megabytes before and after."""
    before_bytes = sum(work.video_bytes for work, _ in cameras.done.values())
    after_bytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    left_out = Counter(mask.reason for mask in masks.left_out)
    dropped = {
        "damaged_masks": left_out["damaged"],
        "masks_of_a_wrong_size": left_out["wrong_size"],
        "empty_masks": left_out["empty"],
        "frames_not_there": sum(len(made.missing) for _, made in cameras.done.values()),
        "cameras_without_frames": len(cameras.failed),
    }
    return Counts(
        made={
            "take": index.take_name,
            "cameras": len(cameras.done),
            "frames": sum(len(made.frames) for _, made in cameras.done.values()),
            "masks": masks.count,
            "megabytes_before": before_bytes / 1e6,
            "megabytes_after": after_bytes / 1e6,
        },
        dropped={reason: number for reason, number in dropped.items() if number},
        details={"warnings": list(warnings)} if warnings else {},
        incomplete=_incomplete(cameras, left_out),
    )


def _incomplete(cameras: TakeCameras, left_out: Mapping[Reason, int]) -> list[str]:
    lines = [f"{name}: {reason}" for name, reason in cameras.failed.items()]
    lines += [f"{name}: {_missing(made)}" for name, (_, made) in cameras.done.items() if made.missing]
    if left_out["damaged"]:
        lines.append(f"{left_out['damaged']} masks are damaged (take.json names them)")
    if left_out["wrong_size"]:
        lines.append(f"{left_out['wrong_size']} masks are of a wrong size (take.json names them)")
    return lines


def _missing(made: ExtractedCamera) -> str:
    """The missing frames by reason: `3 of 8 frames are missing (180, 210, 240: the video has 170 frames)`."""
    groups = []
    for reason, frames in groupby(made.missing, key=made.missing.__getitem__):
        numbers = list(frames)
        shown = ", ".join(numbers[:SHOWN_FRAMES]) + (", …" if len(numbers) > SHOWN_FRAMES else "")
        groups.append(f"{shown}: {reason}")
    more = f"; and {len(groups) - SHOWN_FRAMES} more reasons" if len(groups) > SHOWN_FRAMES else ""
    wanted = len(made.frames) + len(made.missing)
    return f"{len(made.missing)} of {wanted} frames are missing ({'; '.join(groups[:SHOWN_FRAMES])}{more})"
