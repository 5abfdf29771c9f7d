"""Where the objects of a made-up release lie in its buckets, and the manifests that the client reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.egoexo.synthetic_take import TakeSpec
from pipeline.schema.egoexo_release import SPLITS

CONSORTIUM = "ego4d-consortium-sharing"
RELEASE_PREFIX = "egoexo-public/v2"
SMALL_PART = "downscaled_takes/448"


def university_bucket(take: TakeSpec) -> str:
    """Where a take's videos lie."""
    return f"ego4d-{take.university}"


def video_key(take: TakeSpec, camera: str, part: str) -> str:
    """Place of a video in its bucket; part is `takes` or `downscaled_takes/448`."""
    inside = "frame_aligned_videos" + ("/downscaled/448" if part == SMALL_PART else "")
    return f"{RELEASE_PREFIX}/{part}/{take.take_name}/{inside}/{camera}.mp4"


def manifests(root: Path, takes: Sequence[TakeSpec]) -> dict[str, list[dict[str, Any]]]:
    """Part → its manifest; sizes are those of the files below `root`, which must be there."""
    annotations = [
        _entry("relations", [_path(root, CONSORTIUM, f"annotations/relations_{split}.json")], None, ["relations"])
        for split in SPLITS
    ]
    annotations.append(_entry("splits", [_path(root, CONSORTIUM, "annotations/splits.json")], None, None))
    parts = {
        "metadata": [
            _entry(name, [_path(root, CONSORTIUM, f"{name}.json")], None, None) for name in ("takes", "captures")
        ],
        "annotations": annotations,
        "takes": [_video_entry(root, take, "takes") for take in takes],
    }
    small = [_video_entry(root, take, SMALL_PART) for take in takes if take.downscaled]
    return parts | ({SMALL_PART: small} if small else {})


def _video_entry(root: Path, take: TakeSpec, part: str) -> dict[str, Any]:
    paths = []
    for camera in take.cameras:
        key = video_key(take, camera, part)
        relative = key.removeprefix(f"{RELEASE_PREFIX}/").replace(f"{SMALL_PART}/", "takes/", 1)
        path = _described(root, university_bucket(take), key, relative) | {"file_type": "mp4"}
        if part == "takes":
            path |= {"views": ["ego" if camera == take.ego_camera else "exo"], "universities": [take.university]}
        paths.append(path)
    return _entry(take.take_uid, paths, [take.split], ["relations"])


def _entry(
    uid: str, paths: list[dict[str, Any]], splits: list[str] | None, benchmarks: list[str] | None
) -> dict[str, Any]:
    return {"uid": uid, "paths": paths, "splits": splits, "benchmarks": benchmarks}


def _path(root: Path, bucket: str, relative: str) -> dict[str, Any]:
    return _described(root, bucket, f"{RELEASE_PREFIX}/{relative}", relative)


def _described(root: Path, bucket: str, key: str, relative: str) -> dict[str, Any]:
    return {
        "source_path": f"s3://{bucket}/{key}",
        "relative_path": relative,
        "views": None,
        "universities": None,
        "file_type": None,
        "size": (root / bucket / key).stat().st_size,
        "checksum": None,
    }
