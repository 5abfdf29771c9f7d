"""Scores of masks: the protocol's edge cases one by one, and the plain way over pixels as oracle."""

from __future__ import annotations

import gzip
import json
from math import hypot, sqrt
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.bench_evaluation import plain_boundary, plain_score
from pipeline.ops.evaluation.aggregate import Bootstrap, balanced_accuracy, best_threshold, existence
from pipeline.ops.evaluation.files import read_ground_truth, read_predictions
from pipeline.ops.evaluation.findings import findings
from pipeline.ops.evaluation.protocols import PROTOCOLS, Item, MaskScores, score_all, score_mask
from pipeline.ops.evaluation.queries import queries
from pipeline.ops.evaluation.report import Options, metrics_of, size_bin
from pipeline.ops.evaluation.scores import Shape, native_iou, official_size_hw, shape_at, tolerance_disk
from pipeline.ops.masks.rle import encode_rle
from pipeline.schema.evaluation import DIRECTIONS, Direction, GroundTruth
from tests.evaluation_world import COUNTS, EGO, decoded, perfect, rectangle, rle, small_truth, truth_json, varied

SHARED = Path(__file__).resolve().parents[2] / "shared" / "golden"
needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="no reference data here")
OFFICIAL, OMAMA = PROTOCOLS["official"], PROTOCOLS["omama"]
SQUARE = (480, 480)
WIDE_NATIVE, WIDE = (540, 960), (270, 480)

Mask = NDArray[np.uint8]


def shape(mask: Mask) -> Shape:
    size_hw = (mask.shape[0], mask.shape[1])
    return shape_at(encode_rle(mask), size_hw, size_hw)


def scored(true: Mask, predicted: Mask, protocol: str = "official") -> MaskScores:
    size_hw = (predicted.shape[0], predicted.shape[1])
    return score_mask(
        encode_rle(true), (true.shape[0], true.shape[1]), encode_rle(predicted), size_hw, PROTOCOLS[protocol]
    )


@st.composite
def masks(draw: st.DrawFn, most: int = 60) -> Mask:
    """Noise of any density, blobs that touch edges, empty and full ones."""
    height, width = draw(st.integers(1, most)), draw(st.integers(1, most))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    coarse_hw = draw(st.integers(1, height)), draw(st.integers(1, width))
    coarse = (random.random(coarse_hw) < draw(st.sampled_from([0, 0.05, 0.3, 0.6, 1]))).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)


# Sizes


@pytest.mark.parametrize(
    ("native_hw", "expected"),
    [
        ((1408, 1408), (480, 480)),
        ((2160, 3840), (270, 480)),
        ((1080, 1920), (270, 480)),
        ((3840, 2160), (480, 270)),
        ((1520, 2704), (269, 480)),
    ],
)
def test_the_size_of_comparison(native_hw: tuple[int, int], expected: tuple[int, int]) -> None:
    assert official_size_hw(native_hw) == expected


def test_the_product_is_cut_off_to_479_as_often_as_in_the_original() -> None:
    assert sum(official_size_hw((side, side))[0] == 479 for side in range(100, 5001)) == 894


@pytest.mark.parametrize(
    ("size_hw", "radius"), [((480, 480), 6), ((270, 480), 5), ((700, 700), 8), ((800, 800), 10), ((1600, 1600), 19)]
)
def test_the_tolerance(size_hw: tuple[int, int], radius: int) -> None:
    half_widths = tolerance_disk(size_hw)
    assert len(half_widths) == 2 * radius + 1
    assert half_widths.max() == radius
    assert half_widths[0] == half_widths[-1] == 0


# Against pixels


@settings(max_examples=80, deadline=None)
@given(masks(), st.integers(1, 90), st.integers(1, 90))
def test_a_mask_at_another_size_is_what_the_libraries_make(mask: Mask, height: int, width: int) -> None:
    found = shape_at(encode_rle(mask), (mask.shape[0], mask.shape[1]), (height, width))
    expected = cv2.resize(decoded(rle(mask)), (width, height), interpolation=cv2.INTER_NEAREST)
    np.testing.assert_array_equal(found.mask, expected)
    assert (found.area, found.native_area) == (expected.sum(), mask.sum())
    rows, columns = np.nonzero(expected)
    if not len(rows):
        assert found.centroid_xy is None
        assert not len(found.contour[0])
        return
    assert found.box_xyxy == (columns.min(), rows.min(), columns.max(), rows.max())
    assert found.centroid_xy == pytest.approx((columns.mean(), rows.mean()))
    np.testing.assert_array_equal(np.array(found.contour), np.nonzero(plain_boundary(np.asarray(expected, np.uint8))))


