"""`iter_frames`: for every kind of stream exactly what decoding everything and choosing would give."""

from __future__ import annotations

import shutil
import tarfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import PipelineError
from pipeline.ops.camera.fisheye import Camera
from pipeline.ops.camera.rectify import Rectifier
from pipeline.ops.video.decode import Run, RunDecoder, Tally
from pipeline.ops.video.frames import DecodeReport, Frame, iter_frames
from pipeline.ops.video.packet_table import KEY, NO_TIME, PacketTable
from pipeline.ops.video.packets import scan
from pipeline.ops.video.reader import Reader
from pipeline.ops.video.sampling import choose, plan_runs
from tests.videos import (
    HEIGHT,
    WIDTH,
    Image,
    Plain,
    Recipe,
    decode_plainly,
    encode,
    make_first_time_negative,
    overwrite_packet,
    paint,
    read_number,
)

UNEVEN = tuple(np.cumsum([0] + [512 * (1 + number * 7 % 5) for number in range(89)]).tolist())
MILLISECONDS = Fraction(1, 1000)
NEGATIVE = Recipe("negative start", container=(("use_editlist", "0"),))
RECIPES = [
    Recipe("open groups"),
    Recipe("closed groups", open_gop=False),
    Recipe("one keyframe", keyint=250),
    Recipe("only keyframes", keyint=1, b_frames=0, frames=40),
    Recipe("no B-frames", b_frames=0, open_gop=False),
    Recipe("B-pyramid with more references", b_frames=7, extra=":b-pyramid=1:ref=4:rc-lookahead=20"),
    Recipe("temporal layers", extra=":b-pyramid=1:temporal-layers=2"),
    Recipe("variable frame rate", pts=UNEVEN),
    Recipe("start at 3 s", shift=3 * 15360),
    NEGATIVE,
    Recipe("edit list", shift=-512 * 10, container=(("avoid_negative_ts", "disabled"),)),
    Recipe("fragments", container=(("movflags", "frag_keyframe+empty_moov"),)),
    Recipe("Matroska", suffix="mkv", time_base=MILLISECONDS, fps=25),
    Recipe("transport stream", suffix="ts", time_base=Fraction(1, 90000)),
    Recipe("ten bits", pixel_format="yuv420p10le", frames=40),
    Recipe("H.264 open groups", codec="libx264"),
    Recipe("H.264 closed groups", codec="libx264", open_gop=False),
    Recipe("H.264 intra refresh", codec="libx264", b_frames=0, extra=":intra-refresh=1"),
    Recipe("H.264 transport stream", codec="libx264", suffix="ts", time_base=Fraction(1, 90000)),
    Recipe("MPEG-4 part 2", codec="mpeg4", b_frames=2, time_base=Fraction(1, 30)),
    Recipe("VP9", codec="libvpx-vp9", suffix="webm", time_base=MILLISECONDS, fps=25, frames=60),
]


@pytest.fixture(scope="module", params=RECIPES, ids=lambda recipe: recipe.name)
def stream(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plain]:
    recipe = request.param
    path = encode(recipe, tmp_path_factory.mktemp("video") / f"video.{recipe.suffix}")
    if recipe is NEGATIVE:
        make_first_time_negative(path, 5120)
        assert scan(path).start_ticks < 0
    return path, decode_plainly(path)


