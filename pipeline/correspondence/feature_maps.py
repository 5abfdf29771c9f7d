"""Feature maps by take, camera and frame, as the phase `features` left them."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.ops.features.maps import FeatureMap
from pipeline.ops.features.npy import open_array
from pipeline.schema.base import read_model
from pipeline.schema.features import CameraFeatures, FeatureSource

CAMERA_FILE = "camera.json"
_AGAIN = "make them again: REDO=features, with the same BACKBONE= and BACKBONE_WEIGHTS= for all takes"


class FeatureMaps:
    """All maps of one backbone and data set. They are opened, not read: only pages that are used come from the disk.

    Args:
        folder: features/{backbone} of a data set.
        backbone: whose maps they have to be.
    """

    def __init__(self, folder: Path, backbone: str) -> None:
        self.folder, self.backbone = folder, backbone
        self._cameras: dict[tuple[str, str], CameraFeatures] = {}
        self._grids: dict[tuple[str, str], set[tuple[int, int]]] = {}
        self._first: tuple[Path, FeatureSource] | None = None

    @property
    def source(self) -> FeatureSource:
        """What made the maps.

        Raises:
            PipelineError: there are none.
        """
        if self._first is None:
            found = next(self.folder.glob(f"*/*/{CAMERA_FILE}"), None)
            if found is None:
                raise PipelineError(f"{self.folder} holds no features", f"make them: features BACKBONE={self.backbone}")
            self.camera(found.parent.parent.name, found.parent.name)
        assert self._first
        return self._first[1]

    @property
    def dim(self) -> int:
        """Width of a token."""
        return self.source.dim

    def camera(self, take_uid: str, camera: str) -> CameraFeatures:
        """What is there of one camera.

        Raises:
            PipelineError: nothing, or maps of another backbone, other weights or other settings than elsewhere.
        """
        known = self._cameras.get((take_uid, camera))
        if known:
            return known
        file = self.folder / take_uid / camera / CAMERA_FILE
        fix = f"make them: features BACKBONE={self.backbone} with the same SCENARIO= or NAME="
        if not file.is_file():
            raise PipelineError(f"there are no features of {self.backbone} for {camera} of take {take_uid}", fix)
        made = read_model(file, CameraFeatures, _AGAIN)
        if made.source.backbone != self.backbone:
            raise PipelineError(
                f"{file.parent} holds features of {made.source.backbone}, not of {self.backbone}",
                f"use BACKBONE={made.source.backbone}, or {_AGAIN}",
            )
        if self._first is None:
            self._first = file, made.source
        elif differences := made.source.differences(self._first[1]):
            raise PipelineError(
                f"features of two sources: {file.parent} and {self._first[0].parent} have {'; '.join(differences)}",
                _AGAIN,
            )
        self._cameras[take_uid, camera] = made
        self._grids[take_uid, camera] = {grid.grid_hw for grid in made.grids}
        return made

    def read(self, take_uid: str, camera: str, frame: int) -> FeatureMap:
        """The map of one picture, float16, mapped from its file.

        Raises:
            PipelineError: it is not there, is damaged, or was made otherwise than those read before.
        """
        source = self.camera(take_uid, camera).source
        file = self.folder / take_uid / camera / f"{frame}.npy"
        try:
            tokens = open_array(file)
        except FileNotFoundError:
            raise PipelineError(
                f"there are no features of {self.backbone} for frame {frame} of {camera}, take {take_uid}",
                "the picture was not there, or did not open, when they were made; egoexo-check names such pictures",
            ) from None
        except (OSError, ValueError) as error:
            raise PipelineError(f"{file} cannot be read: {error}", _AGAIN) from None
        of_grid = tokens.ndim == 3 and tokens.shape[:2] in self._grids[take_uid, camera]
        if not of_grid or tokens.shape[2] != source.dim or tokens.dtype != "float16":
            raise PipelineError(
                f"{file} holds {tokens.dtype} of shape {tokens.shape}, which {CAMERA_FILE} beside it does not know: "
                f"it expects float16, {source.dim} wide, on a grid of {sorted(self._grids[take_uid, camera])}",
                _AGAIN,
            )
        return FeatureMap(tokens, source.patch)
