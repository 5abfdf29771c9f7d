"""Writes a pair file and its typed file together, so that pair k always stands on line k of both."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Literal

from pipeline.ops.egoexo.tracks import Pair
from pipeline.schema.egoexo_pairs import Setting, TypedPair, VirtualPath, Visibility
from pipeline.schema.egoexo_release import Split

STATES: tuple[Visibility, ...] = ("present", "absent", "unannotated")


def virtual_paths(data_dir: str, take_uid: str, pair: Pair) -> tuple[str, str, str, str]:
    """Ego picture, ego mask, exo picture, exo mask: in both settings.

    Raises:
        PipelineError: a name that no path can hold.
    """

    def path(camera: str, kind: Literal["rgb", "mask"]) -> str:
        return str(VirtualPath(data_dir, take_uid, camera, pair.object, kind, pair.frame))

    ego, exo = pair.ego_camera, pair.exo_camera
    return path(ego, "rgb"), path(ego, "mask"), path(exo, "rgb"), path(exo, "mask")


class PairWriter:
    """Open both files, add pairs one at a time, close them: memory does not grow with their number."""

    def __init__(self, pairs_file: Path, typed_file: Path, data_dir: str, split: Split, setting: Setting) -> None:
        self.targets: dict[Visibility, int] = dict.fromkeys(STATES, 0)
        """State of the target → pairs so far."""
        self._files, self._data_dir, self._split, self._setting = (pairs_file, typed_file), data_dir, split, setting

    def __enter__(self) -> PairWriter:
        pairs_file, typed_file = self._files
        self._pairs = pairs_file.open("w", encoding="utf-8")
        self._typed = typed_file.open("w", encoding="utf-8")
        self._pairs.write("[")
        return self

    def add(self, take_uid: str, pair: Pair) -> None:
        """One pair more."""
        separator = ",\n" if any(self.targets.values()) else ""
        self._pairs.write(separator + json.dumps(virtual_paths(self._data_dir, take_uid, pair)))
        typed = TypedPair(
            split=self._split,
            setting=self._setting,
            take_uid=take_uid,
            object=pair.object,
            ego_camera=pair.ego_camera,
            exo_camera=pair.exo_camera,
            frame=pair.frame,
            target=pair.target,
        )
        self._typed.write(typed.model_dump_json() + "\n")
        self.targets[pair.target] += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._pairs.write("]\n")
        self._pairs.close()
        self._typed.close()
