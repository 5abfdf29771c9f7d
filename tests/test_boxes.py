"""Boxes: conventions, odd spellings, clipping."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ops.timeline.boxes import BoxMapper, nearest_time
from pipeline.schema.answers import BoxConvention

PIXELS = BoxMapper("model_px", (448, 252), (456, 256))
THOUSANDTHS = BoxMapper("per_mille", (448, 256), (456, 256))
OWN = BoxMapper("rectified_px", (448, 252), (456, 256))


def rules(mapper: BoxMapper, raw: object) -> list[str]:
    return [fix.rule for fix in mapper.map(raw).fixes]


def test_model_pixels_become_clip_pixels() -> None:
    mapped = PIXELS.map([112, 63, 448, 252])
    assert mapped.bbox == (114, 64, 456, 256)
    assert mapped.model_box == (112, 63, 448, 252)
    assert mapped.fixes == ()


def test_thousandths_become_clip_pixels() -> None:
    assert THOUSANDTHS.map([250, 500, 1000, 1000]).bbox == (114, 128, 456, 256)


def test_own_pixels_stay() -> None:
    assert OWN.map([1.25, 2, 3.5, 4]).bbox == (1.25, 2, 3.5, 4)


@pytest.mark.parametrize("mapper", [PIXELS, THOUSANDTHS, OWN])
def test_the_whole_picture_is_the_whole_picture(mapper: BoxMapper) -> None:
    width, height = {"model_px": (448, 252), "per_mille": (1000, 1000), "rectified_px": (456, 256)}[mapper.convention]
    mapped = mapper.map([0, 0, width, height])
    assert mapped.bbox == (0, 0, 456, 256)
    assert mapped.fixes == ()


def test_nothing_said_is_no_fix() -> None:
    assert PIXELS.map(None).bbox is None
    assert PIXELS.map(None).fixes == ()


@pytest.mark.parametrize(
    ("raw", "expected", "rule"),
    [
        ([30, 4, 10, 20], (10, 4, 30, 20), "bbox_ordered"),
        ([10, 20, 30, 4], (10, 4, 30, 20), "bbox_ordered"),
        ([-5, 4, 30, 20], (0, 4, 30, 20), "bbox_clipped"),
        ([10, 4, 30, 300], (10, 4, 30, 256), "bbox_clipped"),
        ([10, 4, 10.5, 20], None, "bbox_degenerate"),
        ([500, 4, 600, 20], None, "bbox_degenerate"),
        ([1, 2, 3], None, "bbox_wrong_length"),
        ([1, 2, 3, 4, 5], None, "bbox_wrong_length"),
        ([], None, "bbox_wrong_length"),
        ([math.nan, 2, 3, 4], None, "bbox_not_finite"),
        ([1, 2, math.inf, 4], None, "bbox_not_finite"),
        ([1, 2, 10**400, 4], None, "bbox_not_finite"),
        ("1,2,3,4", (1, 2, 3, 4), "bbox_parsed"),
        ("[1, 2, 3.5, 4]", (1, 2, 3.5, 4), "bbox_parsed"),
        ("(1,2),(3,4)", (1, 2, 3, 4), "bbox_parsed"),
        (["1", "2", "3", "4"], (1, 2, 3, 4), "bbox_parsed"),
        ([[1, 2], [3, 4]], (1, 2, 3, 4), "bbox_parsed"),
        ([[1, 2, 3, 4]], (1, 2, 3, 4), "bbox_parsed"),
        ({"x1": 1, "y1": 2, "x2": 3, "y2": 4}, (1, 2, 3, 4), "bbox_parsed"),
        ("1,2,3", None, "bbox_wrong_length"),
        ("none", None, "bbox_unreadable"),
        ({"x": 1}, None, "bbox_unreadable"),
        ([True, 2, 3, 4], None, "bbox_unreadable"),
        ([None, 2, 3, 4], None, "bbox_unreadable"),
        (7, None, "bbox_unreadable"),
    ],
)
def test_odd_boxes(raw: object, expected: object, rule: str) -> None:
    assert OWN.map(raw).bbox == expected
    assert rule in rules(OWN, raw)


def test_clipping_is_said_in_clip_pixels() -> None:
    fix = PIXELS.map([-112, 0, 112, 63]).fixes[0]
    assert (fix.before, fix.after) == ([-114, 0, 114, 64], [0, 0, 114, 64])


number = st.floats() | st.integers(-(10**400), 10**400) | st.integers(-50, 1500) | st.text(max_size=4) | st.none()


@given(st.recursive(number, lambda inner: st.lists(inner, max_size=5)), st.sampled_from(["model_px", "per_mille"]))
def test_any_box(raw: object, convention: BoxConvention) -> None:
    mapper = BoxMapper(convention, (448, 252), (456, 256))
    mapped = mapper.map(raw)
    if mapped.bbox is None:
        assert mapped.fixes or raw is None
        return
    x1, y1, x2, y2 = mapped.bbox
    assert 0 <= x1 <= x2 - 1 + 1e-9 and x2 <= 456
    assert 0 <= y1 <= y2 - 1 + 1e-9 and y2 <= 256
    again = OWN.map(list(mapped.bbox))
    assert again.bbox == mapped.bbox
    assert again.fixes == ()


def test_nearest_time() -> None:
    assert nearest_time([], 1) is None
    assert nearest_time([0.0, 1.0, 2.1], -3) == 0
    assert nearest_time([0.0, 1.0, 2.1], 9) == 2.1
    assert nearest_time([0.0, 1.0, 2.1], 1.5) == 1.0
    assert nearest_time([0.0, 1.0, 2.1], 1.6) == 2.1
    assert nearest_time([0.0, 1.0], 0.5) == 0.0
