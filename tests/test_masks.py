"""LZString and run lengths: the JavaScript original's own output, two libraries as oracles, and every fault by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import lzstring
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools import mask as coco

from pipeline.ops.masks.lzstring import MaskError, compress, decompress
from pipeline.ops.masks.rle import CheckedMask, check_rle, decode_rle, encode_rle, rle_from_lzstring

ROOT = Path(__file__).parents[1]
STORED = json.loads((ROOT / "tests/data/lzstring.json").read_text())
"""Written by the JavaScript original, lz-string 1.5.0."""
GOLDEN = ROOT.parent / "shared" / "golden"
RELATIONS = ROOT.parent / "shared/samples/egoexo/s3/ego4d-consortium-sharing/egoexo-public/v2/annotations"
URI_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-$"

# pycocotools, when it makes an array of what it decoded.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
thoroughly = settings(max_examples=300, deadline=None)  # the first example may wait for the compiler
oracle = lzstring.LZString()
texts = st.one_of(
    st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=()), max_size=60),
    st.text(st.characters(min_codepoint=48, max_codepoint=111), max_size=400),
    st.text(st.sampled_from("0123aé日\uffff"), max_size=400),
)
masks = st.tuples(
    st.integers(1, 40), st.integers(1, 40), st.sampled_from([0.0, 0.02, 0.5, 0.98, 1.0]), st.integers(0, 2**32 - 1)
).map(lambda drawn: np.random.default_rng(drawn[3]).random(drawn[:2]) < drawn[2])


def by_name(cases: list[dict[str, Any]]) -> Any:
    return pytest.mark.parametrize("case", cases, ids=[case["name"] for case in cases])


def counts_of(runs: list[int]) -> str:
    """Compressed run lengths by COCO's definition, for runs that its library would refuse to write."""
    text = ""
    for index, run in enumerate(runs):
        value, more = run - (runs[index - 2] if index > 2 else 0), True
        while more:
            digit, value = value & 31, value >> 5
            more = value != (-1 if digit & 16 else 0)
            text += chr(48 + digit + 32 * more)
    return text


def oracle_reads(encoded: str) -> str | None:
    try:
        return oracle.decompressFromEncodedURIComponent(encoded)
    except (IndexError, KeyError, TypeError, UnboundLocalError):
        return None


def assert_same_as_pixels(checked: CheckedMask, mask: NDArray[np.bool_]) -> None:
    rows, columns = mask.nonzero()
    assert checked.area == rows.size
    if not rows.size:
        assert checked.box_xyxy is None
    else:
        assert checked.box_xyxy == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert all(type(edge) is int for edge in checked.box_xyxy)  # goes into JSON


# ---------------------------------------------------------------------------------------------------- LZString


@by_name(STORED["texts"])
def test_texts_as_the_original_writes_them(case: dict[str, Any]) -> None:
    assert compress(case["text"]) == case["encoded"]
    assert decompress(case["encoded"]) == case["text"]


@given(texts)
@thoroughly
def test_text_goes_there_and_back(text: str) -> None:
    encoded = compress(text)
    assert encoded == oracle.compressToEncodedURIComponent(text)
    assert decompress(encoded) == text


def test_a_text_that_grows_far_beyond_its_code() -> None:
    text = "ab" * 100_000
    encoded = compress(text)
    assert len(encoded) < 2_000
    assert decompress(encoded) == text


@given(texts, st.data())
@thoroughly
def test_cut_text_is_an_error_and_never_another_text(text: str, data: st.DataObject) -> None:
    encoded = compress(text)
    cut = encoded[: data.draw(st.integers(0, len(encoded) - 1))]
    try:
        assert decompress(cut) == text
    except MaskError as error:
        assert error.reason in ("LZString text without its end", "empty LZString text")
    else:  # only what the original writes behind its end may be missing
        assert encoded == cut + "A"


@given(texts, st.data())
@thoroughly
def test_damaged_text_gives_what_the_oracle_gives_or_an_error(text: str, data: st.DataObject) -> None:
    encoded = compress(text)
    place = data.draw(st.integers(0, len(encoded) - 1))
    damaged = encoded[:place] + data.draw(st.sampled_from(URI_ALPHABET)) + encoded[place + 1 :]
    try:
        found = decompress(damaged)
    except MaskError:
        assert not oracle_reads(damaged)  # an empty text is its way to say that the end is missing
    else:
        assert found == oracle_reads(damaged + "A")  # it wants a character behind the end to look at


