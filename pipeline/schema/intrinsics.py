"""A head camera's calibration as the data set publishes it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.schema.base import ForeignModel


class Intrinsics(ForeignModel):
    """OpenCV fisheye (Kannala–Brandt) calibration; one `intrinsics.json` per worker.

    Focal lengths and centre are pixels of a picture of `image_width` × `image_height`.
    """

    model: Literal["fisheye"]
    image_width: int = Field(gt=0, le=16384)
    image_height: int = Field(gt=0, le=16384)
    fx: float = Field(gt=0)
    fy: float = Field(gt=0)
    cx: float
    cy: float
    k1: float
    k2: float
    k3: float
    k4: float
