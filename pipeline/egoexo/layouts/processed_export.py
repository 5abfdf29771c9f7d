"""A take as the public baseline and O-MaMa read it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from pipeline.egoexo.processed import ProcessedTake
from pipeline.ops.files import link_or_copy
from pipeline.schema.base import write_whole


def export_baseline(take: ProcessedTake, folder: Path, dropped: Counter[str]) -> None:
    """annotation.json with `masks` and `subsample_idx`, no more; what that leaves out is counted in `dropped`."""
    annotation = take.annotation
    content = annotation.model_dump(include={"masks", "subsample_idx"})
    write_whole(folder / "annotation.json", json.dumps(content))
    tracks = [track for cameras in take.tracks.values() for track in cameras.values()]
    dropped["absences"] += sum(len(track.absent) for track in tracks)
    dropped["masks_in_their_original_form"] += sum(
        len(subtree["annotation"]) for cameras in annotation.object_masks.values() for subtree in cameras.values()
    )
    dropped["reasons_of_masks_left_out"] += len(take.facts.left_out_masks)
    dropped["take_names_and_scenarios"] += 1
    dropped["take_json_files"] += 1


def export_omama(take: ProcessedTake, folder: Path, dropped: Counter[str]) -> None:
    """annotation.json with its five keys, and take.json beside it: nothing is left out."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("annotation.json", "take.json"):
        link_or_copy(take.folder / name, folder / name)
