"""Classical segmentation: things of one colour and of a pattern are found, whatever the picture's size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.config import CommonKnobs
from pipeline.config_correspondence import ProposalRecallKnobs, ProposalsKnobs
from pipeline.console import Console
from pipeline.correspondence.proposal_recall import main
from pipeline.ops.segmentation.kernels import boundaries, choose, connect
from pipeline.ops.segmentation.objects import Thing, find_things
from pipeline.ops.segmentation.regions import Base, cut, edge_strength, grow, to_lab
from pipeline.phases import Phase
from pipeline.runner import run_phase
from pipeline.schema.proposals import RecallReport
from tests.egoexo_line import Line

WEIGHTS = (1.0, 1.0, 1.0, 1.0, 0.0, 0.5)


def scene(height: int = 180, width: int = 260) -> tuple[np.ndarray, list[np.ndarray]]:
    """A noisy grey ground with a blue disc, a checked square and a striped ellipse; and their masks."""
    random = np.random.default_rng(4)
    rgb = np.full((height, width, 3), (150, 140, 130), np.float64) + random.normal(0, 4, (height, width, 3))
    y, x = np.indices((height, width))
    disc = (x - 60) ** 2 + (y - 60) ** 2 < 30**2
    square = (abs(x - 180) < 30) & (abs(y - 55) < 28)
    ellipse = ((x - 120) / 50) ** 2 + ((y - 135) / 25) ** 2 < 1
    rgb[disc] = (30, 60, 200)
    rgb[square] = np.where(((x // 6 + y // 6) % 2 == 0)[square][:, None], (240, 240, 240), (20, 20, 20))
    rgb[ellipse] = np.where((x // 5 % 2 == 0)[ellipse][:, None], (220, 60, 40), (250, 220, 60))
    picture = cv2.GaussianBlur(np.clip(rgb, 0, 255).astype(np.uint8), (0, 0), 0.7)
    return np.asarray(picture, np.uint8), [disc, square, ellipse]


def things_of(rgb: np.ndarray, **more: object) -> list[Thing]:
    knobs = {"most": 60, "work_side": 640, "shares": (0.001, 0.5), "alike_iou": 0.8} | more
    return find_things(rgb, **knobs)  # type: ignore[arg-type]


def best(things: list[Thing], mask: np.ndarray) -> float:
    return max(((one.mask & mask).sum() / (one.mask | mask).sum() for one in things), default=0.0)


@pytest.mark.parametrize("zoom", [1, 4])
def test_plain_and_patterned_things_are_found(zoom: int) -> None:
    rgb, masks = scene()
    large = cv2.resize(rgb, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
    things = things_of(np.asarray(large, np.uint8))
    assert all(thing.mask.shape == large.shape[:2] for thing in things)
    for mask in masks:
        assert best(things, cv2.resize(mask.astype(np.uint8), large.shape[1::-1])) > 0.75


def test_best_come_first_and_no_two_are_nearly_the_same() -> None:
    rgb, _ = scene()
    things = things_of(rgb)
    scores = [thing.score for thing in things]
    assert scores == sorted(scores, reverse=True)
    flat = np.stack([thing.mask.ravel() for thing in things]).astype(np.int64)
    shared = flat @ flat.T
    sizes = flat.sum(1)
    iou = shared / (sizes[:, None] + sizes - shared)
    assert (iou - np.eye(len(things))).max() < 0.8


def test_limits_hold_and_the_same_picture_gives_the_same_masks() -> None:
    rgb, _ = scene()
    things = things_of(rgb, most=7, shares=(0.01, 0.1))
    assert 0 < len(things) <= 7
    for thing in things:
        assert 0.01 <= thing.mask.mean() <= 0.1
    again = things_of(rgb, most=7, shares=(0.01, 0.1))
    assert [one.mask.tobytes() for one in things] == [one.mask.tobytes() for one in again]


@pytest.mark.parametrize("shape", [(40, 60), (1, 1), (2, 50), (3, 3), (64, 3)])
def test_pictures_without_anything_have_no_things(shape: tuple[int, int]) -> None:
    assert things_of(np.full((*shape, 3), 120, np.uint8)) == []


def test_regions_are_cut_at_the_edge_and_small_ones_joined() -> None:
    first = np.array([0, 2, 1], np.int32)
    second = np.array([1, 3, 2], np.int32)
    weights = np.array([0.0, 0.0, 50.0], np.float32)
    assert connect(first, second, weights, 4, 10.0, 1).tolist() == [0, 0, 1, 1]
    assert connect(first, second, weights, 4, 10.0, 3).tolist() == [0, 0, 0, 0]


def test_borders_are_measured() -> None:
    labels = np.array([[0, 0, 1], [0, 2, 1]], np.int32)
    edges = np.array([[0, 1, 2], [3, 0, 5]], np.float32)
    lengths, strengths = boundaries(labels, edges, 3)
    assert lengths.tolist() == [[0, 1, 2], [1, 0, 1], [2, 1, 0]]
    assert strengths.tolist() == [[0, 2, 4], [2, 0, 5], [4, 5, 0]]  # 2: 0|1; 1 above and 3 beside: 0|2; 5: 1|2


def test_a_tree_holds_every_region_once() -> None:
    lab = to_lab(scene()[0])
    leaves = cut(lab, edge_strength(lab), Base(0.8, 60, 40))
    tree = grow(leaves, WEIGHTS)
    count = len(leaves.sizes)
    assert len(tree.areas) == 2 * count - 1
    assert tree.areas[-1] == tree.ranks.size
    assert tree.spans[-1].tolist() == [0, count]
    assert sorted(tree.spans[:count, 0]) == list(range(count))
    assert tree.solidity.max() <= 1
    for region in range(0, len(tree.areas), 7):
        first, end = tree.spans[region]
        mask = (tree.ranks >= first) & (tree.ranks < end)
        y, x = np.nonzero(mask)
        assert mask.sum() == tree.areas[region]
        assert tree.boxes[region].tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]


def test_regions_of_two_trees_are_compared_by_their_pixels() -> None:
    ranks = np.array([[[0, 0, 1, 1]], [[0, 1, 1, 1]]], np.int32)
    trees = np.array([0, 1, 1, 0], np.int32)
    spans = np.array([[1, 2], [1, 2], [0, 1], [1, 2]], np.int32)
    boxes = np.array([[2, 0, 4, 1], [1, 0, 4, 1], [0, 0, 1, 1], [2, 0, 4, 1]], np.int32)
    areas = np.array([2, 3, 1, 2], np.int32)
    assert choose(ranks, trees, spans, boxes, areas, 9, 0.6).tolist() == [0, 2]  # 2 of 3 pixels are shared
    assert choose(ranks, trees, spans, boxes, areas, 9, 0.7).tolist() == [0, 1, 2]
    assert choose(ranks, trees, spans, boxes, areas, 1, 0.7).tolist() == [0]


@pytest.mark.slow
def test_most_objects_of_a_made_up_take_are_among_the_proposals(tmp_path: Path) -> None:
    line = Line.make(tmp_path)
    line.index()
    line.process()
    knobs = ProposalsKnobs(scenario="cooking")
    row = Phase(
        "proposals", "masks that may be objects", "correspondence", "pipeline.correspondence.proposals", ProposalsKnobs,
        "train", "take", (), "data/…", model="proposals",
    )  # fmt: skip
    assert run_phase(row, line.units(), knobs, line.paths, Console()).is_good
    wanted = ProposalRecallKnobs(data_set="cooking")
    assert main(wanted, CommonKnobs(data=str(line.paths.data)), Console()) == 0
    report = RecallReport.model_validate_json(
        (line.paths.proposals("cooking", "classical") / "recall.json").read_bytes()
    )
    assert report.overall.masks > 80
    assert report.overall.best_iou is not None
    assert report.overall.best_iou > 0.6
