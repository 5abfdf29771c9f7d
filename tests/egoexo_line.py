"""The Ego-Exo4D line up to egoexo-process on a small made-up release, which a test may harm before it runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config_egoexo import IndexKnobs, ProcessKnobs
from pipeline.console import Console
from pipeline.egoexo.synthetic import flatten_release
from pipeline.paths import Paths
from pipeline.phases import phase
from pipeline.runner import Summary, run_phase
from pipeline.schema.base import read_model
from pipeline.schema.egoexo_release import SPLITS, SplitFile
from pipeline.schema.egoexo_take import TakeAnnotation, TakeFacts
from pipeline.schema.manifest import Manifest
from tests.egoexo_world import SMALL_TAKES, small_release

TRAIN, VAL, TEST = (take.take_uid for take in SMALL_TAKES[:3])
NAMES = {take.take_uid: take.take_name for take in SMALL_TAKES}
EGO = SMALL_TAKES[0].ego_camera


@dataclass
class Line:
    """One release folder and one data folder; the data set is `cooking`, a take in each split."""

    release: Path
    paths: Paths

    @classmethod
    def make(cls, folder: Path) -> Line:
        """A release of its own, as the client would have made it."""
        small_release(folder / "s3")
        flatten_release(folder / "s3", folder / "release")
        return cls(folder / "release", Paths(folder / "data"))

    def video(self, take_uid: str, camera: str) -> Path:
        """Full-size video of a camera."""
        return self.release / "takes" / NAMES[take_uid] / "frame_aligned_videos" / f"{camera}.mp4"

    def small_video(self, take_uid: str, camera: str) -> Path:
        """Downscaled video of a camera."""
        return self.video(take_uid, camera).parent / "downscaled" / "448" / f"{camera}.mp4"

    def replace_video(self, take_uid: str, camera: str, content: bytes | None) -> None:
        """Put something else in place of both sizes, or nothing."""
        for file in (self.video(take_uid, camera), self.small_video(take_uid, camera)):
            file.unlink()
            if content is not None:
                file.write_bytes(content)

    def object_masks(self, take_uid: str) -> dict[str, Any]:
        """The release's own subtree."""
        return self._relations(take_uid)[1]["annotations"][take_uid]["object_masks"]

    def edit(self, take_uid: str, change: Callable[[dict[str, Any]], None]) -> None:
        """Change a take's `object_masks` in the release."""
        file, relations = self._relations(take_uid)
        change(relations["annotations"][take_uid]["object_masks"])
        file.unlink()
        file.write_text(json.dumps(relations))

    def _relations(self, take_uid: str) -> tuple[Path, dict[str, Any]]:
        for split in SPLITS:
            file = self.release / "annotations" / f"relations_{split}.json"
            relations = json.loads(file.read_text())
            if take_uid in relations["annotations"]:
                return file, relations
        raise KeyError(take_uid)

    def index(self, scenario: str = "cooking") -> None:
        """Run egoexo-index."""
        knobs = IndexKnobs(scenario=scenario, release=str(self.release))
        assert run_phase(phase("egoexo-index"), [scenario], knobs, self.paths, Console()).made == [scenario]

    def units(self, scenario: str = "cooking") -> list[str]:
        """`{scenario}/{take_uid}` of the takes in split.json."""
        splits = read_model(self.paths.split_file(scenario), SplitFile, "")
        return [f"{scenario}/{uid}" for uid in (*splits.train, *splits.val, *splits.test)]

    def process(self, *takes: str, redo: bool = False, **knobs: Any) -> Summary:
        """Run egoexo-process on these takes (all without any); full-size videos of the release unless told else."""
        given = ProcessKnobs(**{"scenario": "cooking", "release": str(self.release), "parts": ("takes",)} | knobs)
        units = [f"{given.scenario}/{uid}" for uid in takes] or self.units(given.scenario)
        return run_phase(
            phase("egoexo-process"), units, given, self.paths, Console(), ["egoexo-process"] if redo else []
        )

    def folder(self, take_uid: str) -> Path:
        """Where a processed take lies."""
        return self.paths.take_dir("cooking", take_uid)

    def annotation(self, take_uid: str) -> TakeAnnotation:
        """annotation.json."""
        return read_model(self.paths.take_annotation("cooking", take_uid), TakeAnnotation, "")

    def facts(self, take_uid: str) -> TakeFacts:
        """take.json."""
        return read_model(self.paths.take_facts("cooking", take_uid), TakeFacts, "")

    def manifest(self, take_uid: str) -> Manifest:
        """What made the take."""
        return read_model(self.paths.manifest("egoexo-process", f"cooking/{take_uid}"), Manifest, "")

    def frames(self, take_uid: str, camera: str) -> list[int]:
        """Pictures on disk."""
        return sorted(int(file.stem) for file in (self.folder(take_uid) / camera).glob("*.jpg"))


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