@pytest.mark.parametrize("native_hw", [(1408, 1408), (2160, 3840), (1520, 2704), (3024, 3025), (3675, 100), (1, 480)])
def test_real_sizes_are_what_the_libraries_make(native_hw: tuple[int, int]) -> None:
    mask = (np.random.default_rng(0).random(native_hw) < 0.5).astype(np.uint8)
    height, width = official_size_hw(native_hw)
    found = shape_at(encode_rle(mask), native_hw, (height, width))
    np.testing.assert_array_equal(found.mask, cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST))


@settings(max_examples=40, deadline=None)
@given(masks(), masks(), st.integers(-30, 30), st.integers(-30, 30))
def test_official_scores_are_those_of_the_plain_way(true: Mask, other: Mask, down: int, right: int) -> None:
    height, width = official_size_hw((true.shape[0], true.shape[1]))
    small = np.asarray(cv2.resize(true, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)
    different = np.asarray(cv2.resize(other, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)
    for predicted in (small, np.roll(small, (down, right), (0, 1)), different):
        found = scored(true, predicted)
        expected = plain_score(encode_rle(true), (true.shape[0], true.shape[1]), rle(predicted))
        assert (found.iou, found.contour_accuracy, found.location_error) == expected


@settings(max_examples=80, deadline=None)
@given(masks(), masks())
def test_registered_contours_are_those_of_shifted_pictures(true: Mask, other: Mask) -> None:
    predicted = np.asarray(cv2.resize(other, true.shape[::-1], interpolation=cv2.INTER_NEAREST), np.uint8)
    found = scored(true, predicted, "omama")
    if not true.any() or not predicted.any():
        assert found.registered_contour_accuracy == float(true.any() == predicted.any())
        return
    (our_y, our_x), (their_y, their_x) = (np.argwhere(mask).mean(0) for mask in (true, predicted))
    down, right = round(our_y - their_y), round(our_x - their_x)
    room = 2 * max(true.shape) + 40
    ours = plain_boundary(np.pad(true, room))
    theirs = np.roll(plain_boundary(np.pad(predicted, room)), (down, right), (0, 1))
    half_widths = tolerance_disk((true.shape[0], true.shape[1]))
    radius = len(half_widths) // 2
    disk = np.array([[abs(x) <= half for x in range(-radius, radius + 1)] for half in half_widths], np.uint8)
    precision = (theirs & cv2.dilate(ours, disk)).sum() / theirs.sum()
    recall = (ours & cv2.dilate(theirs, disk)).sum() / ours.sum()
    expected = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    assert found.registered_contour_accuracy == pytest.approx(expected, abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(masks(), masks())
def test_iou_at_native_size_is_that_of_the_enlarged_prediction(true: Mask, predicted: Mask) -> None:
    enlarged = cv2.resize(predicted, true.shape[::-1], interpolation=cv2.INTER_NEAREST)
    union = (true | enlarged).sum()
    expected = (true & enlarged).sum() / (union + 1e-7) if union else 1.0
    found = native_iou(encode_rle(true), (true.shape[0], true.shape[1]), shape(true), shape(predicted))
    assert found == pytest.approx(expected, abs=1e-12)


# The protocol's edges


def test_a_perfect_match_is_just_below_one() -> None:
    mask = rectangle(SQUARE, 100, 100, 10, 10)
    found = scored(mask, mask)
    assert found.iou == 100 / (100 + 1e-7) < 1
    assert (found.contour_accuracy, found.location_error, found.registered_contour_accuracy) == (1, 0, 1)


def test_a_shift_beyond_the_tolerance_has_no_contour_accuracy_unless_registered() -> None:
    found = scored(rectangle(SQUARE, 100, 100, 30, 30), rectangle(SQUARE, 100, 140, 30, 30))
    assert found.contour_accuracy == 0
    assert found.registered_contour_accuracy == 1
    assert found.location_error == 40 / (480 * sqrt(2))


def test_a_mask_that_fills_the_frame_has_no_boundary() -> None:
    full, part = np.ones(SQUARE, np.uint8), rectangle(SQUARE, 0, 0, 480, 200)
    assert scored(full, full).contour_accuracy == 1
    assert scored(full, part).contour_accuracy == 0
    assert scored(full, full).registered_contour_accuracy == 1
    assert len(shape(full).contour[0]) == 0


def test_frame_edges_are_contour_only_when_corrected() -> None:
    half = rectangle(SQUARE, 0, 0, 480, 240)
    assert len(shape(half).contour[0]) == 480
    shifted = rectangle(SQUARE, 0, 240, 480, 240)
    assert scored(half, shifted).contour_accuracy == 1  # the same line, once its left and once its right side
    assert scored(half, rectangle(SQUARE, 0, 0, 480, 120)).registered_contour_accuracy < 1


def test_a_truth_that_vanishes_counts_as_present() -> None:
    speck, empty, full = rectangle((1408, 1408), 1, 1, 1, 1), np.zeros(SQUARE, np.uint8), np.ones(SQUARE, np.uint8)
    nothing, something, everything = (
        scored(speck, predicted) for predicted in (empty, rectangle(SQUARE, 5, 5, 9, 9), full)
    )
    assert nothing.gt_pixels == 0
    assert (nothing.iou, nothing.contour_accuracy, nothing.registered_contour_accuracy) == (1, 1, 1)
    assert (something.iou, something.contour_accuracy, something.registered_contour_accuracy) == (0, 0, 0)
    assert (everything.iou, everything.contour_accuracy) == (0, 1)
    assert nothing.gt_share == 1 / 1408**2
    assert something.centroid_error is None


def test_an_empty_prediction_lies_where_the_original_puts_it() -> None:
    true = rectangle(WIDE_NATIVE, 100, 100, 41, 41)  # 50 … 70 after resizing, centre 60, 60
    found = scored(true, np.zeros(WIDE, np.uint8))
    assert found.location_error == hypot(60 - 135, 60 - 240) / (480 * sqrt(2))
    assert (found.iou, found.contour_accuracy, found.centroid_error) == (0, 0, None)


def test_location_error_is_over_the_square_even_where_the_picture_is_wide() -> None:
    true, predicted = rectangle(WIDE, 10, 10, 20, 20), rectangle(WIDE, 10, 50, 20, 20)
    assert scored(true, predicted).location_error == 40 / (480 * sqrt(2))
    assert scored(true, predicted, "omama").location_error == 40 / sqrt(270**2 + 480**2)
    assert scored(true, predicted).centroid_error == pytest.approx(40 / hypot(270, 480))


def test_box_centres_are_whole_pixels() -> None:
    found = scored(rectangle(SQUARE, 10, 10, 20, 20), rectangle(SQUARE, 10, 10, 20, 21))
    assert found.location_error == 1 / (480 * sqrt(2))  # (10 + 29) // 2 = 19, (10 + 30) // 2 = 20


def test_omama_compares_at_the_predictions_size() -> None:
    true = rectangle((96, 54), 24, 12, 48, 30)
    found = scored(true, np.asarray(cv2.resize(true, (700, 700), interpolation=cv2.INTER_NEAREST), np.uint8), "omama")
    assert found.shape_hw == (700, 700)
    assert found.iou == pytest.approx(1)


# Items


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_what_counts_and_what_does_not(direction: Direction) -> None:
    truth = small_truth()
    items = list(score_all(truth, perfect(truth, direction), direction, OFFICIAL))
    metrics = metrics_of(items, truth, direction, OFFICIAL, Options(draws=0))
    counts = metrics.counts
    assert (counts.present, counts.absent, counts.unannotated) == COUNTS[direction]
    assert counts.vanished == 0
    assert metrics.aggregate.iou == pytest.approx(1)
    assert (metrics.aggregate.location_error, metrics.aggregate.contour_accuracy) == (0, 1)
    assert metrics.aggregate.balanced_accuracy == 1
    assert metrics.intervals == dict.fromkeys(metrics.intervals)
    assert all(item.query.object != "board _0" for item in items)


def test_items_come_in_file_order_or_in_the_order_of_text() -> None:
    truth = small_truth()
    official = list(queries(truth, "exo-ego"))
    assert list(dict.fromkeys(query.take for query in official)) == ["take-b", "take-a", "take-c"]
    assert [(query.object, query.source, query.frame) for query in official][:6] == [
        ("cup_0", "cam01", "0"), ("cup_0", "cam01", "30"), ("cup_0", "cam01", "90"), ("cup_0", "gp02", "30"),
        ("mug/jar_0", "cam01", "30"), ("mug/jar_0", "cam01", "120"),
    ]  # fmt: skip
    results = varied(truth, "exo-ego")
    omama = [item.query for item in score_all(truth, results, "exo-ego", OMAMA)]
    assert [(query.object, query.frame) for query in omama][4:6] == [("mug/jar_0", "120"), ("mug/jar_0", "30")]
    assert list(dict.fromkeys(query.take for query in omama)) == ["take-b", "take-a", "take-c"]
    ego_exo = [item.query for item in score_all(truth, varied(truth, "ego-exo"), "ego-exo", OMAMA)]
    assert ego_exo == list(queries(truth, "ego-exo"))


def test_half_sure_is_absent_and_existence_is_independent_of_the_mask() -> None:
    truth = small_truth()
    results = perfect(truth, "exo-ego")
    first, second, *_ = queries(truth, "exo-ego")
    records = results["take-b"]["masks"]["cup_0"][first.pair]
    records[first.frame]["confidence"] = 0.5
    records[second.frame]["pred_mask"] = rle(np.zeros((480, 480), np.uint8))
    items = list(score_all(truth, results, "exo-ego", OFFICIAL))
    assert (items[0].pred_exists, items[1].pred_exists) == (False, True)
    assert items[0].scores is not None
    assert items[0].scores.iou == pytest.approx(1)
    assert items[1].scores is not None
    assert items[1].scores.iou == 0


def test_a_confidence_in_a_list_is_read_by_omama() -> None:
    truth = small_truth()
    results = perfect(truth, "exo-ego")
    for query in queries(truth, "exo-ego"):
        record = results[query.take]["masks"][query.object][query.pair][query.frame]
        record["confidence"] = [record["confidence"]]
    assert not list(findings(truth, results, "exo-ego", official_sizes=False, number_confidence=False))
    assert {item.confidence for item in score_all(truth, results, "exo-ego", OMAMA)} == {0.1, 0.9}


def test_ego_cameras_can_be_named_by_the_ground_truth() -> None:
    content = truth_json()
    for take in content["annotations"].values():
        take["ego_cameras"] = ["gp02"]
    truth = GroundTruth.model_validate(content)
    assert {query.target for query in queries(truth, "exo-ego")} == {"gp02"}
    assert {query.source for query in queries(truth, "exo-ego")} == {EGO, "cam01"}


def test_threads_change_nothing() -> None:
    truth = small_truth()
    results = varied(truth, "ego-exo")
    one, many = (list(score_all(truth, results, "ego-exo", OFFICIAL, threads=threads)) for threads in (1, 5))
    assert one == many


# Aggregates


def test_balanced_accuracy_with_one_class_is_its_recall() -> None:
    assert balanced_accuracy(np.array([True, True]), np.array([True, False])) == 0.5
    assert balanced_accuracy(np.array([True, True, False]), np.array([True, False, False])) == 0.75
    assert balanced_accuracy(np.array([], bool), np.array([], bool)) is None


def test_existence_by_hand() -> None:
    exists = np.array([True, True, True, False, False])
    confidence = np.array([0.9, 0.4, 0.35, 0.3, 0.4])
    found = existence(exists, confidence, None)
    assert found.at_half.true_positive_rate == pytest.approx(1 / 3)
    assert found.at_half.true_negative_rate == 1
    assert found.at_half.balanced_accuracy == pytest.approx(2 / 3)
    # Pairs won by the present one: 0.9 two, 0.4 one and a half, 0.35 one, of six.
    assert found.auroc == pytest.approx(4.5 / 6)
    assert found.chosen.threshold == pytest.approx(0.325)
    assert found.chosen.balanced_accuracy == pytest.approx(0.75)
    assert found.chosen_from == "these items: an upper bound"
    # Bins 0.3 (0.35, 0.3: mean 0.325, half exist), 0.4 (0.4 twice: half exist), 0.9.
    assert found.calibration_error == pytest.approx(0.4 * 0.175 + 0.4 * 0.1 + 0.2 * 0.1)
    given_one = existence(exists, confidence, 0.6)
    assert (given_one.chosen.threshold, given_one.chosen_from) == (0.6, "given")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12)), min_size=1, max_size=40))
