"""Names of pair files: the six of the contract, and those that samplers have given theirs."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.egoexo.layouts.pictures import visible_files
from pipeline.errors import PipelineError
from pipeline.schema.egoexo_pairs import Setting
from pipeline.schema.egoexo_release import Split

PAIR_FILE = re.compile(r"^(?:custom_)?(train|val|test)_(egoexo|exoego)_(?:.*_)?pairs(?:_.*)?\.json$")
"""`train_egoexo_pairs.json`, `train_exoego_20percent_pairs.json`, `custom_val_egoexo_pairs_10.json`."""


def find_pair_files(folder: Path) -> dict[tuple[Split, Setting], Path]:
    """The pair file of each split and setting; one of the plain name goes before a sample.

    Raises:
        PipelineError: two samples of the same pairs.
    """
    found: dict[tuple[Split, Setting], list[Path]] = {}
    for file in visible_files(folder):
        if match := PAIR_FILE.match(file.name):
            split: Split = "train" if match[1] == "train" else "val" if match[1] == "val" else "test"
            setting: Setting = "egoexo" if match[2] == "egoexo" else "exoego"
            found.setdefault((split, setting), []).append(file)
    chosen: dict[tuple[Split, Setting], Path] = {}
    for (split, setting), files in found.items():
        plain = [file for file in files if file.name == f"{split}_{setting}_pairs.json"]
        if not plain and len(files) > 1:
            raise PipelineError(
                f"{folder} has {len(files)} pair files for {split} {setting}: {', '.join(file.name for file in files)}",
                f"call the one to import {split}_{setting}_pairs.json",
            )
        chosen[split, setting] = (plain or files)[0]
    return chosen
