"""Reading one picture's features from the disk, against the compressed npz that others store.

A map of 50×50 tokens of 768 numbers, as a ViT-B makes of an ego picture. Random values, with the few large channels and
the likeness of neighbours that trained backbones have: what zlib makes of them is what it makes of real ones.
Each reader ends with the whole map in memory as float32, which is what pooling takes.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.table import Row, print_table
from pipeline.correspondence.feature_maps import CAMERA_FILE, FeatureMaps
from pipeline.correspondence.precomputed_features import PrecomputedFeatures
from pipeline.ops.features.npy import write_array
from pipeline.schema.base import write_model
from pipeline.schema.features import CameraFeatures, FeatureGrid, FeatureSource

GRID_HW, DIM, PATCH = (50, 50), 768, 14
BACKBONE = "dinov2-b"
PICTURES = 24
ROUNDS = 5
REQUIRED = 8.0
TAKE, CAMERA = "take", "camera"


def feature_map(random: np.random.Generator) -> NDArray[np.float32]:
    """(h, w, C): smooth over the picture, plus noise of each token."""
    coarse = random.standard_normal((13, 13, DIM)).astype(np.float32)
    smooth = np.stack(
        [cv2.resize(coarse[..., i], GRID_HW[::-1], interpolation=cv2.INTER_CUBIC) for i in range(DIM)], -1
    )
    scales = np.exp(random.normal(0, 0.5, DIM)).astype(np.float32)
    return (smooth + 0.5 * random.standard_normal(smooth.shape).astype(np.float32)) * scales


def write(root: Path) -> None:
    """The same maps in all three forms."""
    random = np.random.default_rng(0)
    own, theirs, half = root / "own" / TAKE / CAMERA, root / "theirs" / TAKE / CAMERA, root / "half"
    for folder in (own, theirs, half):
        folder.mkdir(parents=True)
    for frame in range(PICTURES):
        tokens = feature_map(random)
        write_array(own / f"{frame}.npy", tokens.astype(np.float16))
        np.savez_compressed(half / f"{frame}.npz", features=tokens.astype(np.float16))
        np.savez_compressed(theirs / f"{frame}_dest.npz", features=tokens.transpose(2, 0, 1)[None])
    source = FeatureSource(
        backbone=BACKBONE, weights="random", revision=None, weights_sha256="0" * 64, dim=DIM, patch=PATCH,
        computed_in="float32", resize="area", scale=1.0,
    )  # fmt: skip
    grid = FeatureGrid(picture_size_wh=(704, 704), input_size_wh=(700, 700), grid_hw=GRID_HW)
    write_model(own / CAMERA_FILE, CameraFeatures(source=source, grids=[grid], frames=list(range(PICTURES))))


def seconds(read: Callable[[int], torch.Tensor]) -> float:
    """Of one picture; the best round."""
    rounds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for frame in range(PICTURES):
            read(frame)
        rounds.append((time.perf_counter() - started) / PICTURES)
    return min(rounds)


def megabytes(folder: Path, pattern: str) -> float:
    """Of one picture's file."""
    return sum(file.stat().st_size for file in folder.rglob(pattern)) / PICTURES / 1e6


def run() -> list[Row]:
    """The rows of this file."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            return _rows(Path(folder))
    finally:
        torch.set_num_threads(threads)


def _rows(root: Path) -> list[Row]:
    write(root)
    maps, tree = FeatureMaps(root / "own", BACKBONE), PrecomputedFeatures(root / "theirs", BACKBONE)

    def mapped(frame: int) -> torch.Tensor:
        # torch widens six times faster than NumPy; the copy is because it wants memory that it may write to.
        return torch.from_numpy(np.array(maps.read(TAKE, CAMERA, frame).tokens)).float()

    def half_npz(frame: int) -> torch.Tensor:
        with np.load(root / "half" / f"{frame}.npz") as content:
            return torch.from_numpy(content["features"]).float()

    def own_reader_of_theirs(frame: int) -> torch.Tensor:
        return torch.from_numpy(tree.read(TAKE, CAMERA, frame).tokens)

    def plain_npz(frame: int) -> torch.Tensor:
        with np.load(root / "theirs" / TAKE / CAMERA / f"{frame}_dest.npz") as content:
            return torch.from_numpy(content["features"])

    assert torch.equal(mapped(0), half_npz(0))
    torch.testing.assert_close(mapped(0), own_reader_of_theirs(0), rtol=1e-3, atol=1e-3)
    own_s = seconds(mapped)
    sizes = {
        "own": megabytes(root / "own", "*.npy"),
        "half": megabytes(root / "half", "*.npz"),
        "theirs": megabytes(root / "theirs", "*.npz"),
    }
    rows = []
    for claim, read, size, required in (
        ("compressed npz of float16", half_npz, sizes["half"], REQUIRED),
        ("compressed npz of float32, as the derivative stores it", plain_npz, sizes["theirs"], REQUIRED),
    ):
        plain_s = seconds(read)
        rows.append(
            Row(
                f"reading features, 50×50×768, one core, against {claim}",
                f"{plain_s * 1e3:.1f} ms, {size:.2f} MB",
                f"{own_s * 1e3:.2f} ms, {sizes['own']:.2f} MB",
                plain_s / own_s,
                required,
            )
        )
    opened_s = seconds(lambda frame: torch.tensor(maps.read(TAKE, CAMERA, frame).tokens[0, 0, 0]))
    rows.append(
        Row(
            "opening a map for one token, against reading all of it",
            f"{own_s * 1e3:.2f} ms",
            f"{opened_s * 1e3:.3f} ms",
            own_s / opened_s,
        )
    )
    return rows


if __name__ == "__main__":
    print_table(run())