def test_no_threshold_is_better_than_the_best(pairs: list[tuple[bool, int]]) -> None:
    exists = np.array([there for there, _ in pairs])
    confidence = np.array([number / 12 for _, number in pairs])
    best = balanced_accuracy(exists, confidence > best_threshold(exists, confidence))
    assert best is not None
    if exists.any() and not exists.all():
        tried = [balanced_accuracy(exists, confidence > number / 12) or 0 for number in range(-1, 13)]
        assert best >= max(tried) - 1e-12


def test_confidence_outside_of_0_to_1_has_no_calibration() -> None:
    found = existence(np.array([True, False]), np.array([3.0, -2.0]), None)
    assert found.calibration_error is None
    assert found.auroc == 1


def test_intervals_are_the_same_for_the_same_seed_and_hold_the_mean() -> None:
    random = np.random.default_rng(0)
    takes = [f"take {number}" for number in range(12) for _ in range(5)]
    values = {"iou": random.random(60)}
    first, again, other = (Bootstrap(takes, draws=400, seed=seed).of_means(values)["iou"] for seed in (0, 0, 1))
    assert first == again != other
    assert first is not None
    assert first[0] < values["iou"].mean() < first[1]


def test_intervals_are_those_of_drawing_takes_one_by_one() -> None:
    """Every draw of two takes is one of four; with many draws the percentiles are the smallest and greatest."""
    values = np.array([0.0, 0.2, 1.0, np.nan])
    found = Bootstrap(["a", "a", "b", "b"], draws=2000, seed=0).of_means({"x": values})["x"]
    assert found == (pytest.approx(0.1), pytest.approx(1.0))
    exists, predicted = np.array([True, True, True, False]), np.array([True, False, True, True])
    # Only a: half of the present ones; only b: all present, no absent one; both: two of three, and none.
    interval = Bootstrap(["a", "a", "b", "b"], draws=2000, seed=0).of_balanced_accuracy(exists, predicted)
    assert interval == (pytest.approx(1 / 3), pytest.approx(0.5))


