"""FastSAM: what is said where its package or weights are missing; where they are there, that it keeps to itself."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import PipelineError
from pipeline.models import fastsam
from pipeline.models.fastsam import check_fastsam, load_fastsam
from pipeline.ops.masks.rle import decode_rle
from pipeline.ops.proposals.generator import Picture

IS_INSTALLED = importlib.util.find_spec("ultralytics") is not None
ROOT = Path(__file__).parents[1]


def load(weights: Path, said: list[str]) -> Any:
    return load_fastsam(
        str(weights), "cpu", confidence=1e-6, overlap=0.9, imgsz=160, most=9, sha256="0", report=said.append
    )


def test_without_the_package_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fastsam, "PACKAGE", "no_such_package_here")
    with pytest.raises(PipelineError, match="not installed") as refused:
        check_fastsam(str(tmp_path))
    assert "requirements-fastsam.txt" in str(refused.value)
    assert "AGPL-3.0" in str(refused.value)


def test_without_weights_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fastsam, "PACKAGE", "numpy")
    with pytest.raises(PipelineError, match="no file") as refused:
        check_fastsam(str(tmp_path / "FastSAM-x.pt"))
    assert "PROPOSALS_MODEL=" in str(refused.value)


def test_the_package_is_no_requirement_of_the_project() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        assert "ultralytics" not in (ROOT / name).read_text()


@pytest.mark.skipif(not IS_INSTALLED, reason="ultralytics is installed on its own")
def test_a_random_fastsam_runs_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Any] = []

    def no_network(*place: Any, **more: Any) -> Any:
        asked.append(place)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    weights = _random_weights(tmp_path)
    said: list[str] = []
    generator = load(weights, said)
    assert "AGPL-3.0" in said[0]
    rgb = np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8)
    found = generator.propose(Picture("uid", "name", "cam", 0, rgb))
    assert 0 < len(found) <= 9
    assert decode_rle(found[0].counts, (90, 160)).any()
    assert generator.settings["ultralytics"]
    assert not asked
    assert not importlib.import_module("ultralytics").settings["sync"]
    (tmp_path / "damaged.pt").write_bytes(b"no weights")
    with pytest.raises(PipelineError, match="cannot be loaded as FastSAM"):
        load(tmp_path / "damaged.pt", said)


def _random_weights(folder: Path) -> Path:
    package = fastsam._import_alone()
    network = importlib.import_module("ultralytics.nn.tasks").SegmentationModel("yolov8n-seg.yaml", nc=1, verbose=False)
    network.names, network.args, network.task = {0: "object"}, {"task": "segment"}, "segment"
    model = package.YOLO("yolov8n-seg.yaml", task="segment")
    model.model = network
    model.save(str(folder / "FastSAM-t.pt"))
    return folder / "FastSAM-t.pt"
