"""Descriptors of masks, against the plain way: upsample the features, mask them, take the mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from pipeline.ops.masks.lzstring import MaskError
from pipeline.ops.masks.rle import encode_rle
from pipeline.ops.matching.boxes import box_iou, from_half_open, mask_boxes_xywh, mask_iou, scaled
from pipeline.ops.matching.grid import Grid
from pipeline.ops.matching.pooling import context_cells, context_weights, descriptors, object_weights, weighted_means
from pipeline.ops.matching.rle_masks import RleMasks, centroids_xy

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden"
Mask = NDArray[np.uint8]


def plain_way(
    tokens: NDArray[np.float64], masks: Mask, boxes_xywh: NDArray[np.float64], input_hw: tuple[int, int], margin: int
) -> NDArray[np.float64]:
    """Step by step as the original is described; masks at the image's size."""
    height, width = input_hw[0] // 4, input_hw[1] // 4
    maps = torch.from_numpy(tokens).permute(2, 0, 1)[None]
    upsampled = functional.interpolate(maps, [height, width], mode="bilinear", align_corners=False)[0]
    small = functional.interpolate(torch.from_numpy(masks)[None].double(), [height, width], mode="nearest")[0]
    found = []
    for mask, box in zip(small, boxes_xywh, strict=True):
        hit = mask.sum()
        mean = (upsampled * mask).sum((1, 2)) / hit if hit else torch.zeros(len(upsampled), dtype=torch.float64)
        x, y, w, h = (int(value) for value in box)
        edges = [x - margin, y - margin, x + w + margin, y + h + margin]
        x1, y1, x2, y2 = (
            min(max(edge, 0), size) // 4 for edge, size in zip(edges, (input_hw[1], input_hw[0]) * 2, strict=True)
        )
        x2, y2 = max(x1 + 1, x2), max(y1 + 1, y2)
        x1, x2 = min(max(x1, 0), width - 1), min(max(x2, 0), width)
        y1, y2 = min(max(y1, 0), height - 1), min(max(y2, 0), height)
        found.append(torch.cat([mean, upsampled[:, y1:y2, x1:x2].mean((1, 2))]).numpy())
    return np.stack(found)


def drawn(random: np.random.Generator, size_hw: tuple[int, int]) -> Mask:
    """Masks of all kinds: blobs, noise, everything, nothing, and such as lie between the cells."""
    height, width = size_hw
    masks = np.zeros((10, height, width), np.uint8)
    for mask in masks[:4]:
        y, x = random.integers(0, height - 4), random.integers(0, width - 4)
        mask[y : y + random.integers(3, height), x : x + random.integers(3, width)] = 1
        mask &= random.random(size_hw) < random.uniform(0.5, 1)
    masks[4] = random.random(size_hw) < 0.4
    masks[5] = 1
    masks[7, 1:3, 1:3] = 1
    masks[8, -1, -1] = 1
    masks[9, 0, 0] = masks[9, -4:, :4] = masks[9, :4, -4:] = 1
    return masks


SIZES = [((5, 7), (70, 98)), ((7, 5), (112, 80)), ((4, 4), (64, 64)), ((1, 3), (16, 48))]


@pytest.mark.parametrize(("tokens_hw", "input_hw"), SIZES)
@pytest.mark.parametrize("margin", [0, 9, 100])
def test_equals_upsampling_and_masking(tokens_hw: tuple[int, int], input_hw: tuple[int, int], margin: int) -> None:
    random = np.random.default_rng(sum(tokens_hw) + margin)
    tokens = random.standard_normal((*tokens_hw, 6))
    masks = drawn(random, input_hw)
    boxes = mask_boxes_xywh(masks) + random.uniform(0, 0.9, (len(masks), 4))
    boxes[4] = [input_hw[1] - 1, input_hw[0] - 1, 5, 5]  # beyond the image
    expected = plain_way(tokens, masks, boxes, input_hw, margin)
    rle = RleMasks([encode_rle(mask) for mask in masks], input_hw)
    for given in (masks, masks.astype(bool), rle):
        found = descriptors(tokens, given, boxes, input_hw, margin, threads=1)
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, expected, atol=1e-12)
    assert not found[6, :6].any()  # nothing there
    assert not found[7, :6].any()  # between the cells
    half = descriptors(tokens.astype(np.float16), masks, boxes, input_hw, margin)
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, expected, atol=5e-3)