def test_the_reported_intervals_are_over_takes() -> None:
    truth = small_truth()
    items = list(score_all(truth, varied(truth, "exo-ego"), "exo-ego", OFFICIAL))
    metrics = metrics_of(items, truth, "exo-ego", OFFICIAL, Options(draws=300, seed=5))
    bootstrap = Bootstrap([item.query.take for item in items], draws=300, seed=5)
    values = np.array([np.nan if item.scores is None else item.scores.iou for item in items])
    assert metrics.intervals["iou"] == bootstrap.of_means({"iou": values})["iou"]
    low, high = metrics.intervals["iou"] or (1, 0)
    each = [group.iou for group in metrics.breakdowns["take"].values() if group.iou is not None]
    assert min(each) <= low < high <= max(each)


def test_one_take_has_no_interval() -> None:
    bootstrap = Bootstrap(["a", "a"], draws=100, seed=0)
    assert bootstrap.of_means({"x": np.array([0.0, 1.0])}) == {"x": None}
    assert bootstrap.of_balanced_accuracy(np.array([True, False]), np.array([True, False])) is None


@pytest.mark.parametrize(
    ("share", "name"),
    [(0, "below 0.1 %"), (0.001, "0.1 to 0.5 %"), (0.004999, "0.1 to 0.5 %"), (0.005, "0.5 to 2 %"), (1, "above 2 %")],
)
def test_size_bins(share: float, name: str) -> None:
    assert size_bin(share) == name