@pytest.mark.parametrize("foreign", ["!", "/", "=", " ", "_", "é", "日", "\ud800", "😀", "\x00", "?"])
@pytest.mark.parametrize("place", [0, 2, 5])
def test_a_foreign_character_is_named(foreign: str, place: int) -> None:
    encoded = "MoRiA"  # with place 5 behind the end, where the original does not look
    with pytest.raises(MaskError) as error:
        decompress(encoded[:place] + foreign + encoded[place:])
    assert error.value.reason == "character outside the LZString alphabet"
    assert f"{foreign!r} at {place}" in str(error.value)


def test_codes_for_phrases_that_are_not_there() -> None:
    first_code_is_a_phrase = "w"  # its first two bits are ones
    with pytest.raises(MaskError, match="phrase not seen yet"):
        decompress(first_code_is_a_phrase)
    with pytest.raises(MaskError, match="phrase not seen yet"):
        decompress("IZw")  # "a", then phrase 7 where 4 is the newest


def test_characters_that_javascript_has_two_units_for_are_refused() -> None:
    with pytest.raises(MaskError, match="above U\\+FFFF"):
        compress("a😀")


# ------------------------------------------------------------------------------------------------------- masks


@by_name(STORED["masks"])
def test_masks_as_the_original_writes_them(case: dict[str, Any]) -> None:
    size_hw = tuple(case["size_hw"])
    box = case["box_xyxy"]
    expected = CheckedMask(case["counts"], case["area"], None if box is None else tuple(box))
    assert rle_from_lzstring(case["encoded"], size_hw) == check_rle(case["counts"], size_hw) == expected
    assert compress(case["counts"]) == case["encoded"]
    assert encode_rle(decode_rle(case["counts"], size_hw)) == case["counts"]


@by_name(STORED["invalid"])
def test_what_the_original_lets_pass(case: dict[str, Any]) -> None:
    if case["expected"] == "ok":
        rle_from_lzstring(case["encoded"], tuple(case["size_hw"]))
    else:
        with pytest.raises(MaskError):
            rle_from_lzstring(case["encoded"], tuple(case["size_hw"]))


@pytest.mark.shared
@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the golden data is not here")
def test_all_golden_masks() -> None:
    golden = json.loads((GOLDEN / "lzstring.json").read_text())
    for case in golden["valid"]:
        size_hw = tuple(case["size"])
        checked = rle_from_lzstring(case["encoded"], size_hw)
        left, top, right, bottom = case["bbox_xyxy_inclusive"] or (0, 0, -1, -1)
        box = (left, top, right + 1, bottom + 1) if case["bbox_xyxy_inclusive"] else None
        assert checked == CheckedMask(case["text"], case["area"], box), case["name"]
        assert compress(case["text"]) == case["encoded"], case["name"]
    for case in golden["invalid"]:
        test_what_the_original_lets_pass(case | {"size_hw": case["size"]})


@pytest.mark.shared
@pytest.mark.skipif(not RELATIONS.is_dir(), reason="the sample release is not here")
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_all_masks_of_the_sample_release(split: str) -> None:
    takes = json.loads((RELATIONS / f"relations_{split}.json").read_text())["annotations"].values()
    cameras = [camera for take in takes for views in take["object_masks"].values() for camera in views.values()]
    found = [mask for camera in cameras for mask in camera["annotation"].values()]
    assert len(found) > 80
    for mask in found:
        size_hw = mask["height"], mask["width"]
        checked = rle_from_lzstring(mask["encodedMask"], size_hw)
        assert checked.counts == oracle.decompressFromEncodedURIComponent(mask["encodedMask"])
        assert compress(checked.counts) == mask["encodedMask"]
        assert checked.area == coco.area({"size": list(size_hw), "counts": checked.counts.encode()})


@given(masks)
@thoroughly
def test_measures_equal_those_of_the_pixels(mask: NDArray[np.bool_]) -> None:
    counts = encode_rle(mask)
    assert counts.encode() == coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
    checked = rle_from_lzstring(compress(counts), mask.shape)
    assert checked.counts == counts
    assert_same_as_pixels(checked, mask)
    pixels = decode_rle(counts, mask.shape)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert (pixels == mask).all()


@given(st.text(st.characters(min_codepoint=46, max_codepoint=113), max_size=12), st.integers(1, 9), st.integers(1, 9))
@thoroughly
def test_any_text_is_a_mask_or_an_error(counts: str, height: int, width: int) -> None:
    try:
        checked = check_rle(counts, (height, width))
    except MaskError:
        return
    assert_same_as_pixels(checked, decode_rle(counts, (height, width)).astype(bool))


