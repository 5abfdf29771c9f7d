"""A take as COCO files, one a camera: also the custom layout of egoexo-import, so that it can come back."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import cv2

from pipeline.egoexo.layouts.custom import MASKS
from pipeline.egoexo.processed import ProcessedTake
from pipeline.ops.egoexo.tracks import Track
from pipeline.ops.masks.rle import check_rle, decode_rle, encode_rle
from pipeline.schema.base import write_whole
from pipeline.schema.egoexo_take import Rle


def export_coco(take: ProcessedTake, folder: Path, dropped: Counter[str]) -> None:
    """Write `masks/{camera}.json` for each camera of a take, with run lengths at the size of its pictures.

    Absent objects go into `neg_category_ids`, unannotated ones into `not_exhaustive_category_ids`: the fields of LVIS.

    Args:
        folder: the exported take; its pictures are the caller's affair.
        dropped: reason → number of what a COCO file has no room for, counted here.
    """
    categories = [{"id": number, "name": name} for number, name in enumerate(take.tracks, 1)]
    for camera, of in take.facts.cameras.items():
        width, height = of.frame_size_wh
        images: dict[int, dict[str, Any]] = {
            frame: {
                "id": number,
                "file_name": f"{frame}.jpg",
                "width": width,
                "height": height,
                "neg_category_ids": [],
                "not_exhaustive_category_ids": [],
            }
            for number, frame in enumerate(of.frames, 1)
        }
        annotations: list[dict[str, Any]] = []
        for number, (name, cameras) in enumerate(take.tracks.items(), 1):
            track = cameras.get(camera, Track((), frozenset()))
            masks = take.annotation.masks.get(name, {}).get(camera, {})
            for frame, image in images.items():
                state = track.state(frame)
                annotation = _annotation(masks[str(frame)], (width, height)) if state == "present" else None
                if annotation is not None:
                    ids = {"id": len(annotations) + 1, "image_id": image["id"], "category_id": number, "iscrowd": 0}
                    annotations.append(ids | annotation)
                    dropped["masks_scaled_to_their_picture"] += masks[str(frame)].size != (height, width)
                    continue
                dropped["masks_that_vanish_at_the_size_of_their_picture"] += state == "present"
                image["neg_category_ids" if state == "absent" else "not_exhaustive_category_ids"].append(number)
            dropped["masks_without_a_picture"] += len(set(track.present) - images.keys())
            dropped["absences_without_a_picture"] += len(track.absent - images.keys())
        content = {"images": list(images.values()), "annotations": annotations, "categories": categories}
        write_whole(folder / MASKS / f"{camera}.json", json.dumps(content, separators=(",", ":")))


def _annotation(rle: Rle, size_wh: tuple[int, int]) -> dict[str, Any] | None:
    """Segmentation, area and box x, y, width, height at the picture's size (nearest); None when nothing is left."""
    width, height = size_wh
    counts = rle.counts
    if rle.size != (height, width):
        mask = cv2.resize(decode_rle(rle.counts, rle.size), (width, height), interpolation=cv2.INTER_NEAREST)
        counts = encode_rle(mask)
    checked = check_rle(counts, (height, width))
    if checked.box_xyxy is None:
        return None
    x0, y0, x1, y1 = checked.box_xyxy
    return {
        "segmentation": {"size": [height, width], "counts": counts},
        "area": checked.area,
        "bbox": [x0, y0, x1 - x0, y1 - y0],
    }