def test_breakdowns_add_up() -> None:
    truth = small_truth()
    items = list(score_all(truth, varied(truth, "exo-ego"), "exo-ego", OFFICIAL))
    metrics = metrics_of(items, truth, "exo-ego", OFFICIAL, Options(draws=50))
    assert list(metrics.breakdowns) == ["take", "object", "scenario", "camera", "size"]
    for kind, groups in metrics.breakdowns.items():
        assert sum(group.present for group in groups.values()) == metrics.counts.present, kind
        weighted = sum((group.iou or 0) * group.present for group in groups.values()) / metrics.counts.present
        assert weighted == pytest.approx(metrics.aggregate.iou), kind
    assert set(metrics.breakdowns["scenario"]) == {"Cooking", "Health"}
    assert set(metrics.breakdowns["camera"]) == {"cam01", "gp02"}
    assert set(metrics.breakdowns["object"]) == {"cup_0", "mug/jar_0"}


def test_corrected_numbers_by_hand() -> None:
    truth = small_truth()
    direction: Direction = "exo-ego"
    items = list(score_all(truth, varied(truth, direction), direction, PROTOCOLS["corrected"]))
    metrics = metrics_of(items, truth, direction, PROTOCOLS["corrected"], Options(threshold=0.25))
    visible = [item.scores for item in items if item.scores is not None]
    missed = [scores for scores in visible if scores.pred_pixels == 0]
    assert missed
    assert metrics.corrected.miss_rate == pytest.approx(len(missed) / len(visible))
    made = [scores.centroid_error for scores in visible if scores.centroid_error is not None]
    assert metrics.corrected.centroid_error == pytest.approx(np.mean(made))
    assert metrics.corrected.centroid_error_with_misses == pytest.approx((sum(made) + len(missed)) / len(visible))
    assert metrics.corrected.recall_at_iou_50 == np.mean([scores.iou >= 0.5 for scores in visible])
    aggregate = metrics.aggregate
    assert aggregate.location_error == metrics.corrected.centroid_error_with_misses
    assert aggregate.contour_accuracy == metrics.corrected.registered_contour_accuracy
    assert aggregate.balanced_accuracy == metrics.corrected.existence.chosen.balanced_accuracy
    assert metrics.corrected.existence.chosen_from == "given"
    official = metrics_of(items, truth, direction, OFFICIAL, Options(threshold=0.25))
    assert official.corrected == metrics.corrected
    assert official.aggregate.balanced_accuracy == official.corrected.existence.at_half.balanced_accuracy


