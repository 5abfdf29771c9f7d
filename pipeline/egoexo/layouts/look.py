"""Which layout a folder is in."""

from __future__ import annotations

from pathlib import Path

from pipeline.egoexo.layouts.custom import DATASET_FILE, MASKS, look_custom
from pipeline.egoexo.layouts.processed import look_baseline, look_omama
from pipeline.egoexo.layouts.tree import Tree
from pipeline.errors import PipelineError
from pipeline.schema.egoexo_release import SPLITS

LOOK = {"baseline": look_baseline, "omama": look_omama, "custom": look_custom}


def look(source: str, layout: str) -> Tree:
    """Look through somebody's folder.

    Args:
        source: the folder.
        layout: a key of LOOK, or `auto`.

    Raises:
        PipelineError: no folder, one of no known layout, or not of the layout that was named.
    """
    if not source:
        raise PipelineError("it is not said what to import", "FROM=folder")
    root = Path(source).absolute()
    if not root.is_dir():
        raise PipelineError(
            f"FROM={source} is no folder", "give the folder that split.json, processed/ or the takes lie in"
        )
    return LOOK[_layout_of(root) if layout == "auto" else layout](root)


def _layout_of(root: Path) -> str:
    if (root / "processed").is_dir() or (root / "dataset_jsons").is_dir():
        return "omama"
    folders = [root, *(root / split for split in SPLITS)]
    if any(next(folder.glob("*/annotation.json"), None) for folder in folders):
        return "baseline"
    if (root / DATASET_FILE).is_file() or any(place.is_dir() for place in root.glob(f"*/{MASKS}")):
        return "custom"
    raise PipelineError(
        f"{root} is in no layout that is known: no processed/, no {{take}}/annotation.json, no {{take}}/{MASKS}/",
        "docs/custom-data.md shows how one's own data are laid out; LAYOUT= says it where it cannot be seen",
    )
