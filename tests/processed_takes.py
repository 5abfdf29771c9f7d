"""Processed takes as egoexo-process leaves them, made without videos: tiny pictures, rectangles for masks."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from lzstring import LZString
from pycocotools import mask as coco

from pipeline.ops.egoexo.tracks import tracks_of_relations, wanted_frames
from pipeline.paths import Paths
from pipeline.schema.base import write_model
from pipeline.schema.egoexo_release import SplitFile
from pipeline.schema.egoexo_take import Rle, TakeAnnotation, TakeCamera, TakeFacts

EGO, CAM1, CAM2 = "aria01_214-1", "cam01", "cam02"
SIZES_WH = {EGO: (64, 64), CAM1: (96, 64), CAM2: (96, 64)}
"""Native sizes; stored frames are ÷2 and ÷4."""
Seen = tuple[Sequence[int], Sequence[int]]
"""Frames with a mask, annotated frames without."""
Objects = Mapping[str, Mapping[str, Seen]]

TRAIN_1, TRAIN_2, VAL_1, TEST_1 = (f"{number}" * 8 + "-0000-4000-8000-000000000000" for number in "1234")
KITCHEN: Objects = {
    "salt/pepper shaker_0": {EGO: ([0, 30, 60, 120], [90]), CAM1: ([0, 60, 90], [30]), CAM2: ([30, 150], [0])},
    "cutting board _0": {EGO: ([30, 60], []), CAM1: ([30, 60, 90, 120], [])},
    "blue mug_0": {CAM1: ([0, 30], []), CAM2: ([60], [])},
    "Oil bottle_12": {EGO: ([], [0, 30]), CAM2: ([0, 90], [30])},
}
KITCHEN_PAIRS = {"egoexo": 4 + 4 + 2 + 0, "exoego": 3 + 2 + 4 + 2}
"""By hand: shaker with cam01 and cam02, board with cam01, bottle with cam02; the mug has no ego camera."""
KITCHEN_TARGETS = {
    # shaker→cam01: 0 present, 30 absent, 60 present, 120 nobody looked; →cam02: 0 absent, 30 present, 60 and 120
    # unannotated; board→cam01: both present.
    "egoexo": {"present": 5, "absent": 2, "unannotated": 3},
    # cam01→shaker: 0 and 60 present, 90 absent; cam02: 30 present, 150 unannotated; board: 30 and 60 present, 90 and
    # 120 unannotated; bottle: 0 absent, 90 unannotated.
    "exoego": {"present": 5, "absent": 2, "unannotated": 4},
}


@dataclass(frozen=True)
class Made:
    """A processed data set."""

    paths: Paths
    name: str

    @property
    def root(self) -> Path:
        """output_dir_{name}."""
        return self.paths.output_dir(self.name)


def small_dataset(data: Path, name: str = "toy") -> Made:
    """Four takes with the kitchen's objects: two to train on, one each for val and test."""
    made = Made(Paths(data), name)
    splits = {"train": [TRAIN_1, TRAIN_2], "val": [VAL_1], "test": [TEST_1]}
    write_split(made.paths, name, splits)
    for take_uid in (TRAIN_1, TRAIN_2, VAL_1, TEST_1):
        write_take(made.paths, name, take_uid, relations_of(KITCHEN))
    return made


def write_split(paths: Paths, name: str, splits: Mapping[str, Sequence[str]]) -> None:
    """split.json."""
    write_model(paths.split_file(name), SplitFile(**{split: list(uids) for split, uids in splits.items()}))


def relations_of(objects: Objects, sizes_wh: Mapping[str, tuple[int, int]] = SIZES_WH, seed: int = 0) -> dict[str, Any]:
    """`object_masks` as the release has it, with a rectangle for each mask."""
    draw = random.Random(seed)
    compress = LZString().compressToEncodedURIComponent
    return {
        name: {
            camera: {
                "annotation": {
                    str(frame): {
                        "width": sizes_wh[camera][0],
                        "height": sizes_wh[camera][1],
                        "encodedMask": compress(rectangle(draw, sizes_wh[camera])),
                        "intSegClicks": {"positive": [{"x": 3.5, "y": 2.25, "timestamp": 1}], "negative": []},
                    }
                    for frame in present
                },
                "annotation_metadata": {"annotation_uid": "0"},
                "annotation_fps": 1,
                "annotated_frames": sorted([*present, *absent]),
            }
            for camera, (present, absent) in cameras.items()
        }
        for name, cameras in objects.items()
    }