# The original's own numbers


def load(file: Path) -> Any:
    return json.loads(gzip.decompress(file.read_bytes()))


@pytest.mark.shared
@needs_shared
@pytest.mark.parametrize("name", ["ego-exo", "ego-exo_perfect", "exo-ego", "exo-ego_perfect"])
def test_the_official_scripts_numbers(name: str) -> None:
    direction: Direction = "ego-exo" if name.startswith("ego-exo") else "exo-ego"
    truth = read_ground_truth(SHARED / "evaluation/ground_truth.json.gz").truth
    results = read_predictions(SHARED / f"evaluation/predictions_{name}.json.gz").results[direction]
    expected = load(SHARED / "evaluation/expected.json.gz")[name]
    assert not list(findings(truth, results, direction, official_sizes=True, number_confidence=True))
    items = list(score_all(truth, results, direction, OFFICIAL))
    for item, row in zip(items, expected["per_item"], strict=True):
        query, scores = item.query, item.scores
        place = (query.take, query.object, query.source, query.target, int(query.frame))
        assert place == tuple(row[key] for key in ("take", "object", "source", "target", "frame"))
        assert (item.gt_exists, item.pred_exists) == (row["gt_exists"], row["pred_exists"])
        if scores is None:
            assert "iou" not in row
            continue
        for key in ("iou", "contour_accuracy", "location_error"):
            assert getattr(scores, key) == pytest.approx(row[key], abs=1e-12)
        assert (scores.gt_pixels, scores.pred_pixels) == (row["gt_pixels_at_480"], row["pred_pixels"])
        assert list(scores.shape_hw) == row["shape_at_480"]
    aggregate = metrics_of(items, truth, direction, OFFICIAL, Options(draws=0)).aggregate
    for key, value in expected["aggregate"].items():
        assert getattr(aggregate, key) == pytest.approx(value, abs=1e-12)


@pytest.mark.shared
@needs_shared
@pytest.mark.parametrize("case", ["casa_gio_baseline", "evaluation_baseline_run_dinov3"])
def test_recorded_omama_metrics(case: str) -> None:
    folder = SHARED / "real" / case
    truth = read_ground_truth(folder / "exo2ego_GT.json.gz").truth
    results = read_predictions(folder / "exo2ego_predictions.json.gz").results["exo-ego"]
    recorded = load(folder / "metrics.json.gz")
    items: list[Item] = list(score_all(truth, results, "exo-ego", OMAMA))
    each = recorded["per_observation_metrics"]
    assert [item.gt_exists for item in items] == [bool(there) for there in each["obj_exists_gt_per_obs"]]
    visible = [item.scores for item in items if item.scores is not None]
    for key, name in (
        ("iou", "iou_per_obs"),
        ("contour_accuracy", "shape_acc_per_obs"),
        ("location_error", "location_score_per_obs"),
        ("gt_pixels", "obj_size_gt_per_obs"),
        ("pred_pixels", "obj_size_pred_per_obs"),
    ):
        np.testing.assert_allclose([getattr(scores, key) for scores in visible], each[name], rtol=0, atol=1e-12)
    aggregate = metrics_of(items, truth, "exo-ego", OMAMA, Options(draws=0)).aggregate
    totals = recorded["aggregated_metrics"]
    for key, name in (
        ("iou", "iou"),
        ("contour_accuracy", "shape_acc"),
        ("location_error", "location_score"),
        ("balanced_accuracy", "balanced_acc"),
    ):
        assert getattr(aggregate, key) == pytest.approx(totals[name], abs=1e-12)
