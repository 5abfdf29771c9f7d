"""What a proposal generator is, whatever stands behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.ops.proposals.tidy import Found


@dataclass(frozen=True)
class Picture:
    """One stored frame.

    Attributes:
        rgb: HWC uint8 RGB.
    """

    take_uid: str
    take_name: str
    camera: str
    frame: int
    rgb: NDArray[np.uint8]

    @property
    def size_wh(self) -> tuple[int, int]:
        """Pixels."""
        return self.rgb.shape[1], self.rgb.shape[0]


class Generator(Protocol):
    """Finds masks that may be objects."""

    @property
    def settings(self) -> dict[str, Any]:
        """All that shapes its masks, JSON-shaped."""

    @property
    def is_parallel(self) -> bool:
        """Whether several pictures may be looked at at the same time, in threads."""

    def propose(self, picture: Picture) -> Sequence[Found] | None:
        """Masks at the picture's size; None where the generator knows nothing of this picture."""
