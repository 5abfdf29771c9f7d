"""What phases that read a whole processed data set depend on."""

from __future__ import annotations

from pathlib import Path

from pipeline.egoexo.processed import is_processed, read_split, take_files
from pipeline.paths import Paths


def processed_inputs(paths: Paths, dataset: str) -> dict[str, Path]:
    """split.json and both files of each take that is processed; split.json alone where it is not there yet.

    Raises:
        PipelineError: split.json is no valid one.
    """
    files = {"split": paths.split_file(dataset)}
    if not files["split"].is_file():
        return files
    for take_uid in (uid for uids in read_split(paths, dataset).values() for uid in uids):
        if is_processed(paths, dataset, take_uid):
            files |= {f"{take_uid}/{file.name}": file for file in take_files(paths, dataset, take_uid)}
    return files
