"""camera.json beside a camera's feature files: what made them, and the grids they lie on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pipeline.schema.base import OwnModel

Pixels = Annotated[int, Field(gt=0)]


class FeatureSource(OwnModel):
    """What made feature maps. Maps of two sources must not meet in one run, and their reader sees to that."""

    backbone: str
    """Row of the registry."""
    weights: str
    """Name on the hub, or of the file or folder that was given."""
    revision: str | None
    """Commit on the hub; None for files of one's own."""
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the weights file, or over those of all weights files in the order of their names."""
    dim: int = Field(gt=0)
    patch: int = Field(gt=0)
    """Pixels of the resized picture, along a side, that a token stands for."""
    computed_in: Literal["float16", "float32"]
    resize: Literal["area", "nearest"]
    scale: float = Field(gt=0)
    """Tokens along a side, against the usual number."""

    def differences(self, other: FeatureSource) -> list[str]:
        """What of this makes maps that cannot be compared with the other's, in words; where files lay does not."""
        names = ("backbone", "weights_sha256", "dim", "patch", "resize", "scale")
        pairs = {name: (getattr(self, name), getattr(other, name)) for name in names}
        return [f"{name} {a} and {b}" for name, (a, b) in pairs.items() if a != b]


class FeatureGrid(OwnModel):
    """Grid of all pictures of one size."""

    picture_size_wh: tuple[Pixels, Pixels]
    """As stored."""
    input_size_wh: tuple[Pixels, Pixels]
    """Tokens times patch: the pixels in which boxes and masks are meant when the maps are pooled."""
    grid_hw: tuple[Pixels, Pixels]
    """Tokens."""


class CameraFeatures(OwnModel):
    """features/{backbone}/{take_uid}/{camera}/camera.json; the maps are `{frame}.npy` beside it."""

    source: FeatureSource
    grids: list[FeatureGrid]
    """By picture size, each once."""
    frames: list[int]
    """Ascending."""
