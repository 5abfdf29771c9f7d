"""Frames by number, shrunk while decoding, and what egoexo-process makes of them on the disk."""

from __future__ import annotations

import errno
import math
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from threading import Event

import av
import cv2
import numpy as np
import pytest
from av.packet import Packet
from av.video.reformatter import Colorspace, Interpolation
from av.video.stream import VideoStream

from pipeline.egoexo.frames import CameraFrames, extract_camera, frame_size_wh
from pipeline.errors import PipelineError
from pipeline.ops.camera.fisheye import Camera
from pipeline.ops.camera.rectify import Rectifier
from pipeline.ops.video.frames import DecodeReport, iter_frames
from pipeline.ops.video.reader import Reader
from tests.videos import HEIGHT, WIDTH, Image, Plain, Recipe, decode_plainly, encode, overwrite_packet, read_number

UNEVEN = tuple(np.cumsum([0] + [512 * (1 + number * 7 % 5) for number in range(59)]).tolist())
RECIPES = [
    Recipe("open groups"),
    Recipe("H.264", codec="libx264", open_gop=False),
    Recipe("H.264 open groups", codec="libx264"),
    Recipe("one keyframe", codec="libx264", keyint=250),
    Recipe("variable frame rate", frames=60, pts=UNEVEN),
    Recipe("hidden start", shift=-512 * 10, container=(("avoid_negative_ts", "disabled"),)),
    Recipe("transport stream", suffix="ts", time_base=Fraction(1, 90000)),
    Recipe("ten bits", pixel_format="yuv420p10le", frames=40),
]
SMALL_WH = (WIDTH // 4, HEIGHT // 4)


@pytest.fixture(scope="module", params=RECIPES, ids=lambda recipe: recipe.name)
def stream(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plain]:
    recipe = request.param
    path = encode(recipe, tmp_path_factory.mktemp("video") / f"video.{recipe.suffix}")
    return path, decode_plainly(path)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """90 frames of H.264 with a keyframe every 15."""
    recipe = Recipe("video", codec="libx264", open_gop=False, keyint=15)
    return encode(recipe, tmp_path_factory.mktemp("video") / "video.mp4")


@pytest.fixture(scope="module")
def plain(video: Path) -> Plain:
    return decode_plainly(video)


def decoding_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_numbers_give_what_plain_decoding_gives(stream: tuple[Path, Plain]) -> None:
    path, plain = stream
    total = len(plain.images)
    random = np.random.default_rng(total)
    some = np.sort(random.choice(total, 9, replace=False)).tolist()
    for wanted in (range(total), some, [total - 1], range(0, total, 30)):
        report = DecodeReport()
        frames = list(iter_frames(path, indices=wanted, report=report))
        assert [frame.index for frame in frames] == list(wanted)
        assert (report.wanted, report.given, report.repeated, report.missing) == (len(wanted), len(wanted), 0, [])
        for frame in frames:
            assert frame.pts_s == plain.times_s[frame.index]
            np.testing.assert_array_equal(frame.image, plain.images[frame.index])


def test_numbers_after_the_end_are_missing_and_say_how_many_frames_there_are(video: Path) -> None:
    report = DecodeReport()
    frames = iter_frames(video, indices=[0, 88, 90, 10_000], report=report)
    assert [read_number(frame.image) for frame in frames] == [0, 88]
    assert [missing.index for missing in report.missing] == [90, 10_000]
    assert all("90 frames" in missing.reason and math.isnan(missing.time_s) for missing in report.missing)
    assert (report.wanted, report.given) == (4, 2)
    assert report.covered_s == (0.0, pytest.approx(88 / 30))

    report = DecodeReport()
    assert list(iter_frames(video, indices=[500], report=report)) == []
    assert (report.wanted, len(report.missing), report.frames_decoded) == (1, 1, 0)


def test_no_numbers_give_no_frames_but_the_facts(video: Path) -> None:
    report = DecodeReport()
    assert list(iter_frames(video, indices=[], report=report)) == []
    assert report.video is not None and report.video.frames == 90


def test_keyframe_spacing_decides_between_seeking_and_reading_on(video: Path) -> None:
    """Both never decode a picture that no wanted one needs."""
    for step, strategy, most in ((15, "seek", 6), (30, "seek", 3), (7, "sequential", 70)):
        report = DecodeReport()
        list(iter_frames(video, indices=range(0, 90, step), report=report))
        assert report.strategy == strategy, step
        assert report.frames_decoded <= most, step


@pytest.mark.parametrize("ordinal", [40, 47])
def test_a_damaged_frame_is_missing_with_its_number_and_time(ordinal: int, video: Path, tmp_path: Path) -> None:
    path = tmp_path / "damaged.mp4"
    path.write_bytes(video.read_bytes())
    overwrite_packet(path, ordinal, lambda packet: packet.__setitem__(slice(None), bytes(len(packet))))
    report = DecodeReport()
    given = {frame.index: read_number(frame.image) for frame in iter_frames(path, indices=range(90), report=report)}
    assert all(index == number for index, number in given.items())
    lost = {missing.index: missing for missing in report.missing}
    assert lost and sorted([*given, *lost]) == list(range(90))
    assert all(missing.time_s == pytest.approx(index / 30) and missing.reason for index, missing in lost.items())


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"indices": [0], "fps": 1.0}, "exactly one"),
        ({"indices": [0], "times_s": [0.0]}, "exactly one"),
        ({"indices": []} | {"fps": 1.0}, "exactly one"),
        ({"indices": [-1, 3]}, "from 0"),
        ({"indices": [3, 3]}, "each once"),
        ({"indices": [5, 3]}, "ascending"),
        ({"indices": np.array([5, 3], np.uint8)}, "ascending"),
        ({"indices": [0.5]}, "whole"),
        ({"indices": [0], "workers": 0}, "at least 1"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_read(arguments: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        iter_frames(Path("nowhere.mp4"), **arguments)  # type: ignore[arg-type]


def test_a_rectifier_needs_the_stored_size() -> None:
    rectifier = Rectifier(Camera(np.array([[60.0, 0, 50], [0, 60.0, 50], [0, 0, 1]]), np.zeros(4), (100, 100)))
    with pytest.raises(ValueError, match="stored size"):
        iter_frames(Path("nowhere.mp4"), indices=[0], rectifier=rectifier, scale_while_decoding=True)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_so_many_threads_decode_as_are_asked_for(
    workers: int, video: Path, plain: Plain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.ops.video.run_pool.cores", lambda: 1)
    monkeypatch.setattr("pipeline.ops.video.run_pool.MAX_CHUNK_FRAMES", 1)
    together, met, to_rgb = threading.Barrier(workers, timeout=30), set[int](), Reader.to_rgb

    def meet(reader: Reader, frame: av.VideoFrame) -> Image:
        if threading.get_ident() not in met:
            met.add(threading.get_ident())
            together.wait()
        return to_rgb(reader, frame)

    monkeypatch.setattr(Reader, "to_rgb", meet)
    for frame in iter_frames(video, indices=range(90), workers=workers):
        np.testing.assert_array_equal(frame.image, plain.images[frame.index])
    assert len(met) == workers
    assert not decoding_threads()


@pytest.mark.parametrize("size_wh", [(WIDTH // 2, HEIGHT // 2), SMALL_WH, (100, 67), (WIDTH - 1, HEIGHT - 1)])
def test_shrinking_while_decoding_averages_areas(
    size_wh: tuple[int, int], stream: tuple[Path, Plain], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, plain = stream
    shapes = set()
    to_rgb = Reader.to_rgb

    def spy(reader: Reader, frame: av.VideoFrame) -> Image:
        image = to_rgb(reader, frame)
        shapes.add(image.shape)
        return image

    monkeypatch.setattr(Reader, "to_rgb", spy)
    for frame in iter_frames(path, indices=range(0, len(plain.images), 7), size_wh=size_wh, scale_while_decoding=True):
        assert frame.image.flags.c_contiguous and frame.image.flags.writeable
        expected = cv2.resize(plain.images[frame.index], size_wh, interpolation=cv2.INTER_AREA).astype(np.int16)
        assert np.abs(frame.image - expected).mean() < 2.5
        assert abs((frame.image - expected).mean()) < 2
    assert shapes == {(size_wh[1], size_wh[0], 3)}, "a picture of the stored size was made in RGB"


def test_nothing_else_changes_by_scaling_while_decoding(video: Path) -> None:
    for size_wh in (None, (WIDTH, HEIGHT), (WIDTH * 2, HEIGHT * 2), (WIDTH * 2, HEIGHT // 2)):
        late = iter_frames(video, indices=[3, 60], size_wh=size_wh)
        early = iter_frames(video, indices=[3, 60], size_wh=size_wh, scale_while_decoding=True)
        for one, other in zip(late, early, strict=True):
            np.testing.assert_array_equal(one.image, other.image)


@pytest.mark.parametrize("matrix", ["bt709", "smpte170m"])
@pytest.mark.parametrize("colour_range", ["mpeg", "pc"])
def test_scaled_colours_follow_the_named_range_and_matrix(matrix: str, colour_range: str, tmp_path: Path) -> None:
    """Flat areas and a sharp edge between them: R = Y + 2(1 − Kr)·Cr, B = Y + 2(1 − Kb)·Cb, G from Y."""
    luma, blue, red = np.array([120, 60]), np.array([90, 150]), np.array([170, 110])
    with av.open(str(tmp_path / "colour.mp4"), "w") as output:
        x264 = {"x264-params": "log-level=-1:threads=1", "qp": "0", "preset": "ultrafast"}
        stream = output.add_stream(
            "libx264", rate=30, options={"colorspace": matrix, "color_range": colour_range, **x264}
        )
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        planes = [
            np.repeat(luma[None], 64, 0).repeat(64, 1),
            np.repeat(blue[None], 16, 0).repeat(64, 1),
            np.repeat(red[None], 16, 0).repeat(64, 1),
        ]
        planes[1:] = [np.tile(np.repeat(values, 32), 32).reshape(16, 128) for values in (blue, red)]
        frame = av.VideoFrame.from_ndarray(np.concatenate(planes).astype(np.uint8), format="yuv420p")
        output.mux([*stream.encode(frame), *stream.encode(None)])
    k_red, k_blue = (0.2126, 0.0722) if matrix == "bt709" else (0.299, 0.114)
    y, chroma = (luma, 1.0) if colour_range == "pc" else ((luma - 16) * 255 / 219, 255 / 224)
    r = y + 2 * (1 - k_red) * (red - 128) * chroma
    b = y + 2 * (1 - k_blue) * (blue - 128) * chroma
    g = (y - k_red * r - k_blue * b) / (1 - k_red - k_blue)
    expected = np.clip(np.stack([r, g, b], -1), 0, 255)
    (only,) = iter_frames(tmp_path / "colour.mp4", indices=[0], size_wh=(32, 16), scale_while_decoding=True)
    for half, columns in enumerate((slice(0, 15), slice(17, 32))):
        flat = only.image[:, columns].reshape(-1, 3)
        np.testing.assert_allclose(flat, np.broadcast_to(expected[half], flat.shape), atol=1.5)


def test_stopping_ends_the_frames_and_loses_none(video: Path) -> None:
    stop, report = Event(), DecodeReport()
    given = []
    for frame in iter_frames(video, indices=[*range(90), 500], stop=stop, report=report):
        given.append(frame.index)
        if frame.index == 20:
            stop.set()
    assert given == list(range(21))
    assert report.missing == [] and not decoding_threads()
    assert list(iter_frames(video, indices=range(90), stop=stop)) == []


def test_stopping_does_not_wait_for_the_next_wanted_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = encode(Recipe("one group", codec="libx264", frames=60, keyint=250), tmp_path / "video.mp4")
    stop, report = Event(), DecodeReport()
    packets_from = Reader.packets_from

    def stop_on_the_way(reader: Reader, first: int) -> Iterator[tuple[int, Packet[VideoStream]]]:
        for ordinal, packet in packets_from(reader, first):
            if ordinal == 20:
                stop.set()
            yield ordinal, packet

    monkeypatch.setattr(Reader, "packets_from", stop_on_the_way)
    assert list(iter_frames(path, indices=[59], workers=1, stop=stop, report=report)) == []
    assert report.frames_decoded <= 21 and report.missing == []


# On the disk.


@pytest.mark.parametrize(
    ("video_wh", "is_ego", "expected_wh"),
    [
        ((1408, 1408), True, (704, 704)),
        ((3840, 2160), False, (960, 540)),
        ((1920, 1080), False, (960, 540)),
        ((2704, 1520), False, (960, 540)),
        ((2160, 3840), False, (540, 960)),
        ((448, 448), True, (448, 448)),
        ((796, 448), False, (796, 448)),
        ((960, 720), False, (960, 720)),
        ((704, 704), True, (704, 704)),
        ((3840, 2160), True, (704, 396)),
        ((20_000, 1), False, (960, 1)),
    ],
)
def test_frames_are_kept_at_the_size_that_public_work_uses(
    video_wh: tuple[int, int], is_ego: bool, expected_wh: tuple[int, int]
) -> None:
    assert frame_size_wh(video_wh, is_ego) == expected_wh


def extract(video: Path, folder: Path, indices: list[int], stop: Event | None = None) -> tuple[CameraFrames, int]:
    """All frames, and how often the bar moved."""
    steps: list[int] = []
    found = extract_camera(video, indices, SMALL_WH, folder, 95, stop or Event(), lambda: steps.append(1))
    return found, len(steps)


def picture(file: Path) -> Image:
    return np.asarray(cv2.imread(str(file))[..., ::-1], np.uint8)


def test_each_wanted_frame_becomes_a_file_and_each_other_one_has_a_reason(
    video: Path, plain: Plain, tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "cam 01"
    found, steps = extract(video, folder, [0, 30, 45, 89, 90, 120])
    assert (found.written, list(found.missing), steps) == ([0, 30, 45, 89], [90, 120], 6)
    assert "90 frames" in found.missing[120]
    assert (found.video_size_wh, found.video_frames) == ((WIDTH, HEIGHT), 90)
    assert sorted(file.name for file in folder.iterdir()) == ["0.jpg", "30.jpg", "45.jpg", "89.jpg"]
    for index in found.written:
        expected = cv2.resize(plain.images[index], SMALL_WH, interpolation=cv2.INTER_AREA).astype(np.int16)
        assert picture(folder / f"{index}.jpg").shape == (SMALL_WH[1], SMALL_WH[0], 3)
        assert np.abs(picture(folder / f"{index}.jpg") - expected).mean() < 6


def test_quality_is_the_one_asked_for(video: Path, tmp_path: Path) -> None:
    sizes = []
    for quality in (30, 95):
        folder = tmp_path / str(quality)
        extract_camera(video, [0], (WIDTH, HEIGHT), folder, quality, Event(), lambda: None)
        sizes.append((folder / "0.jpg").stat().st_size)
    assert sizes[1] > 2 * sizes[0]


def test_a_killed_run_is_taken_up_where_it_ended(video: Path, tmp_path: Path) -> None:
    class KilledError(Exception):
        pass

    done: list[int] = []

    def die_after_three() -> None:
        done.append(1)
        if len(done) == 3:
            raise KilledError

    wanted = list(range(0, 90, 10))
    with pytest.raises(KilledError):
        extract_camera(video, wanted, SMALL_WH, tmp_path, 95, Event(), die_after_three)
    assert not decoding_threads()
    before = {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    assert sorted(before) == ["0.jpg", "10.jpg", "20.jpg"]
    found, steps = extract(video, tmp_path, wanted)
    assert (found.written, found.missing, steps) == (wanted, {}, 9)
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in before} == before

    found, steps = extract(video, tmp_path, [*wanted, 95])
    assert (found.written, list(found.missing), steps, found.video_frames) == (wanted, [95], 10, 90)


def test_what_a_crash_left_damaged_is_made_again(video: Path, tmp_path: Path) -> None:
    whole, _ = extract(video, tmp_path, [0, 10, 20, 30])
    good = {index: (tmp_path / f"{index}.jpg").read_bytes() for index in whole.written}
    (tmp_path / "0.jpg").write_bytes(b"")
    (tmp_path / "10.jpg").write_bytes(bytes(len(good[10])))
    (tmp_path / "20.jpg").write_bytes(good[20][: len(good[20]) // 2])
    cv2.imwrite(str(tmp_path / "30.jpg"), np.zeros((9, 9, 3), np.uint8))
    (tmp_path / f".40.jpg.{2**22 + 1}.partial").write_bytes(b"half")
    found, _ = extract(video, tmp_path, [0, 10, 20, 30])
    assert found.written == [0, 10, 20, 30]
    assert {int(file.stem): file.read_bytes() for file in tmp_path.iterdir()} == good


def test_a_full_disk_ends_it_without_half_a_file(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs = []

    def sync(file: int) -> None:
        syncs.append(file)
        if len(syncs) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", sync)
    with pytest.raises(OSError, match="No space"):
        extract(video, tmp_path, list(range(0, 90, 10)))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["0.jpg", "10.jpg"]
    assert not decoding_threads()


def test_stopping_leaves_whole_files_and_names_no_frame_missing(video: Path, tmp_path: Path) -> None:
    stop, wanted = Event(), list(range(0, 90, 10))
    found = extract_camera(video, [*wanted, 200], SMALL_WH, tmp_path, 95, stop, stop.set)
    assert (found.written, found.missing) == ([0], {})
    found, _ = extract(video, tmp_path, wanted)
    assert found.written == wanted


def test_no_video_is_an_error_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    for name in ("text.mp4", "gone.mp4"):
        with pytest.raises(PipelineError):
            extract(tmp_path / name, tmp_path / "frames", [0])


def test_cameras_side_by_side_give_the_same_files_as_in_turn(video: Path, tmp_path: Path) -> None:
    wanted = list(range(0, 90, 4))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: extract(video, tmp_path / str(number), wanted), range(4)))
    extract(video, tmp_path / "turn", wanted)
    expected = {file.name: file.read_bytes() for file in (tmp_path / "turn").iterdir()}
    for number in range(4):
        assert {file.name: file.read_bytes() for file in (tmp_path / str(number)).iterdir()} == expected


SHARED = Path(__file__).resolve().parents[2] / "shared" / "samples" / "egoexo" / "s3"


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the sample release beside the project")
@pytest.mark.parametrize(
    "place",
    [
        "ego4d-cmu/egoexo-public/v2/takes/cmu_cooking_01_1/frame_aligned_videos/aria01_214-1.mp4",
        "ego4d-cmu/egoexo-public/v2/takes/cmu_cooking_01_2/frame_aligned_videos/cam01.mp4",
        "ego4d-iiith/egoexo-public/v2/takes/iiith_cooking_57_2/frame_aligned_videos/cam02.mp4",
    ],
)
def test_release_videos_equal_plain_decoding(place: str) -> None:
    report = DecodeReport()
    size_wh = frame_size_wh((1408, 1408) if "aria" in place else (3840, 2160), "aria" in place)
    wanted = iter_frames(
        SHARED / place, indices=range(0, 300, 30), size_wh=size_wh, scale_while_decoding=True, report=report
    )
    with av.open(str(SHARED / place)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for index, frame in enumerate(container.decode(video=0)):
            if index % 30 == 0:
                ours = next(wanted)
                assert ours.index == index
                assert int(frame.colorspace) in (1, 2), "BT.709, or by its size"
                exact = Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND
                full = frame.to_ndarray(format="rgb24", src_colorspace=Colorspace.ITU709, interpolation=exact)
                expected = cv2.resize(full, size_wh, interpolation=cv2.INTER_AREA)
                assert np.abs(ours.image.astype(np.int16) - expected).mean() < 0.7
    assert next(wanted, None) is None
    assert [missing.index for missing in report.missing] == [240, 270]
