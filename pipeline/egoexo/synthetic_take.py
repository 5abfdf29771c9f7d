"""What one made-up take is to hold: cameras, objects, and which moments an annotator looked at."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.ops.pictures.table_scene import THINGS, TableScene
from pipeline.schema.egoexo_release import Split

FPS = 30
STEP_FRAMES = 30
"""Annotated frames are this far apart: one a second."""
UNANNOTATED_SHARE = 0.1
_NAMESPACE = uuid.UUID("5b2c64be-3b0b-4f0f-9c80-62d6d1f5e0a1")


@dataclass(frozen=True)
class TakeSpec:
    """One take to make.

    Attributes:
        take_name: folder below takes/; without its last `_number` it names the capture.
        scenario: text of the relations file, and the task's name.
        parent_task: as takes.json has it: `Cooking`, `Health`; health takes get a clinic's things, others a kitchen's.
        ego_camera: as in file names; `214-1` is the stream.
        exo: cameras around the table and the size of their pictures, width × height.
        ego_size_wh: width × height.
        frames: of each video, at 30 fps.
        keyframe_interval: frames from one keyframe to the next.
        codec: `libx264` or `libx265`.
        downscaled: whether there are small videos as well.
        university: decides the bucket of the videos.
    """

    take_name: str
    scenario: str
    parent_task: str
    split: Split
    ego_camera: str = "aria01_214-1"
    exo: tuple[tuple[str, tuple[int, int]], ...] = (("cam01", (3840, 2160)), ("cam02", (3840, 2160)))
    ego_size_wh: tuple[int, int] = (1408, 1408)
    frames: int = 240
    keyframe_interval: int = 30
    codec: str = "libx264"
    seed: int = 0
    downscaled: bool = True
    university: str = "cmu"

    @property
    def take_uid(self) -> str:
        """Always the same for one name."""
        return made_uid(self.take_name)

    @property
    def cameras(self) -> dict[str, tuple[int, int]]:
        """Size of each camera, the head's first."""
        return {self.ego_camera: self.ego_size_wh, **dict(self.exo)}

    @property
    def capture_name(self) -> str:
        """The recording session."""
        return self.take_name.rpartition("_")[0] or self.take_name

    @property
    def duration_s(self) -> float:
        """Seconds of each video."""
        return self.frames / FPS

    @property
    def steps(self) -> list[int]:
        """Frames that the annotators were shown."""
        return list(range(0, self.frames, STEP_FRAMES))

    @cached_property
    def scene(self) -> TableScene:
        """The scene, whose every moment can be drawn again."""
        return TableScene("clinic" if self.parent_task == "Health" else "kitchen", self.seed)

    @cached_property
    def annotated(self) -> dict[int, dict[str, list[int]]]:
        """Thing → camera → frames that were looked at, ascending.

        One thing has no track in the head's camera, another none in the last camera of several around the table, and in
        test takes a third none around the table at all. A tenth of what is left is not annotated, but no track wholly.
        """
        random = np.random.default_rng([self.seed, 7])
        no_ego, no_last, only_ego = (int(thing) for thing in random.permutation(THINGS)[:3])
        found: dict[int, dict[str, list[int]]] = {}
        for thing in range(THINGS):
            cameras = list(self.cameras)
            if thing == no_ego:
                cameras.remove(self.ego_camera)
            if thing == no_last and len(self.exo) > 1:
                cameras.remove(self.exo[-1][0])
            if thing == only_ego and self.split == "test":
                cameras = [self.ego_camera]
            found[thing] = {camera: list(self.steps) for camera in cameras}
        cells = [(thing, camera, step) for thing, of in found.items() for camera, steps in of.items() for step in steps]
        to_remove = max(1, round(UNANNOTATED_SHARE * len(cells)))
        for cell in random.permutation(len(cells)):
            thing, camera, step = cells[int(cell)]
            if to_remove and len(found[thing][camera]) > 1:
                found[thing][camera].remove(step)
                to_remove -= 1
        return found


def made_uid(name: str) -> str:
    """A uid that depends on the name only."""
    return str(uuid.uuid5(_NAMESPACE, name))
