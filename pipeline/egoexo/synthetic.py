"""A made-up Ego-Exo4D release, laid out as its S3 buckets, with its truth: for the demo and for tests."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline.egoexo.synthetic_manifests import (
    CONSORTIUM,
    RELEASE_PREFIX,
    SMALL_PART,
    manifests,
    university_bucket,
    video_key,
)
from pipeline.egoexo.synthetic_metadata import captures_json, splits_json, takes_json
from pipeline.egoexo.synthetic_record import Footage, record
from pipeline.egoexo.synthetic_relations import relations_json
from pipeline.egoexo.synthetic_take import TakeSpec
from pipeline.egoexo.synthetic_truth import truth_json
from pipeline.errors import PipelineError
from pipeline.ops.files import link_or_copy
from pipeline.ops.pictures.table_scene import TableScene
from pipeline.schema.base import write_whole
from pipeline.schema.egoexo_release import SPLITS

__all__ = ["TRUTH", "TakeSpec", "flatten_release", "make_release"]

TRUTH = "truth.json"
"""Beside the buckets: what is in the release, counted while it was made."""


def make_release(root: Path, takes: Sequence[TakeSpec]) -> None:
    """Write `{root}/{bucket}/{key}` for every object of the release, and `{root}/truth.json`, which comes last.

    The same specs give the same bytes with the same library versions.

    Raises:
        PipelineError: no takes, or two of one name.
    """
    names = [take.take_name for take in takes]
    if not takes or len(set(names)) != len(names):
        raise PipelineError(f"takes to make: {', '.join(names) or 'none'}", "give one or more, each with its own name")
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        waiting = {
            # Asking for the scene here makes it once, before threads could do so at the same time.
            take.take_name: [
                pool.submit(_record, root, take, take.scene, number) for number in (None, *range(len(take.exo)))
            ]
            for take in takes
        }
        footage = {name: [future.result() for future in of_take] for name, of_take in waiting.items()}
    home = root / CONSORTIUM / RELEASE_PREFIX
    _write_json(home / "takes.json", takes_json(takes))
    _write_json(home / "captures.json", captures_json(takes))
    for split in SPLITS:
        chosen = [take for take in takes if take.split == split]
        relations = {take.take_uid: relations_json(take, footage[take.take_name]) for take in chosen}
        write_whole(home / "annotations" / f"relations_{split}.json", json.dumps({"annotations": relations}))
    _write_json(home / "annotations" / "splits.json", splits_json(takes))
    for part, entries in manifests(root, takes).items():
        _write_json(home / part / "manifest.json", entries)
    _write_json(root / TRUTH, truth_json(takes, footage))


def flatten_release(root: Path, folder: Path) -> None:
    """Make the folder that the client would have made of a release by `make_release`; files are linked where possible.

    Do not write into files of `folder` in place: they may be the release's own.
    """
    for manifest in sorted((root / CONSORTIUM / RELEASE_PREFIX).rglob("manifest.json")):
        for entry in json.loads(manifest.read_bytes()):
            for path in entry["paths"]:
                source, target = root / path["source_path"].removeprefix("s3://"), folder / path["relative_path"]
                target.parent.mkdir(parents=True, exist_ok=True)
                link_or_copy(source, target)


def _record(root: Path, take: TakeSpec, scene: TableScene, exo: int | None) -> Footage:
    camera = take.ego_camera if exo is None else take.exo[exo][0]
    home = root / university_bucket(take)
    small = home / video_key(take, camera, SMALL_PART) if take.downscaled else None
    return record(take, scene, exo, home / video_key(take, camera, "takes"), small)


def _write_json(path: Path, content: object) -> None:
    write_whole(path, json.dumps(content, indent=1))
