"""A data set of one's own in the custom layout, tiny: two takes of photos with one PNG an object and picture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.config_egoexo import CheckKnobs, ImportKnobs, PairsKnobs
from pipeline.console import Console
from pipeline.paths import Paths
from pipeline.phases import phase
from pipeline.runner import Summary, run_phase
from pipeline.schema.base import read_model
from pipeline.schema.egoexo_reports import CheckReport
from pipeline.schema.egoexo_take import TakeAnnotation, TakeFacts
from pipeline.schema.manifest import Manifest

SIZES_WH = {"ego": (40, 40), "cam1": (60, 40)}
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class World:
    """A source folder and a data folder; the data set is called `mine`."""

    root: Path
    paths: Paths
    name: str = "mine"

    def photo(
        self, take: str, camera: str, frame: int, file_name: str = "", size_wh: tuple[int, int] | None = None
    ) -> Path:
        """One photo of coloured noise."""
        width, height = size_wh or SIZES_WH[camera]
        file = self.root / take / camera / (file_name or f"{frame}.jpg")
        file.parent.mkdir(parents=True, exist_ok=True)
        coarse = np.random.default_rng(frame).integers(0, 256, (4, 4, 3), np.uint8)
        assert cv2.imwrite(str(file), cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))
        return file

    def mask(
        self, take: str, camera: str, name: str, frame: int, box: Box | None, size_wh: tuple[int, int] | None = None
    ) -> Path:
        """One object's PNG: a white box on black; None: all black."""
        return self.png(f"{take}/masks/{camera}/{name}/{frame}.png", pixels(size_wh or SIZES_WH[camera], box))

    def png(self, place: str, picture: NDArray[np.generic]) -> Path:
        """Any PNG."""
        file = self.root / place
        file.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(file), picture)
        return file

    def dataset(self, **content: Any) -> None:
        """dataset.json."""
        (self.root / "dataset.json").write_text(json.dumps(content))

    def coco(self, take: str, camera: str, content: Mapping[str, Any]) -> None:
        """masks/{camera}.json."""
        file = self.root / take / "masks" / f"{camera}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))

    def bring(self, redo: bool = False, **knobs: Any) -> Summary:
        """Run egoexo-import."""
        given = ImportKnobs(**{"name": self.name, "source": str(self.root)} | knobs)
        return run_phase(
            phase("egoexo-import"), [self.name], given, self.paths, Console(), ["egoexo-import"] if redo else []
        )

    def check(self) -> CheckReport:
        """Run egoexo-pairs where pair files are lacking, and egoexo-check."""
        if not self.paths.pairs(self.name, "test", "exoego").exists():
            assert run_phase(phase("egoexo-pairs"), [self.name], PairsKnobs(), self.paths, Console()).made
        run_phase(phase("egoexo-check"), [self.name], CheckKnobs(), self.paths, Console())
        return read_model(self.paths.report(self.name, "check"), CheckReport, "")

    def annotation(self, take: str) -> TakeAnnotation:
        """annotation.json of an imported take."""
        return read_model(self.paths.take_annotation(self.name, take), TakeAnnotation, "")

    def facts(self, take: str) -> TakeFacts:
        """take.json of an imported take."""
        return read_model(self.paths.take_facts(self.name, take), TakeFacts, "")

    def manifest(self) -> Manifest:
        """What the import says of itself."""
        return read_model(self.paths.manifest("egoexo-import", self.name), Manifest, "")

    def frame(self, take: str, camera: str, frame: int) -> Path:
        """An imported picture."""
        return self.paths.frame(self.name, take, camera, frame)


def pixels(size_wh: tuple[int, int], box: Box | None, value: int = 255) -> NDArray[np.uint8]:
    """A picture of zeros with a box x, y, width, height of one value."""
    picture = np.zeros(size_wh[::-1], np.uint8)
    if box:
        x, y, width, height = box
        picture[y : y + height, x : x + width] = value
    return picture


def custom_world(folder: Path) -> World:
    """Two takes; in each a mug and a cup with a mask in both views at 0, and at 30 in one view only."""
    world = World(folder / "source", Paths(folder / "data"))
    for take in ("one", "two"):
        for camera in SIZES_WH:
            for frame in (0, 30):
                world.photo(take, camera, frame)
        for camera in SIZES_WH:
            world.mask(take, camera, "mug", 0, (2, 3, 10, 12))
            world.mask(take, camera, "cup 1", 0, (20, 20, 8, 8))
        world.mask(take, "ego", "mug", 30, (5, 5, 9, 9))
        world.mask(take, "cam1", "mug", 30, None)
        world.mask(take, "cam1", "cup 1", 30, (22, 20, 8, 8))
    return world