@pytest.mark.parametrize("mask_hw", [(50, 90), (33, 20), (220, 200)])
def test_masks_of_any_size_are_read_where_cells_lie(mask_hw: tuple[int, int]) -> None:
    """The nearest pixel of a mask at another size is that of the mask brought to the image's size first."""
    random = np.random.default_rng(3)
    grid = Grid((5, 5), (80, 80))
    masks = drawn(random, mask_hw)
    rows, columns = (np.arange(80) * size // 80 for size in mask_hw)
    resized = masks[:, rows][:, :, columns]
    expected = object_weights(resized, grid, np.float64)
    np.testing.assert_array_equal(object_weights(masks, grid, np.float64), expected)
    rle = RleMasks([encode_rle(mask) for mask in masks], mask_hw)
    np.testing.assert_allclose(object_weights(rle, grid, np.float64), expected, atol=1e-15)


def test_threads_and_the_number_of_masks_change_nothing() -> None:
    random = np.random.default_rng(5)
    masks = np.concatenate([drawn(random, (64, 96)) for _ in range(5)])
    boxes = mask_boxes_xywh(masks)
    tokens = random.standard_normal((4, 6, 8)).astype(np.float32)
    alone = np.concatenate([descriptors(tokens, m[None], b[None], (64, 96)) for m, b in zip(masks, boxes, strict=True)])
    for given in (masks, RleMasks([encode_rle(mask) for mask in masks], (64, 96))):
        for threads in (1, 3):
            found = descriptors(tokens, given, boxes, (64, 96), threads=threads)
            np.testing.assert_allclose(found, alone, atol=1e-6)


def test_means_of_few_and_of_many_tokens_are_the_same_product() -> None:
    random = np.random.default_rng(6)
    tokens = random.standard_normal((30, 5))
    for share in (0.02, 0.2, 0.9):
        weights = random.random((40, 30)) * (random.random((40, 30)) < share)
        np.testing.assert_allclose(weighted_means(weights, tokens), weights @ tokens, atol=1e-12)


def test_no_mask_at_all() -> None:
    tokens = np.ones((3, 4, 5), np.float32)
    for masks in (np.zeros((0, 48, 64), bool), RleMasks([], (48, 64))):
        assert descriptors(tokens, masks, np.zeros((0, 4)), (48, 64)).shape == (0, 10)
        assert mask_boxes_xywh(masks).shape == (0, 4)
        assert centroids_xy(masks).shape == (0, 2)
        assert mask_iou(masks, masks).shape == (0, 0)


def test_weights_sum_to_one() -> None:
    grid = Grid((38, 68), (532, 952))
    masks = drawn(np.random.default_rng(0), (540, 960))
    sums = object_weights(masks, grid, np.float64).sum(axis=1)
    np.testing.assert_allclose(sums, [1, 1, 1, 1, 1, 1, 0, 0, 0, 1], atol=1e-12)
    boxes = scaled(mask_boxes_xywh(masks), (540, 960), (532, 952))
    np.testing.assert_allclose(context_weights(boxes, grid, dtype=np.float64).sum(axis=1), 1, atol=1e-12)


def test_margin_of_the_context() -> None:
    grid = Grid((50, 50), (700, 700))
    box = np.array([[300.9, 200.2, 40.7, 20.0]])
    assert context_cells(box, grid, 100).tolist() == [[50, 25, 110, 80]]
    assert context_cells(box, grid, 0).tolist() == [[75, 50, 85, 55]]
    assert context_cells(np.array([[0, 690, 699, 9]]), grid, 100).tolist() == [[0, 147, 175, 175]]
    assert context_cells(np.array([[5, 5, 0, 0], [699, 699, 0, 0]]), grid, 0).tolist() == [
        [1, 1, 2, 2],
        [174] * 2 + [175] * 2,
    ]


def test_wrong_input_is_refused() -> None:
    tokens = np.ones((3, 4, 5), np.float32)
    with pytest.raises(ValueError, match="1 boxes for 2 masks"):
        descriptors(tokens, np.zeros((2, 48, 64), bool), np.zeros((1, 4)), (48, 64))
    with pytest.raises(ValueError, match="expected bool or uint8"):
        descriptors(tokens, np.zeros((1, 48, 64)), np.zeros((1, 4)), (48, 64))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="neither may be empty"):
        Grid((0, 4), (48, 64))
    good = encode_rle(np.ones((48, 64), np.uint8))
    for counts in (good[:-1], "", good + "1", "zzz", "ooooooooooooooooooooooo"):
        with pytest.raises(MaskError, match="mask 1"):
            descriptors(tokens, RleMasks([good, counts], (48, 64)), np.zeros((2, 4)), (48, 64))


