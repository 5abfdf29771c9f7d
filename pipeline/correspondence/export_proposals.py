"""`export-proposals`: proposals in O-MaMa's tree, for its own code and its derivatives."""

from __future__ import annotations

from pathlib import Path

from pipeline.config import CommonKnobs
from pipeline.config_correspondence import ExportProposalsKnobs
from pipeline.console import Console
from pipeline.correspondence.data_set import data_set_folder
from pipeline.errors import PipelineError
from pipeline.ops.proposals.omama import tree_name, write_frame
from pipeline.schema.base import read_model
from pipeline.schema.egoexo_release import SPLITS, SplitFile
from pipeline.schema.egoexo_take import TakeFacts
from pipeline.schema.proposals import CameraProposals


def main(knobs: ExportProposalsKnobs, common: CommonKnobs, console: Console) -> int:
    """Write the masks of ego cameras as targets of exo→ego, those of exo cameras as targets of ego→exo."""
    if not (knobs.data_set and knobs.out):
        raise PipelineError(
            "export-proposals needs --data-set and --out", "see `python -m pipeline export-proposals --help`"
        )
    folder = data_set_folder(knobs.data_set, common.data)
    splits = read_model(folder / "split.json", SplitFile, "make it first: egoexo-index or egoexo-import")
    takes = [(split, uid) for split in SPLITS for uid in dict.fromkeys(getattr(splits, split))]
    console.progress.start(len(takes), "writing masks", "takes")
    frames = 0
    for split, uid in takes:
        facts = read_model(folder / uid / "take.json", TakeFacts, "make the take first: egoexo-process")
        for camera, of_camera in sorted(facts.cameras.items()):
            file = folder / "proposals" / knobs.proposals / uid / f"{camera}.json"
            if not file.is_file() and not of_camera.frames:
                continue
            given = read_model(file, CameraProposals, "make them first: bash run.sh proposals")
            place = Path(knobs.out) / tree_name(split, "exoego" if of_camera.is_ego else "egoexo") / uid / camera
            for frame, proposals in given.frames.items():
                write_frame(place, frame, proposals, given.size_wh)
            frames += len(given.frames)
        console.progress.advance()
    console.progress.stop()
    if not frames:
        raise PipelineError(f"{folder} has no {knobs.proposals} proposals", "make them first: bash run.sh proposals")
    console.good(f"{knobs.out}: masks of {frames} frames")
    return 0