@pytest.fixture(scope="module")
def open_groups(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(RECIPES[0], tmp_path_factory.mktemp("video") / "open.mp4")


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 frames with a keyframe every 20."""
    return encode(Recipe("long", frames=400, keyint=20), tmp_path_factory.mktemp("video") / "long.mp4")


def assert_same(frames: list[Frame], plain: Plain, wanted: list[int]) -> None:
    assert [frame.index for frame in frames] == wanted
    for frame in frames:
        assert frame.pts_s == plain.times_s[frame.index]
        assert frame.image.dtype == np.uint8 and frame.image.flags.c_contiguous and frame.image.flags.writeable
        np.testing.assert_array_equal(frame.image, plain.images[frame.index])
        assert read_number(frame.image) == read_number(plain.images[0]) + frame.index


@pytest.mark.parametrize("fps", [1.0, 2.7, 30.0])
def test_regular_sampling_gives_what_plain_decoding_gives(stream: tuple[Path, Plain], fps: float) -> None:
    path, plain = stream
    report = DecodeReport()
    frames = list(iter_frames(path, fps=fps, report=report))
    assert report.video is not None
    times_s = [k / fps for k in range(10_000) if k / fps < report.video.duration_s - 1e-6]
    assert_same(frames, plain, [plain.shown_at(time_s) for time_s in times_s])
    assert (report.given, report.wanted, report.missing, report.decode_errors) == (len(frames), len(frames), [], [])
    assert report.covered_s == (frames[0].pts_s, frames[-1].pts_s)


def test_chosen_times_give_what_plain_decoding_gives(stream: tuple[Path, Plain]) -> None:
    path, plain = stream
    random = np.random.default_rng(len(plain.images))
    times_s = np.sort(random.uniform(0, plain.times_s[-1], 12))
    frames = list(iter_frames(path, times_s=times_s.tolist()))
    assert_same(frames, plain, [plain.shown_at(time_s) for time_s in times_s])


def test_each_frame_is_found_by_its_own_time(stream: tuple[Path, Plain]) -> None:
    path, plain = stream
    own_times_s = plain.times_s.tolist()
    assert [frame.index for frame in iter_frames(path, times_s=own_times_s)] == list(range(len(plain.images)))
    rounded_s = [round(time_s, 6) for time_s in own_times_s]
    assert [frame.index for frame in iter_frames(path, times_s=rounded_s)] == list(range(len(plain.images)))


@pytest.mark.parametrize("codec", ["libx265", "libx264"])
@pytest.mark.parametrize("open_gop", [True, False])
def test_one_core_and_many_give_the_same(
    codec: str, open_gop: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = encode(Recipe("video", codec=codec, open_gop=open_gop), tmp_path / "video.mp4")
    given: list[list[Frame]] = []
    for cores in (1, 2, 4):
        monkeypatch.setattr("pipeline.ops.video.run_pool.cores", lambda cores=cores: cores)
        given.append(list(iter_frames(path, fps=9)))
    for frames in given[1:]:
        assert [frame.index for frame in frames] == [frame.index for frame in given[0]]
        assert all(np.array_equal(one.image, other.image) for one, other in zip(frames, given[0], strict=True))


def test_small_chunks_change_nothing(open_groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.ops.video.run_pool.MAX_CHUNK_FRAMES", 1)
    assert [read_number(frame.image) for frame in iter_frames(open_groups, fps=30)] == list(range(90))


def test_jumping_and_reading_on_give_the_same(long_video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times_s = [0.1, 4.3, 4.4, 11.9, 13.3]
    for limit in (0, 300, 100_000):
        monkeypatch.setattr("pipeline.ops.video.reader.SEEK_OVER_PACKETS", limit)
        numbers = [read_number(frame.image) for frame in iter_frames(long_video, times_s=times_s)]
        assert numbers == [3, 129, 132, 357, 399]


def test_a_container_that_cannot_seek_is_read_from_its_start(long_video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.ops.video.reader.Reader._ordinal_of", lambda self, packet: None)
    assert [read_number(frame.image) for frame in iter_frames(long_video, times_s=[1, 8, 13])] == [30, 240, 390]


def test_only_what_is_needed_is_decoded(long_video: Path) -> None:
    report = DecodeReport()
    assert len(list(iter_frames(long_video, fps=2, report=report))) == 27
    table = scan(long_video)
    references = int(np.count_nonzero(~table.can_be_left_out))
    assert report.strategy == "sequential"
    assert report.frames_decoded <= references + 27 + len(table.access_points)
    assert report.packets_dropped > 100

    report = DecodeReport()
    assert [frame.index for frame in iter_frames(long_video, times_s=[0.0, 12.0], report=report)] == [0, 360]
    assert report.frames_decoded == 2


def test_seeking_is_chosen_where_keyframes_are_close(long_video: Path) -> None:
    report = DecodeReport()
    times_s = [number * 20 / 30 for number in range(20)]
    frames = list(iter_frames(long_video, times_s=times_s, report=report))
    assert [frame.index for frame in frames] == list(range(0, 400, 20))
    assert (report.strategy, report.frames_decoded) == ("seek", 20)


def test_frames_are_decoded_while_they_are_read(long_video: Path) -> None:
    report = DecodeReport()
    frames = iter_frames(long_video, fps=30, report=report)
    assert next(frames).index == 0
    frames.close()  # type: ignore[attr-defined]
    assert 0 < report.frames_decoded < 300
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_an_abandoned_generator_ends_its_threads(long_video: Path) -> None:
    frames = iter_frames(long_video, fps=30)
    next(frames)
    del frames
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_times_between_frames_repeat_the_frame_that_is_shown(open_groups: Path) -> None:
    report = DecodeReport()
    frames = list(iter_frames(open_groups, fps=60, report=report))
    assert [frame.index for frame in frames] == [number // 2 for number in range(180)]
    assert (report.given, report.repeated) == (180, 90)
    np.testing.assert_array_equal(frames[1].image, frames[0].image)
    drawn_on = iter_frames(open_groups, times_s=np.array([0.0, 0.01, 0.02]))  # type: ignore[arg-type]
    for frame in drawn_on:
        np.testing.assert_array_equal(frame.image, frames[0].image)
        frame.image[:] = 0


def test_times_after_the_end_are_counted(open_groups: Path) -> None:
    report = DecodeReport()
    frames = list(iter_frames(open_groups, times_s=[0.5, 2.999, 3.0, 7.0], report=report))
    assert [frame.index for frame in frames] == [15, 89]
    assert [(missing.time_s, missing.index) for missing in report.missing] == [(3.0, None), (7.0, None)]
    assert "ends at 3.000 s" in report.missing[0].reason
    assert report.wanted == 4


def test_no_times_give_no_frames(open_groups: Path) -> None:
    assert list(iter_frames(open_groups, times_s=[])) == []


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"fps": 1.0, "times_s": [0.0]},
        {"fps": 0.0},
        {"fps": float("nan")},
        {"fps": float("inf")},
        {"times_s": [1.0, 0.5]},
        {"times_s": [-0.1]},
        {"times_s": [float("nan")]},
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_read(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        iter_frames(Path("nowhere.mp4"), **arguments)  # type: ignore[arg-type]


def test_rectified_and_resized_frames(open_groups: Path) -> None:
    plain = decode_plainly(open_groups)
    camera = Camera(
        np.array([[60.0, 0, 95], [0, 60.0, 64], [0, 0, 1]]), np.array([0.4, 0.1, -0.2, 0.1]), (WIDTH, HEIGHT)
    )
    rectifier = Rectifier(camera, size_wh=(168, 112))
    for frame in iter_frames(open_groups, fps=2, rectifier=rectifier):
        np.testing.assert_array_equal(frame.image, rectifier.rectify(plain.images[frame.index]))
        assert frame.image.shape == (112, 168, 3)
    for size_wh, interpolation in (((96, 64), cv2.INTER_AREA), ((288, 192), cv2.INTER_CUBIC)):
        for frame in iter_frames(open_groups, fps=2, size_wh=size_wh):
            expected = cv2.resize(plain.images[frame.index], size_wh, interpolation=interpolation)
            np.testing.assert_array_equal(frame.image, expected)
    with pytest.raises(ValueError, match="rectifier makes"):
        iter_frames(open_groups, fps=1, rectifier=rectifier, size_wh=(10, 10))


def test_a_rectifier_for_another_size_stops_the_clip(open_groups: Path) -> None:
    rectifier = Rectifier(Camera(np.array([[60.0, 0, 50], [0, 60.0, 50], [0, 0, 1]]), np.zeros(4), (100, 100)))
    with pytest.raises(PipelineError, match="192×128"):
        list(iter_frames(open_groups, fps=1, rectifier=rectifier))


@pytest.mark.parametrize(
    ("options", "size_wh", "matrix"),
    [
        ({"color_range": "mpeg", "colorspace": "smpte170m"}, (WIDTH, HEIGHT), "601"),
        ({"color_range": "pc", "colorspace": "smpte170m"}, (WIDTH, HEIGHT), "601 full"),
        ({"color_range": "mpeg", "colorspace": "bt709"}, (WIDTH, HEIGHT), "709"),
        ({}, (WIDTH, HEIGHT), "601"),
        ({}, (1280, 64), "709"),
    ],
)
def test_colours_follow_the_named_range_and_matrix(
    options: dict[str, str], size_wh: tuple[int, int], matrix: str, tmp_path: Path
) -> None:
    """ITU-R BT.601 and BT.709: R = Y + 2(1 − Kr)·Cr, B = Y + 2(1 − Kb)·Cb, G from Y."""
    luma, blue, red = 120, 90, 170
    with av.open(str(tmp_path / "colour.mp4"), "w") as output:
        x265 = {"x265-params": "lossless=1:log-level=none:pools=1:frame-threads=1"}
        stream = output.add_stream("libx265", rate=30, options={**options, **x265})
        stream.width, stream.height = size_wh
        stream.pix_fmt = "yuv420p"
        planes = [
            np.full((size_wh[1], size_wh[0]), luma),
            *(np.full((size_wh[1] // 4, size_wh[0]), v) for v in (blue, red)),
        ]
        frame = av.VideoFrame.from_ndarray(np.concatenate(planes).astype(np.uint8), format="yuv420p")
        output.mux([*stream.encode(frame), *stream.encode(None)])
    k_red, k_blue = (0.2126, 0.0722) if "709" in matrix else (0.299, 0.114)
    full = "full" in matrix
    y, chroma = (luma, 1.0) if full else ((luma - 16) * 255 / 219, 255 / 224)
    r = y + 2 * (1 - k_red) * (red - 128) * chroma
    b = y + 2 * (1 - k_blue) * (blue - 128) * chroma
    g = (y - k_red * r - k_blue * b) / (1 - k_red - k_blue)
    (only,) = iter_frames(tmp_path / "colour.mp4", times_s=[0])
    np.testing.assert_allclose(only.image[10, 10], [r, g, b], atol=2.5)


def zero_all(packet: bytearray) -> None:
    packet[:] = bytes(len(packet))


def zero_after_header(packet: bytearray) -> None:
    packet[6:] = bytes(len(packet) - 6)


def zero_a_part(packet: bytearray) -> None:
    middle = len(packet) // 2
    packet[middle : middle + 3] = bytes(3)


def shorten_the_nal_unit(packet: bytearray) -> None:
    packet[3] ^= 1


@pytest.fixture(scope="module", params=["libx265", "libx264"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plain, PacketTable]:
    path = encode(Recipe("video", codec=request.param), tmp_path_factory.mktemp("whole") / "video.mp4")
    return path, decode_plainly(path), scan(path)


@pytest.mark.parametrize("ordinal", [0, 30, 31, 40, 47, 52, 60, 89])
@pytest.mark.parametrize("change", [zero_all, zero_after_header, zero_a_part, shorten_the_nal_unit])
def test_a_damaged_packet_leaves_a_counted_gap_and_never_a_wrong_frame(
    whole: tuple[Path, Plain, PacketTable], ordinal: int, change: Callable[[bytearray], None], tmp_path: Path
) -> None:
    source, clean, table = whole
    path = Path(shutil.copy(source, tmp_path))
    overwrite_packet(path, ordinal, change)
    keys = np.flatnonzero(table.flags & KEY)
    lost = int(np.flatnonzero(table.shown == ordinal)[0])
    # The damage may hide that nothing depends on the picture; H.265's decoder knows, H.264's does not.
    is_alone = (table if table.codec == "hevc" else scan(path)).can_be_left_out[ordinal] and ordinal not in keys
    may_be_lost = {lost} if is_alone else _shown_between(table, ordinal, keys[keys > ordinal])
    for fps in (30, 4):
        report = DecodeReport()
        frames = list(iter_frames(path, fps=fps, report=report))
        assert len(frames) + len(report.missing) == report.wanted == 3 * fps
        for frame in frames:
            assert frame.pts_s == clean.times_s[frame.index]
            np.testing.assert_array_equal(frame.image, clean.images[frame.index])
        missing = {missing.index for missing in report.missing}
        assert missing <= may_be_lost and not missing & {frame.index for frame in frames}
        assert all(missing.reason for missing in report.missing)
        if fps == 30:
            assert lost in missing
            assert any("cut off or overwritten" in error for error in report.decode_errors)


def test_h264_pictures_on_a_patched_reference_are_refused(tmp_path: Path) -> None:
    """FFmpeg repairs a damaged H.264 reference and gives it late, after B-frames that are already built on it."""
    whole = encode(Recipe("video", codec="libx264", keyint=90), tmp_path / "whole.mp4")
    clean = decode_plainly(whole)
    path = tmp_path / "video.mp4"
    for seed in range(40):  # x264's bytes differ now and then between runs, and not every damage shows this way
        shutil.copy(whole, path)

        def flip_bits(packet: bytearray, seed: int = seed) -> None:
            for place in np.random.default_rng(seed).integers(len(packet) // 3, len(packet), 8):
                packet[place] ^= 16

        overwrite_packet(path, 31, flip_bits)
        with av.open(str(path)) as container:
            container.streams.video[0].thread_type = "NONE"
            frames = list(container.decode(video=0))
        patched = [index for index, frame in enumerate(frames) if frame.is_corrupt]
        changed = [
            index
            for index, frame in enumerate(frames)
            if not np.array_equal(frame.to_ndarray(format="rgb24"), clean.images[index])
        ]
        if len(patched) == 1 and changed[0] < patched[0]:
            break
    else:
        pytest.fail("no damage made FFmpeg show a repaired reference after pictures built on it")

    report = DecodeReport()
    for given_frame in iter_frames(path, fps=30, report=report):
        np.testing.assert_array_equal(given_frame.image, clean.images[given_frame.index])
    reasons = {missing.index: missing.reason for missing in report.missing}
    assert set(changed) <= set(reasons) and "only in part" in reasons[patched[0]]
    assert "built on the damaged picture" in reasons[changed[0]]


def test_a_stopped_run_decodes_nothing_more(open_groups: Path) -> None:
    table, tally, stop = scan(open_groups), Tally(), threading.Event()
    stop.set()
    reader = Reader(open_groups, table)
    pictures = list(RunDecoder(table, Run(0, [0, 5]), lambda image: image, tally, stop).pictures(reader))
    reader.close()
    assert [picture.image for picture in pictures] == [None, None] and tally.frames_decoded == 0


def _shown_between(table: PacketTable, ordinal: int, later_keys: np.ndarray) -> set[int | None]:
    """Frames decoded from a packet on and before the next keyframe, or shown before that one."""
    end = int(later_keys[0]) if len(later_keys) else len(table)
    before = table.pts < table.pts[end] if len(later_keys) else np.ones(len(table), bool)
    spoilt = [index for index, at in enumerate(table.shown) if at >= ordinal and (at < end or before[at])]
    return set(spoilt)


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe("faststart", container=(("movflags", "faststart"),)),
        Recipe("fragments", container=(("movflags", "frag_keyframe+empty_moov"),)),
        Recipe("Matroska", suffix="mkv", time_base=MILLISECONDS, fps=25),
        Recipe("transport stream", suffix="ts", time_base=Fraction(1, 90000)),
        Recipe("variable", pts=UNEVEN, container=(("movflags", "faststart"),)),
    ],
    ids=lambda recipe: recipe.name,
)
def test_a_cut_file_gives_what_is_there(recipe: Recipe, tmp_path: Path) -> None:
    """Also not the pictures after a hole that the cut tore: their neighbours in time are gone."""
    path = encode(recipe, tmp_path / f"video.{recipe.suffix}")
    clean, content = decode_plainly(path), path.read_bytes()
    for share in (0.6, 0.8, 0.97):
        path.write_bytes(content[: int(len(content) * share)])
        report = DecodeReport()
        frames = list(iter_frames(path, times_s=[*clean.times_s.tolist(), clean.times_s[-1] + 1], report=report))
        assert report.video is not None and (report.video.truncated or recipe.suffix == "ts")
        assert len(frames) + len(report.missing) == report.wanted == 91
        assert 20 < len(frames) < 90
        for frame in frames:
            assert frame.pts_s == clean.times_s[frame.index]
            np.testing.assert_array_equal(frame.image, clean.images[frame.index])
        assert report.covered_s == (0.0, frames[-1].pts_s)
        assert all(missing.reason for missing in report.missing)


def test_a_clip_cut_before_a_keyframe_of_an_open_group_starts_at_it(open_groups: Path, tmp_path: Path) -> None:
    """Stream copies keep the keyframe's leading pictures, whose first half is gone: they are not shown."""
    path = tmp_path / "cut.mkv"
    first = int(scan(open_groups).access_points[1])
    with av.open(str(open_groups)) as source, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        for packet in packets[first:]:
            packet.stream = stream
            output.mux(packet)
    plain, report = decode_plainly(path), DecodeReport()
    frames = list(iter_frames(path, times_s=plain.times_s.tolist(), report=report))
    assert [read_number(frame.image) for frame in frames] == list(range(30, 90))
    assert_same(frames, plain, list(range(60)))
    assert report.video is not None and report.video.packets_hidden == 4
    assert report.missing == []


def test_a_picture_of_another_size_is_a_counted_gap(tmp_path: Path) -> None:
    path, extra = tmp_path / "video.ts", ":repeat-headers=1"
    small = Recipe("video", frames=30, suffix="ts", time_base=Fraction(1, 90000), open_gop=False, extra=extra)
    encode(small, path)
    encode(replace(small, size_wh=(256, 128), shift=180000), tmp_path / "wide.ts")
    with av.open(str(tmp_path / "both.ts"), "w") as output:
        stream = None
        for part in (path, tmp_path / "wide.ts"):
            with av.open(str(part)) as source:
                stream = stream or output.add_stream_from_template(source.streams.video[0])
                for packet in source.demux(video=0):
                    if packet.size:
                        packet.stream = stream
                        output.mux(packet)
    report = DecodeReport()
    times_s = scan(tmp_path / "both.ts").times_s.tolist()
    frames = list(iter_frames(tmp_path / "both.ts", times_s=times_s, report=report))
    assert [read_number(frame.image) for frame in frames] == list(range(30))
    assert len(report.missing) == 30 and "256×128" in report.missing[0].reason


def test_frames_without_a_timestamp_make_only_their_own_times_unsure(open_groups: Path) -> None:
    table = scan(open_groups)
    pts = table.pts.copy()
    lost = table.shown[20]
    pts[lost] = NO_TIME
    holed = replace(table, pts=pts)
    choice = choose(holed, [number / 30 for number in range(90)])
    assert choice.no_frame == {20: "one of 1 frames without a timestamp may be shown then"}
    assert lost not in holed.shown and len(holed.shown) == 89


def test_runs_begin_where_their_pictures_can_be_decoded(open_groups: Path) -> None:
    table = scan(open_groups)
    key = int(table.access_points[1])
    key_rank = int(np.flatnonzero(table.shown == key)[0])
    assert table.shown[key_rank - 1] > key, "the picture before an open group's keyframe is decoded after it"
    ranks = np.array([0, key_rank - 1, key_rank])
    assert plan_runs(table, ranks) == [Run(0, [0, key_rank - 1]), Run(key, [key_rank])]


def test_absurd_timestamps_are_refused_and_not_sampled_for_ever(tmp_path: Path) -> None:
    hour = 15360 * 3600
    far = Recipe("far", frames=4, pts=(0, 512, 1024, hour * 30), b_frames=0)
    path = encode(far, tmp_path / "far.mp4")
    with pytest.raises(PipelineError, match="timestamps look damaged"):
        next(iter_frames(path, fps=1))
    assert [read_number(frame.image) for frame in iter_frames(path, times_s=[0, 0.04, 3600 * 20])] == [0, 1, 2]


@pytest.fixture(scope="module")
def seed_files(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("seeds")
    recipes = [
        Recipe("h265", frames=24, keyint=8),
        Recipe("h264", codec="libx264", frames=24, keyint=8),
        Recipe("faststart", frames=24, keyint=8, container=(("movflags", "faststart"),)),
        Recipe("mkv", suffix="mkv", frames=24, keyint=8, time_base=MILLISECONDS, fps=25),
    ]
    return [encode(recipe, folder / f"{recipe.name}.{recipe.suffix}").read_bytes() for recipe in recipes]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_files_give_an_error_or_counted_gaps_in_time(
    data: st.DataObject, seed_files: list[bytes], tmp_path: Path
) -> None:
    content = bytearray(data.draw(st.sampled_from(seed_files)))
    index = content.find(b"moov")
    headers = st.integers(index, len(content) - 1) if index >= 0 else st.integers(0, min(800, len(content) - 1))
    for place in data.draw(st.lists(headers | st.integers(0, len(content) - 1), min_size=1, max_size=12)):
        content[place] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content))) :]
    path = tmp_path / "mutated.mp4"
    path.write_bytes(content)
    report, begin = DecodeReport(), time.monotonic()
    try:
        frames = list(iter_frames(path, fps=5, report=report))
    except PipelineError as error:
        assert error.problem and error.fix
    else:
        assert report.given + len(report.missing) == report.wanted
        assert all(missing.reason for missing in report.missing)
        assert [frame.pts_s for frame in frames] == sorted(frame.pts_s for frame in frames)
    assert time.monotonic() - begin < 10


