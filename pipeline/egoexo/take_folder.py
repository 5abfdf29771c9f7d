"""The folder of one processed take: its frames, put beside annotation.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.egoexo.take_cameras import TakeCameras
from pipeline.egoexo.take_masks import TakeMasks
from pipeline.ops.egoexo.tracks import annotated_frames
from pipeline.ops.files import link_or_copy
from pipeline.schema.base import write_whole
from pipeline.schema.egoexo_index import TakeIndex


def write_take(folder: Path, index: TakeIndex, object_masks: Mapping[str, Any], masks: TakeMasks) -> None:
    """Write annotation.json; `object_masks` goes into it value for value."""
    # Not by pydantic: it would write a lone surrogate or NaN of the release in another way, or not at all.
    annotation = {
        "scenario": index.scenario,
        "take_name": index.take_name,
        "object_masks": object_masks,
        "masks": {
            name: {
                camera: {frame: {"size": rle.size, "counts": rle.counts} for frame, rle in frames.items()}
                for camera, frames in cameras.items()
            }
            for name, cameras in masks.masks.items()
        },
        "subsample_idx": annotated_frames(object_masks),
    }
    write_whole(folder / "annotation.json", json.dumps(annotation, separators=(",", ":")))


def link_frames(folder: Path, cameras: TakeCameras) -> None:
    """Put the frames in place beside those in the work folder, which stay until the take is published.

    So a run that is killed after its videos were deleted still has all that it made. Linked files take no room; where
    the file system has no hard links they are copied.
    """
    for name, (_, made) in cameras.done.items():
        (folder / name).mkdir(parents=True)
        for frame in made.frames:
            link_or_copy(cameras.frame(name, frame), folder / name / f"{frame}.jpg")