def rectangle(draw: random.Random, size_wh: tuple[int, int]) -> str:
    """COCO run lengths of one rectangle that leaves some of the picture free."""
    width, height = size_wh
    x, y = draw.randrange(width // 2), draw.randrange(height // 2)
    pixels = np.zeros((height, width), np.uint8, order="F")
    pixels[y : y + draw.randrange(4, height // 2), x : x + draw.randrange(4, width // 2)] = 1
    counts: bytes = coco.encode(pixels)["counts"]
    return counts.decode()


def write_take(
    paths: Paths,
    name: str,
    take_uid: str,
    object_masks: Mapping[str, Any],
    take_name: str = "",
    sizes_wh: Mapping[str, tuple[int, int]] = SIZES_WH,
    stored_wh: Mapping[str, tuple[int, int]] | None = None,
    missing: Mapping[str, Mapping[int, str]] | None = None,
) -> None:
    """One take: annotation.json, take.json, and a picture for each frame that annotations and pairs need.

    Args:
        object_masks: as `relations_of` makes it, or a release's own.
        stored_wh: sizes of the pictures; native ones ÷2 (ego) and ÷4 (exo) when not given.
        missing: camera → frame → why there is no picture of it.
    """
    tracks = tracks_of_relations(object_masks)
    cameras = sorted({camera for seen in tracks.values() for camera in seen})
    ego = [camera for camera in cameras if camera.startswith("aria")]
    wanted = wanted_frames(tracks, ego, [camera for camera in cameras if camera not in ego])
    of_cameras = {}
    for camera in cameras:
        width, height = sizes_wh[camera]
        divisor = 2 if camera in ego else 4
        stored = stored_wh[camera] if stored_wh else (width // divisor, height // divisor)
        gone = (missing or {}).get(camera, {})
        frames = [frame for frame in wanted[camera] if frame not in gone]
        for frame in frames:
            write_picture(paths.frame(name, take_uid, camera, frame), stored, frame)
        of_cameras[camera] = TakeCamera(
            is_ego=camera in ego,
            video=f"takes/{take_name}/frame_aligned_videos/{camera}.mp4",
            video_size_wh=(width, height),
            video_frames=240,
            native_size_wh=(width, height),
            frame_size_wh=stored,
            scale=stored[0] / width,
            frames=frames,
            missing={str(frame): reason for frame, reason in gone.items() if frame in wanted[camera]},
        )
    annotation = TakeAnnotation(
        scenario="Making Cucumber & Tomato Salad",
        take_name=take_name,
        object_masks=dict(object_masks),
        masks={
            name: {camera: _masks(subtree["annotation"]) for camera, subtree in seen.items()}
            for name, seen in object_masks.items()
        },
        subsample_idx=sorted(
            {frame for seen in tracks.values() for track in seen.values() for frame in track.annotated}
        ),
    )
    write_model(paths.take_annotation(name, take_uid), annotation)
    facts = TakeFacts(take_uid=take_uid, take_name=take_name, cameras=of_cameras, left_out_masks=[], warnings=[])
    write_model(paths.take_facts(name, take_uid), facts)


def _masks(annotation: Mapping[str, Any]) -> dict[str, Rle]:
    decompress = LZString().decompressFromEncodedURIComponent
    return {
        frame: Rle(size=(mask["height"], mask["width"]), counts=decompress(mask["encodedMask"]))
        for frame, mask in annotation.items()
    }


def write_picture(file: Path, size_wh: tuple[int, int], seed: int) -> None:
    """A JPEG of coloured noise."""
    file.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    picture = cv2.resize(coarse, size_wh, interpolation=cv2.INTER_CUBIC)
    assert cv2.imwrite(str(file), picture)