SHARED = Path(__file__).resolve().parents[2] / "shared" / "samples" / "factory"


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the sample shard beside the project")
@pytest.mark.parametrize(
    "clip", ["factory_001_worker_001_0000", "factory_001_worker_001_0001", "factory_001_worker_001_0002"]
)
def test_real_clips_at_one_frame_per_second_equal_plain_decoding(clip: str, tmp_path: Path) -> None:
    with tarfile.open(SHARED / "factory001/worker001/part000.tar") as shard:
        shard.extract(f"{clip}.mp4", tmp_path, filter="data")
    path = tmp_path / f"{clip}.mp4"
    report = DecodeReport()
    frames = {frame.index: frame for frame in iter_frames(path, fps=1, report=report)}
    assert report.missing == [] and report.decode_errors == []
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        total = 0
        for index, plain in enumerate(container.decode(video=0)):
            total += 1
            if index % 30 == 0:
                frame: Frame = frames.pop(index)
                assert frame.pts_s == index / 30
                image: Image = plain.to_ndarray(format="rgb24")
                np.testing.assert_array_equal(frame.image, image)
    assert not frames and report.wanted == total // 30


def test_numbers_can_be_read_back() -> None:
    assert [read_number(paint(number)) for number in (0, 1, 1234, 4095)] == [0, 1, 1234, 4095]
