"""FastSAM by the package `ultralytics`, which is under the AGPL-3.0 like FastSAM's weights.

Never among the requirements of this project: who chooses it installs it from requirements-fastsam.txt. It is imported
here only, and kept from reaching out: no telemetry, no downloads, no installing of packages.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import PipelineError
from pipeline.models.weights import DeviceChoice, choose_device
from pipeline.ops.masks.rle import encode_rle
from pipeline.ops.proposals.generator import Picture
from pipeline.ops.proposals.tidy import Found

PACKAGE = "ultralytics"
OVERLAP = 0.9
"""IoU of boxes from which on two masks count as one, as in the published recipe."""
ANNOUNCEMENT = (
    "FastSAM: code (ultralytics) and weights are under the AGPL-3.0, which binds whoever passes on or serves what is "
    "built with them; PROPOSALS=sam2 is under the Apache-2.0"
)
ALONE = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}
"""Environment under which the package asks no server, installs nothing and keeps quiet. Read when it is imported."""
SAFE = "ULTRALYTICS_SAFE_LOAD"
"""Weights files are pickles; with this on, only known classes are made of them."""
SETTINGS_PLACE = "YOLO_CONFIG_DIR"
_own_settings = tempfile.TemporaryDirectory(prefix="egopipe_ultralytics_")  # removed when the process ends


class FastSam:
    """A loaded FastSAM and how it is asked."""

    def __init__(self, model: Any, device: str, options: dict[str, Any], source: dict[str, Any]) -> None:
        self.network = model.model
        self._model = model
        self._device = device
        self._options = options
        self._source = source
        self.is_parallel = False

    @property
    def settings(self) -> dict[str, Any]:
        """Weights and options."""
        return self._source | self._options

    def propose(self, picture: Picture) -> Sequence[Found]:
        """All masks, best first."""
        result = self._model.predict(
            np.ascontiguousarray(picture.rgb[..., ::-1]),  # the package takes arrays for BGR
            retina_masks=True,  # masks at the picture's own size
            device=self._device,
            save=False,
            verbose=False,
            **self._options,
        )[0]
        if result.masks is None:
            return []
        masks = result.masks.data.cpu().numpy() > 0.5
        scores = result.boxes.conf.cpu().tolist()
        return [Found(encode_rle(mask), round(score, 4)) for mask, score in zip(masks, scores, strict=True)]


def check_fastsam(weights: str) -> None:
    """Whether FastSAM can be loaded, before anything is.

    Raises:
        PipelineError: the package is not installed, or the weights are no file.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        raise PipelineError(
            "PROPOSALS=fastsam needs the package ultralytics (AGPL-3.0), which is not installed",
            "uv pip install -r requirements-fastsam.txt (or pip), or take PROPOSALS=sam2",
        )
    if not Path(weights).is_file():
        raise PipelineError(
            f"the weights of FastSAM are {weights!r}, which is no file",
            "download FastSAM-x.pt or FastSAM-s.pt (AGPL-3.0) from https://github.com/ultralytics/assets/releases and "
            "name the file with PROPOSALS_MODEL=",
        )


def load_fastsam(
    weights: str,
    device: DeviceChoice,
    *,
    confidence: float,
    overlap: float,
    imgsz: int,
    most: int,
    sha256: str,
    report: Callable[[str], None],
) -> FastSam:
    """Load FastSAM from a file.

    Args:
        most: masks of a picture at most.
        sha256: of the weights, for the record.

    Raises:
        PipelineError: the package is not installed, or the file holds no FastSAM.
    """
    check_fastsam(weights)
    report(ANNOUNCEMENT)
    package = _import_alone()
    place = choose_device(device)
    try:
        model = package.FastSAM(str(Path(weights).absolute()))
    except Exception as error:  # noqa: BLE001 — a pickle of unknown classes may raise anything
        raise PipelineError(
            f"{weights} cannot be loaded as FastSAM: {type(error).__name__}: {str(error).splitlines()[0]}",
            f"download the file again, set {SAFE}=false if you trust it, or take PROPOSALS=sam2",
        ) from None
    options = {"conf": confidence, "iou": overlap, "imgsz": imgsz, "max_det": most}
    source = {"model": Path(weights).name, "sha256": sha256, "ultralytics": str(package.__version__)}
    return FastSam(model, str(place), options, source)


def _import_alone() -> Any:
    """The package, cut off from the network and from its user's own settings."""
    os.environ.update(ALONE)
    os.environ.setdefault(SAFE, "true")
    os.environ.setdefault(SETTINGS_PLACE, _own_settings.name)
    package: Any = importlib.import_module(PACKAGE)
    package.settings.update({"sync": False})
    return package