def test_boxes_centroids_and_overlaps_of_pixels_and_run_lengths_agree() -> None:
    random = np.random.default_rng(1)
    masks = drawn(random, (45, 61))
    rle = RleMasks([encode_rle(mask) for mask in masks], (45, 61))
    boxes = mask_boxes_xywh(masks)
    np.testing.assert_array_equal(mask_boxes_xywh(rle), boxes)
    assert boxes[5].tolist() == [0, 0, 60, 44]
    assert boxes[6].tolist() == [0, 0, 0, 0]
    assert boxes[8].tolist() == [60, 44, 0, 0]
    centres = centroids_xy(masks)
    np.testing.assert_allclose(centroids_xy(rle), centres)
    rows, columns = np.nonzero(masks[4])
    np.testing.assert_allclose(centres[4], [columns.mean(), rows.mean()])
    assert np.isnan(centres[6]).all()

    overlap = mask_iou(masks, rle)
    for one, many in ((0, 1), (2, 4), (5, 9), (6, 5)):
        expected = (masks[one] & masks[many]).sum() / max(1, (masks[one] | masks[many]).sum())
        assert overlap[one, many] == pytest.approx(expected)
    assert overlap[6, 6] == 0  # empty with empty
    with pytest.raises(ValueError, match="must be of one size"):
        mask_iou(masks, masks[:, 1:])


def test_box_helpers() -> None:
    assert from_half_open(np.array([[3, 4, 10, 6], [2, 2, 2, 2]])).tolist() == [[3, 4, 6, 1], [2, 2, 0, 0]]
    assert scaled(np.array([[10, 20, 30, 40]]), (100, 200), (50, 50)).tolist() == [[2.5, 10, 7.5, 20]]
    found = box_iou(np.array([0, 0, 10, 10]), np.array([[0, 0, 10, 10], [5, 0, 10, 10], [20, 20, 3, 3], [0, 0, 0, 0]]))
    np.testing.assert_allclose(found, [1, 50 / 150, 0, 0])
    assert box_iou(np.zeros(4), np.zeros((1, 4))).tolist() == [0]


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.skipif(not GOLDEN.is_dir(), reason="no reference data here")
@pytest.mark.parametrize("name", ["exo2ego", "ego2exo"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-6), (np.float32, 1e-5)])
@pytest.mark.parametrize("form", ["pixels", "run lengths"])
def test_golden_descriptors(name: str, dtype: type, tolerance: float, form: str) -> None:
    golden = np.load(GOLDEN / f"omama_{name}.npz")
    random = np.random.default_rng(int(golden["seed"]))
    for side in ("source", "target"):
        height, width = golden[f"{side}_hw"].tolist()
        role = {"source": "source", "target": "proposals"}[side]
        packed = golden["source_masks_packed" if side == "source" else "proposal_masks_packed"]
        boxes = golden["source_boxes_xywh" if side == "source" else "proposal_boxes_xywh"].reshape(2, -1, 4)
        expected = golden[f"descriptors_{role}"].reshape(2, -1, 1536)
        masks = np.unpackbits(packed)[: 2 * boxes.shape[1] * height * width].reshape(2, -1, height, width)
        tokens = random.standard_normal((2, height // 14, width // 14, 768)).astype(np.float32).astype(dtype)
        for item in range(2):
            given = masks[item] if form == "pixels" else RleMasks([encode_rle(m) for m in masks[item]], (height, width))
            found = descriptors(tokens[item], given, boxes[item], (height, width))
            np.testing.assert_allclose(found, expected[item], rtol=0, atol=tolerance)
            if side == "source":
                np.testing.assert_array_equal(mask_boxes_xywh(given), boxes[item])
