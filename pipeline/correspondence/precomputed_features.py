"""Feature maps in the layout of O-MaMa's derivative: precomputed_features/{take}/{camera}/{frame}_{source|dest}.npz."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from pipeline.errors import PipelineError
from pipeline.models.backbones import backbone_named
from pipeline.ops.features.maps import FeatureMap

KEY = "features"
ROLES = ("source", "dest")
"""Both hold the same: a picture's features do not depend on its role, so that one direction's files serve the other."""


class PrecomputedFeatures:
    """A tree of that layout, read through the same interface as our own.

    Its files say how wide their tokens are, but neither which backbone made them nor its patch.

    Args:
        folder: precomputed_features.
        backbone: what made them.

    Raises:
        PipelineError: there is no such folder or backbone.
    """

    def __init__(self, folder: Path, backbone: str) -> None:
        if not folder.is_dir():
            raise PipelineError(f"there is no folder {folder}", "give a precomputed_features folder")
        self.folder, self.row = folder, backbone_named(backbone)

    @property
    def dim(self) -> int:
        """Width of a token, which every file is checked against."""
        return self.row.published.dim

    def read(self, take_uid: str, camera: str, frame: int) -> FeatureMap:
        """The map of one picture, float32, decompressed into memory.

        Raises:
            PipelineError: it is not there, is damaged, or is not as wide as the backbone's.
        """
        places = [self.folder / take_uid / camera / f"{frame}_{role}.npz" for role in ROLES]
        file = next((place for place in places if place.is_file()), None)
        if file is None:
            raise PipelineError(
                f"there is neither {places[0]} nor {places[1].name}", "make the features with EgoPipe: features"
            )
        try:
            with np.load(file, allow_pickle=False) as content:
                features = content[KEY]
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise PipelineError(
                f"{file} cannot be read: {error}", "make it again; it needs an array `features`"
            ) from None
        if features.ndim != 4 or features.shape[0] != 1 or features.dtype != np.float32:
            raise PipelineError(
                f"{file} holds {features.dtype} of shape {features.shape}, expected float32 of (1, C, h, w)",
                "make it again",
            )
        if features.shape[1] != self.dim:
            raise PipelineError(
                f"{file} holds features of width {features.shape[1]}, and {self.row.name} has {self.dim}",
                "name the backbone that made them: BACKBONE=",
            )
        return FeatureMap(np.ascontiguousarray(features[0].transpose(1, 2, 0)), self.row.published.patch)