@given(st.lists(st.integers(0, 7), min_size=1, max_size=20), st.integers(1, 6))
@thoroughly
def test_runs_of_zero_anywhere_are_no_fault(runs: list[int], height: int) -> None:
    runs[0] += -sum(runs) % height or (height if not sum(runs) else 0)
    size_hw = height, sum(runs) // height
    pixels = np.repeat(np.arange(len(runs)) % 2, runs).reshape(size_hw[::-1]).T.astype(bool)
    assert_same_as_pixels(check_rle(counts_of(runs), size_hw), pixels)
    assert (decode_rle(counts_of(runs), size_hw) == pixels).all()


@pytest.mark.parametrize(
    ("counts", "reason", "detail"),
    [
        ("", "runs do not sum to height × width", "0, not 5 × 7 = 35"),
        (counts_of([30, 4]), "runs do not sum to height × width", "34, not 5 × 7 = 35"),
        (counts_of([30, 6]), "runs do not sum to height × width", "36, not 5 × 7 = 35"),
        (counts_of([2**31, 2**31]), "runs do not sum to height × width", "4,294,967,296, not 5 × 7 = 35"),
        (counts_of([-1, 36]), "run below 0", "at character 0 of 3"),
        (counts_of([1, 1, 1, -1, 33]), "run below 0", "at character 3 of 6"),
        (counts_of([35])[:1], "run lengths end inside a number", "at character 1 of 1"),
        ("PPPPPPP0", "run length of more than 32 bits", "at character 7 of 8"),
        ("S1/", "character outside COCO's run-length alphabet", "'/' at 2 of 3"),
        ("pS1", "character outside COCO's run-length alphabet", "'p' at 0 of 3"),
        ("S1é", "character outside COCO's run-length alphabet", "'é' at 2 of 3"),
        ("S1\ud800", "character outside COCO's run-length alphabet", "at 2 of 3"),
    ],
)
def test_run_lengths_at_fault(counts: str, reason: str, detail: str) -> None:
    for check in (
        lambda: check_rle(counts, (5, 7)),
        lambda: decode_rle(counts, (5, 7)),
        lambda: rle_from_lzstring(compress(counts), (5, 7)),
    ):
        with pytest.raises(MaskError) as error:
            check()
        assert error.value.reason == reason
        assert detail in str(error.value)


def test_endless_runs_do_not_overflow() -> None:
    growing = counts_of([2**33] * 3) + counts_of([2**33]) * 50_000  # each a difference to the run two before
    with pytest.raises(MaskError, match="runs do not sum") as error:
        check_rle(growing, (65535, 65535))
    assert 2**40 < int(error.value.detail.partition(", not")[0].replace(",", "")) < 2**41


@pytest.mark.parametrize("size_hw", [(0, 7), (5, 0), (-5, -7), (1, 2**40)])
def test_sizes_of_no_picture(size_hw: tuple[int, int]) -> None:
    with pytest.raises(MaskError, match="size that no picture has"):
        check_rle("S1", size_hw)


def test_every_value_but_zero_is_object() -> None:
    mask = np.array([[0, 7, 255], [0, 0, 1]], np.uint8)
    assert encode_rle(mask) == encode_rle(mask != 0) == encode_rle(mask.astype(np.float32))
    assert (decode_rle(encode_rle(mask), (2, 3)) == [[0, 1, 1], [0, 0, 1]]).all()
    assert encode_rle(mask[:, ::-1].T) == encode_rle(np.ascontiguousarray(mask[:, ::-1].T))


@pytest.mark.parametrize("shape", [(4,), (4, 4, 3), (0, 4), (4, 0)])
def test_only_pictures_are_encoded(shape: tuple[int, ...]) -> None:
    with pytest.raises(MaskError, match="no picture"):
        encode_rle(np.zeros(shape, np.uint8))


def test_threads_share_the_machine_code() -> None:
    cases = STORED["masks"] * 50
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda case: rle_from_lzstring(case["encoded"], tuple(case["size_hw"])), cases))
    assert [mask.counts for mask in found] == [case["counts"] for case in cases]


WITHOUT_CACHE = """
import numba.core.caching as caching
caching.CacheImpl._locator_classes = []
from pipeline.ops.masks.rle import rle_from_lzstring
print(rle_from_lzstring("MoRiA", (5, 7)).counts)
"""


@pytest.mark.slow
def test_works_where_no_folder_for_machine_code_can_be_written() -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")}
    command = [sys.executable, "-c", WITHOUT_CACHE]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout == "S1\n", done.stderr
