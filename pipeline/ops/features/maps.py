"""One picture's features, whichever file they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class FeatureMap:
    """The tokens of one picture.

    Attributes:
        tokens: (h, w, C) float16 or float32, row-major; may be mapped from its file and then is read-only.
        patch: pixels of the resized picture, along a side, that a token stands for.
    """

    tokens: NDArray[np.floating[Any]]
    patch: int

    @property
    def grid_hw(self) -> tuple[int, int]:
        """Rows and columns of tokens."""
        return self.tokens.shape[0], self.tokens.shape[1]

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width of the resized picture: the pixels in which boxes and masks are meant when it is pooled."""
        return self.tokens.shape[0] * self.patch, self.tokens.shape[1] * self.patch


class FeatureReader(Protocol):
    """Where feature maps come from."""

    @property
    def dim(self) -> int:
        """Width of a token: C. Known once a map was read or could be."""

    def read(self, take_uid: str, camera: str, frame: int) -> FeatureMap:
        """The map of one picture.

        Raises:
            PipelineError: it is not there, is damaged, or was made otherwise than those read before.
        """
