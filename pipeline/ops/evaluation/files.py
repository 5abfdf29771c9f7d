"""The benchmark's files: ground truth, results of one direction, submissions of both. JSON, gzipped or not."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.errors import PipelineError
from pipeline.ops.evaluation.queries import camera_pairs
from pipeline.ops.evaluation.scores import official_size_hw
from pipeline.ops.masks.lzstring import MaskError
from pipeline.ops.masks.rle import check_rle
from pipeline.schema.base import write_whole
from pipeline.schema.evaluation import DIRECTIONS, Direction, GroundTruth

_GZIP = b"\x1f\x8b"
_MOST_NAMED = 5
_STAMP = {"version": "xx", "challenge": "xx"}
"""The benchmark's own words; its script wants the keys."""
_GROUND_TRUTH_FIX = "give the benchmark's ground truth, or make it: `python -m pipeline ground-truth`"
_PREDICTIONS_FIX = 'expected {"ego-exo": {"results": {take: …}}}, the other direction, or both'


@dataclass(frozen=True)
class TruthFile:
    """A ground-truth file whose masks are valid."""

    truth: GroundTruth
    sha256: str
    """Of the JSON, unpacked."""


@dataclass(frozen=True)
class PredictionFile:
    """A prediction file as it stands; whether it can be scored is for `findings.findings` to say."""

    results: Mapping[Direction, Any]
    """Direction → whatever stands under `results`."""
    sha256: str
    """Of the JSON, unpacked."""


def read_ground_truth(file: Path) -> TruthFile:
    """Read a ground-truth file and check its masks.

    Raises:
        PipelineError: the file is unreadable, not JSON, of another form, without takes, or has masks that are none.
    """
    text = _unpacked(file, _GROUND_TRUTH_FIX)
    try:
        truth = GroundTruth.model_validate_json(text)
    except ValidationError as error:
        details = "; ".join(
            f"{' → '.join(map(str, item['loc'])) or 'the file'}: {item['msg']}"
            for item in error.errors(include_url=False, include_input=False)[:_MOST_NAMED]
        )
        raise PipelineError(f"{file} is no ground truth: {details}", _GROUND_TRUTH_FIX) from None
    damaged = _damaged_masks(truth)
    if damaged:
        named = "; ".join(damaged[:_MOST_NAMED])
        raise PipelineError(f"{file} has damaged masks, {len(damaged)} in all: {named}", "fetch or make the file again")
    return TruthFile(truth, hashlib.sha256(text).hexdigest())


def _damaged_masks(truth: GroundTruth) -> list[str]:
    damaged = []
    for uid, take in truth.annotations.items():
        for name, cameras in take.masks.items():
            for camera, frames in cameras.items():
                for frame, mask in frames.items():
                    try:
                        check_rle(mask.counts, mask.size_hw)
                        if 0 in official_size_hw(mask.size_hw):
                            raise MaskError("too long and thin to be compared", f"{mask.size[0]}×{mask.size[1]}")
                    except MaskError as error:
                        damaged.append(f"{uid} / {name} / {camera} / {frame}: {error}")
    return damaged


def read_predictions(file: Path) -> PredictionFile:
    """Read the results of one direction or a submission of both.

    Raises:
        PipelineError: the file is unreadable, not JSON, or has no direction with `results`.
    """
    text = _unpacked(file, _PREDICTIONS_FIX)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PipelineError(f"{file} is not JSON: {error}", _PREDICTIONS_FIX) from None
    given = {key: content[key] for key in DIRECTIONS if key in content} if isinstance(content, dict) else {}
    if not given:
        keys = f"the keys {', '.join(content) or '(none)'}" if isinstance(content, dict) else type(content).__name__
        raise PipelineError(f"{file} has neither {' nor '.join(DIRECTIONS)} but {keys}", _PREDICTIONS_FIX)
    for direction, value in given.items():
        if not isinstance(value, dict) or "results" not in value:
            raise PipelineError(f"{file} has no results under {direction}", _PREDICTIONS_FIX)
    return PredictionFile({key: value["results"] for key, value in given.items()}, hashlib.sha256(text).hexdigest())


def _unpacked(file: Path, fix: str) -> bytes:
    try:
        raw = file.read_bytes()
        return gzip.decompress(raw) if raw.startswith(_GZIP) else raw
    except FileNotFoundError:
        raise PipelineError(f"{file} does not exist", fix) from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise PipelineError(
            f"{file} cannot be unpacked: {error}", "it was cut off or damaged: fetch it again"
        ) from None
    except OSError as error:
        raise PipelineError(f"{file} cannot be read: {error.strerror}", fix) from None


def write_ground_truth(file: Path, annotations: Mapping[str, Any]) -> None:
    """Write a ground-truth file; the same content gives the same bytes.

    Args:
        annotations: take → `masks`, `subsample_idx`, `annotated_frames`, and what else it says.
    """
    _write(file, {**_STAMP, "annotations": annotations})


def write_predictions(file: Path, results: Mapping[Direction, Any]) -> None:
    """Write the results of one direction, or of both as a submission; the same content gives the same bytes.

    Args:
        results: direction → take → `masks` and `subsample_idx` (see `empty_results`).
    """
    _write(file, {key: {**_STAMP, "results": results[key]} for key in DIRECTIONS if key in results})


def _write(file: Path, content: Any) -> None:
    text = json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
    # Without time and name, which gzip would write into its head.
    write_whole(file, gzip.compress(text, mtime=0) if file.suffix == ".gz" else text)


def empty_results(truth: GroundTruth, direction: Direction) -> dict[str, Any]:
    """Results without any record, as the benchmark wants them around the records: an inference fills them in.

    Returns:
        Take → {"masks": {object: {"{source}_{target}": {}}}, "subsample_idx"}; objects that one view lacks are empty.
    """
    return {
        uid: {
            "masks": {
                name: {f"{source}_{target}": {} for source, target in camera_pairs(take, name, direction)}
                for name in take.masks
            },
            "subsample_idx": list(take.subsample_idx),
        }
        for uid, take in truth.annotations.items()
    }
