"""Geometry: the lens function, its inverse, rectified pictures, points and boxes."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import PipelineError
from pipeline.factory.synthetic import CALIBRATION_10K, CALIBRATION_100K
from pipeline.ops.camera.fisheye import Camera, scaled_matrix
from pipeline.ops.camera.kannala_brandt import branch_top, distort_angle, undistort_angle
from pipeline.ops.camera.rectify import Rectifier
from pipeline.ops.camera.source import camera_of, clip_source
from pipeline.paths import Paths
from pipeline.schema.intrinsics import Intrinsics

SMALL_10K = (480, 270)
CAMERAS = {
    "100K": Camera.from_intrinsics(CALIBRATION_100K),
    "10K": Camera.from_intrinsics(CALIBRATION_10K),
    "10K small": Camera.from_intrinsics(CALIBRATION_10K, SMALL_10K),
}
SHARED = Path(__file__).resolve().parents[2] / "shared" / "samples" / "factory"


def pixel_grid(size_wh: tuple[int, int], step: int = 1) -> np.ndarray:
    """Pixel centres of a picture, and its four outermost corners."""
    width, height = size_wh
    grid = np.stack(np.meshgrid(np.arange(0, width, step), np.arange(0, height, step)), -1).reshape(-1, 2)
    corners = [(x, y) for x in (-0.5, width - 0.5) for y in (-0.5, height - 0.5)]
    return np.concatenate([grid, corners]).astype(np.float64)


@pytest.mark.parametrize("name", ["100K", "10K"])
def test_the_inverse_is_exact_over_the_whole_frame(name: str) -> None:
    camera = CAMERAS[name]
    raw = pixel_grid(camera.size_wh)
    back = camera.from_normalized(camera.to_normalized(raw))
    seen = ~np.isnan(back).any(-1)
    assert np.abs(back[seen] - raw[seen]).max() < 1e-6
    a, b = ((raw - camera.K[:2, 2]) / camera.K[[0, 1], [0, 1]]).T
    reachable = np.hypot(a, b) <= float(distort_angle(np.array(branch_top(camera.D)), camera.D))
    assert (seen == reachable).all()


def test_exactly_the_corners_of_the_10k_picture_have_no_direction() -> None:
    for_100k, for_10k = (
        np.isnan(CAMERAS[n].to_normalized(pixel_grid(CAMERAS[n].size_wh))[:, 0]) for n in ("100K", "10K")
    )
    assert not for_100k.any()
    assert for_10k.mean() == pytest.approx(0.039, abs=0.0005)
    picture = for_10k[:-4].reshape(1080, 1920)
    assert picture[[0, 0, -1, -1], [0, -1, 0, -1]].all()
    assert not picture[540].any() and not picture[:, 960].any()
    assert np.degrees(branch_top(CAMERAS["10K"].D)) == pytest.approx(67.9, abs=0.05)
    assert distort_angle(np.array(branch_top(CAMERAS["10K"].D)), CAMERAS["10K"].D) == pytest.approx(0.950, abs=0.001)


def test_opencv_inverts_a_tenth_of_the_100k_picture_wrongly_and_we_do_not() -> None:
    camera = CAMERAS["100K"]
    raw = pixel_grid(camera.size_wh)
    theirs = cv2.fisheye.undistortPoints(raw[:, None], camera.K, camera.D)
    again = cv2.fisheye.distortPoints(theirs, camera.K, camera.D)[:, 0]
    wrong = np.abs(again - raw).max(-1) > 0.01
    share = wrong.mean()
    assert 0.09 < share < 0.12
    ours = camera.to_normalized(raw)
    assert np.abs(cv2.fisheye.distortPoints(ours[:, None], camera.K, camera.D)[:, 0] - raw).max() < 1e-6


@pytest.mark.parametrize("name", ["100K", "10K small"])
def test_maps_agree_with_opencv_within_their_grid(name: str) -> None:
    camera = CAMERAS[name]
    noise = np.random.default_rng(0).integers(0, 256, (*camera.size_wh[::-1], 3), dtype=np.uint8)
    image = cv2.GaussianBlur(noise, (0, 0), 2.0)
    maps = cv2.fisheye.initUndistortRectifyMap(camera.K, camera.D, np.eye(3), camera.K, camera.size_wh, cv2.CV_32FC1)
    theirs = cv2.remap(image, *maps, cv2.INTER_LINEAR).astype(int)
    assert np.abs(Rectifier(camera).rectify(image).astype(int) - theirs).max() <= 2


def test_folded_directions_are_black_not_repeated() -> None:
    rectifier = Rectifier(CAMERAS["10K small"], balance=1.0)
    white = np.full((SMALL_10K[1], SMALL_10K[0], 3), 255, np.uint8)
    rectified = rectifier.rectify(white)
    assert (rectified[rectifier.valid_mask] == 255).all()
    assert (rectified[~rectifier.valid_mask] == 0).all()
    x, y = np.meshgrid(np.arange(SMALL_10K[0]), np.arange(SMALL_10K[1]))
    angle = np.arctan(
        np.hypot((x - rectifier.K[0, 2]) / rectifier.K[0, 0], (y - rectifier.K[1, 2]) / rectifier.K[1, 1])
    )
    assert not rectifier.valid_mask[angle > branch_top(rectifier.camera.D)].any()


def test_scaling_keeps_pixel_areas_where_resizing_puts_them() -> None:
    whole, half = CAMERAS["10K"], Camera.from_intrinsics(CALIBRATION_10K, (960, 540))
    rays = np.random.default_rng(0).uniform(-0.5, 0.5, (50, 2))
    assert half.from_normalized(rays) == pytest.approx((whole.from_normalized(rays) + 0.5) / 2 - 0.5)
    assert pytest.approx(whole.K, abs=0) == Camera.from_intrinsics(CALIBRATION_10K, (1920, 1080)).K
    assert scaled_matrix(whole.K, (1920, 1080), (1920, 1080)) == pytest.approx(whole.K, abs=1e-12)
    dithered = np.linspace(10, 240, 960) + np.random.default_rng(1).uniform(0, 1, (540, 960))
    ramp = np.floor(dithered).astype(np.uint8)[..., None].repeat(3, -1)
    smaller = cv2.resize(ramp, (480, 270), interpolation=cv2.INTER_AREA)
    then = Rectifier(Camera.from_intrinsics(CALIBRATION_10K, (480, 270))).rectify(smaller)
    first = cv2.resize(Rectifier(half).rectify(ramp), (480, 270), interpolation=cv2.INTER_AREA)
    assert (then.astype(float) - first).mean() == pytest.approx(0, abs=0.02)  # plain scaling is off by 0.12


def test_another_aspect_ratio_is_refused_unless_allowed() -> None:
    with pytest.raises(PipelineError, match=r"640×480.*456×256"):
        Camera.from_intrinsics(CALIBRATION_100K, (640, 480))
    squeezed = Camera.from_intrinsics(CALIBRATION_100K, (640, 480), allow_aspect=True)
    assert squeezed.K[0, 0] == pytest.approx(137.98 * 640 / 456) and squeezed.K[1, 1] == pytest.approx(
        138.23 * 480 / 256
    )
    assert Camera.from_intrinsics(CALIBRATION_100K, (448, 252)).size_wh == (448, 252)


def test_published_figures() -> None:
    """Shares and angles known for the two published calibrations with the camera's own matrix."""
    wide, narrow = Rectifier(CAMERAS["100K"]), Rectifier(CAMERAS["10K"])
    assert pytest.approx(CAMERAS["100K"].K, abs=1e-12) == wide.K
    assert (wide.pixels_kept, narrow.pixels_kept) == (pytest.approx(0.791, abs=0.003), pytest.approx(0.611, abs=0.002))
    assert wide.valid_mask.all() and narrow.valid_mask.all()
    assert wide.field_of_view_deg.horizontal == pytest.approx(117.6, abs=0.1)
    raw = CAMERAS["100K"].field_of_view_deg
    assert (raw.left, raw.right) == (pytest.approx(66.6, abs=0.2), pytest.approx(64.8, abs=0.2))
    assert (raw.up, raw.down) == (pytest.approx(42.2, abs=0.2), pytest.approx(43.5, abs=0.2))
    assert (raw.horizontal, raw.vertical) == (pytest.approx(131, abs=0.5), pytest.approx(86, abs=0.5))


@pytest.mark.parametrize(
    ("name", "balance", "kept", "valid"),
    [
        ("100K", 0.0, 0.7935, 1.0), ("100K", 0.5, 0.9435, 0.8824), ("100K", 1.0, 1.0, 0.5551),
        ("10K", 0.0, 0.723, 1.0), ("10K", 0.5, 0.8851, 0.8755), ("10K", 1.0, 0.9609, 0.6099),
    ],
)  # fmt: skip
def test_balance_figures(name: str, balance: float, kept: float, valid: float) -> None:
    rectifier = Rectifier(CAMERAS[name], balance=balance)
    assert rectifier.pixels_kept == pytest.approx(kept, abs=0.0005)
    assert rectifier.valid_mask.mean() == pytest.approx(valid, abs=0.0005)
    assert rectifier.K[0, 0] / rectifier.K[1, 1] == pytest.approx(CAMERAS[name].K[0, 0] / CAMERAS[name].K[1, 1])


@pytest.mark.parametrize("name", ["100K", "10K small"])
def test_pixels_kept_is_what_counting_with_the_inverse_gives(name: str) -> None:
    camera = CAMERAS[name]
    for balance in (None, 0.3, 1.0):
        rectifier = Rectifier(camera, balance=balance)
        where = rectifier.to_rectified(pixel_grid(camera.size_wh)[:-4])
        inside = ((where >= -1e-9) & (where <= np.array(camera.size_wh) - 1 + 1e-9)).all(-1)
        assert rectifier.pixels_kept == pytest.approx(inside.mean(), abs=1e-4)
        assert Rectifier(camera, balance=balance, size_wh=(224, 126)).pixels_kept == rectifier.pixels_kept


def test_balance_trades_valid_pixels_for_kept_ones() -> None:
    steps = [Rectifier(CAMERAS["10K small"], balance=balance) for balance in np.linspace(0, 1, 6).tolist()]
    assert all(a.pixels_kept < b.pixels_kept for a, b in pairwise(steps))
    assert all(a.valid_mask.mean() > b.valid_mask.mean() for a, b in pairwise(steps))
    with pytest.raises(PipelineError, match=r"1\.5"):
        Rectifier(CAMERAS["100K"], balance=1.5)
    with pytest.raises(PipelineError, match="nan"):
        Rectifier(CAMERAS["100K"], balance=float("nan"))


def test_one_remap_to_the_models_size_shows_the_same_view() -> None:
    camera = CAMERAS["100K"]
    whole, direct = Rectifier(camera, balance=0.5), Rectifier(camera, balance=0.5, size_wh=(448, 252))
    points = np.random.default_rng(0).uniform(0, 250, (40, 2))
    scale = np.array([448 / 456, 252 / 256])
    assert direct.to_fisheye((points + 0.5) * scale - 0.5) == pytest.approx(whole.to_fisheye(points))
    smooth = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (256, 456, 3), dtype=np.uint8), (0, 0), 6)
    smooth = cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX)
    twice = cv2.resize(whole.rectify(smooth), (448, 252), interpolation=cv2.INTER_AREA)
    assert direct.rectify(smooth).shape == (252, 448, 3)
    assert cv2.PSNR(direct.rectify(smooth)[30:220, 30:410], twice[30:220, 30:410]) > 38


def test_digests_tell_maps_apart_and_repeat() -> None:
    camera = CAMERAS["100K"]
    digests = [
        Rectifier(camera).map_digest,
        Rectifier(camera, balance=0.0).map_digest, Rectifier(camera, balance=0.1).map_digest,
        Rectifier(camera, size_wh=(448, 252)).map_digest,
        Rectifier(Camera(camera.K, camera.D * 1.01, camera.size_wh)).map_digest,
    ]  # fmt: skip
    assert len(set(digests)) == len(digests)
    assert Rectifier(Camera.from_intrinsics(CALIBRATION_100K)).map_digest == digests[0]


def test_threads_share_a_rectifier() -> None:
    rectifier = Rectifier(CAMERAS["100K"])
    images = [np.full((256, 456, 3), value, np.uint8) for value in range(64)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(rectifier.rectify, images))
    assert all((result == image).all() for result, image in zip(results, images, strict=True))


def test_frames_of_another_size_are_refused() -> None:
    with pytest.raises(PipelineError, match="100×50, expected 456×256"):
        Rectifier(CAMERAS["100K"]).rectify(np.zeros((50, 100, 3), np.uint8))


def boxes_in(size_wh: tuple[int, int]) -> st.SearchStrategy[tuple[float, float, float, float]]:
    """Boxes of at least two pixels that overlap the picture, some reaching beyond it."""
    width, height = size_wh
    corner = st.tuples(st.floats(-40, width - 3), st.floats(-40, height - 3))
    return st.tuples(corner, st.floats(2, width), st.floats(2, height)).map(
        lambda item: (item[0][0], item[0][1], item[0][0] + item[1], item[0][1] + item[2])
    )


RECTIFIERS = [Rectifier(CAMERAS[name], balance=balance) for name in ("100K", "10K small") for balance in (None, 1.0)]


def assert_contains(
    box: tuple[float, float, float, float] | None, points: np.ndarray, size_wh: tuple[int, int]
) -> None:
    points = points[np.isfinite(points).all(-1)]
    inside = points[((points >= 0) & (points <= np.array(size_wh))).all(-1)]
    if not len(inside):
        return
    assert box is not None or min(np.ptp(inside, axis=0)) < 1e-3
    if box is not None:
        assert (inside >= np.array(box[:2]) - 1e-3).all() and (inside <= np.array(box[2:]) + 1e-3).all()
        assert 0 <= box[0] < box[2] <= size_wh[0] and 0 <= box[1] < box[3] <= size_wh[1]


def interior(box: tuple[float, float, float, float]) -> np.ndarray:
    grid = np.meshgrid(np.linspace(box[0], box[2], 41), np.linspace(box[1], box[3], 41))
    return np.stack(grid, -1).reshape(-1, 2)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), rectifier=st.sampled_from(RECTIFIERS))
def test_boxes_contain_what_they_contained(data: st.DataObject, rectifier: Rectifier) -> None:
    box = data.draw(boxes_in(rectifier.camera.size_wh))
    assert_contains(rectifier.box_to_fisheye(box), rectifier.to_fisheye(interior(box)), rectifier.camera.size_wh)
    assert_contains(rectifier.box_to_rectified(box), rectifier.to_rectified(interior(box)), rectifier.size_wh)


@settings(max_examples=40, deadline=None)
@given(box=boxes_in((300, 180)), rectifier=st.sampled_from(RECTIFIERS[::2]))
def test_a_round_trip_contains_the_original_box(box: tuple[float, float, float, float], rectifier: Rectifier) -> None:
    box = (max(box[0], 0), max(box[1], 0), min(box[2], 400), min(box[3], 240))
    if not (box[0] < box[2] and box[1] < box[3]):
        return
    raw = rectifier.box_to_fisheye(box)
    assert raw is not None
    again = rectifier.box_to_rectified(raw)
    assert again is not None
    assert again[0] <= box[0] + 1e-3 and again[1] <= box[1] + 1e-3
    assert again[2] >= min(box[2], rectifier.size_wh[0]) - 1e-3 and again[3] >= min(box[3], rectifier.size_wh[1]) - 1e-3


def test_four_corners_would_not_do() -> None:
    rectifier = Rectifier(CAMERAS["100K"])
    raw = rectifier.box_to_fisheye((40, 5, 420, 250))
    assert raw is not None
    corners = rectifier.to_fisheye(np.array([(40, 5), (420, 5), (40, 250), (420, 250)], np.float64))
    assert raw[1] < corners[:, 1].min() - 10 and raw[3] > corners[:, 1].max() + 10


def test_boxes_without_a_picture() -> None:
    narrow = Rectifier(CAMERAS["10K"], balance=1.0)
    assert narrow.box_to_rectified((0, 0, 20, 20)) is None  # the corner that no ray reaches
    assert narrow.box_to_rectified((0, 0, 600, 400)) is not None  # only partly so
    own = Rectifier(CAMERAS["100K"])
    assert own.box_to_rectified((0, 0, 10, 10)) is None  # seen by the lens, outside the rectified picture
    assert own.box_to_fisheye((-50, -50, -10, -10)) is not None  # outside the rectified, still on the raw picture
    assert own.box_to_fisheye((-9000, 100, -8000, 110)) is None
    whole = own.box_to_rectified((0, 0, 456, 256))
    assert whole == pytest.approx((0, 0, 456, 256))


def test_a_box_around_the_circle_of_view_keeps_its_inside() -> None:
    """Every edge of it is unreachable, so the outline has to be the circle's."""
    matrix = np.array([[100.0, 0, 150], [0, 100.0, 150], [0, 0, 1]])
    circular = Camera(matrix, np.array([-0.1166, -0.0236, 0.0694, -0.0463]), (301, 301))
    assert Rectifier(circular, balance=0.0).valid_mask.all()
    rectifier = Rectifier(circular, balance=1.0)
    assert np.isnan(rectifier.to_rectified(np.array([[0.0, 0.0], [150.0, 0.0], [300.0, 150.0]]))).all()
    box = rectifier.box_to_rectified((0, 0, 300, 300))
    assert box == pytest.approx((0, 0, 301, 301), abs=1.5)
    assert rectifier.box_to_fisheye((-900, -900, 1200, 1200)) == pytest.approx((55, 55, 245, 245), abs=1)


GOOD = CALIBRATION_100K.model_dump()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fx": 0.5, "fy": 0.5}, "direction"),
        ({"fx": 1e7, "fy": 1e7}, "sees only"),
        ({"k1": -4.0}, "ends at"),
        ({"k1": -1e5}, "ends at"),
        ({"k4": 1e200}, "coefficient"),
        ({"cx": -5.0}, "centre"),
        ({"cy": 1e6}, "centre"),
        ({"image_width": 2, "image_height": 1}, "picture"),
    ],
)
def test_nonsense_is_refused_with_a_reason(change: dict[str, float], words: str) -> None:
    with pytest.raises(PipelineError, match=words):
        Camera.from_intrinsics(Intrinsics.model_validate(GOOD | change))


def test_singular_or_skewed_matrices_are_refused() -> None:
    camera = CAMERAS["100K"]
    for row, column, value in ((0, 0, 0.0), (1, 1, -3.0), (0, 1, 2.0), (2, 2, 0.0), (0, 2, np.nan), (0, 0, np.inf)):
        matrix = camera.K.copy()
        matrix[row, column] = value
        with pytest.raises(PipelineError):
            Camera(matrix, camera.D, camera.size_wh)
    with pytest.raises(PipelineError, match="finite"):
        Camera(camera.K, np.array([0, np.nan, 0, 0]), camera.size_wh)


numbers = (
    st.floats(-20, 20) | st.floats(allow_nan=False, allow_infinity=False) | st.floats(0.05, 2).map(lambda v: v * 60)
)
coefficients = st.floats(-0.6, 0.6) | st.floats(-1e5, 1e5) | st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=150, deadline=None)
@given(
    fx=numbers,
    fy=numbers,
    cx=numbers,
    cy=numbers,
    k=st.tuples(*[coefficients] * 4),
    balance=st.none() | st.floats(0, 1),
)
def test_any_calibration_is_refused_or_works(
    fx: float, fy: float, cx: float, cy: float, k: tuple[float, ...], balance: float | None
) -> None:
    values = {
        "fx": abs(fx) + 1e-300,
        "fy": abs(fy) + 1e-300,
        "cx": cx,
        "cy": cy,
        "k1": k[0],
        "k2": k[1],
        "k3": k[2],
        "k4": k[3],
    }
    intrinsics = Intrinsics.model_validate({"model": "fisheye", "image_width": 64, "image_height": 36} | values)
    with np.errstate(all="raise", under="ignore", invalid="ignore"):
        try:
            camera = Camera.from_intrinsics(intrinsics)
        except PipelineError:
            return
        rectifier = Rectifier(camera, balance=balance)
        raw = pixel_grid(camera.size_wh)
        back = camera.from_normalized(camera.to_normalized(raw))
    assert np.isfinite(rectifier.K).all() and 0 < rectifier.pixels_kept <= 1
    assert np.nanmax(np.abs(back - raw)) < 1e-6
    if balance == 0:
        assert rectifier.valid_mask.all()


@settings(max_examples=100, deadline=None)
@given(k=st.tuples(*[st.floats(-2, 2)] * 4))
def test_the_branch_grows_all_the_way_and_inverts(k: tuple[float, ...]) -> None:
    coefficients_of = np.array(k)
    theta = np.linspace(0, branch_top(coefficients_of), 500)
    theta_d = distort_angle(theta, coefficients_of)
    assert (np.diff(theta_d) > -1e-12).all()
    again = distort_angle(undistort_angle(theta_d, coefficients_of), coefficients_of)
    assert again == pytest.approx(theta_d, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(
    content=st.binary(max_size=60)
    | st.recursive(st.none() | st.floats() | st.text(max_size=5), st.lists).map(json.dumps)
)
def test_damaged_calibration_files_are_refused(content: bytes | str, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("camera") / "camera.json"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    video = file.with_name("my.mp4")
    video.touch()
    source = clip_source(Paths(file.parent), "my", str(video), str(file))
    with pytest.raises(PipelineError, match=r"camera\.json"):
        camera_of(source, (456, 256))


def test_where_footage_and_calibration_come_from(tmp_path: Path) -> None:
    paths, clip = Paths(tmp_path), "factory_001_worker_001_0000"
    published = clip_source(paths, clip)
    assert (published.video, published.camera_file) == (paths.clip_video(clip), paths.raw_intrinsics(clip))
    assert clip_source(paths, clip, intrinsics="none").camera_file is None
    video, camera_file = tmp_path / "my.mp4", tmp_path / "my.json"
    video.touch()
    camera_file.write_text(CALIBRATION_100K.model_dump_json())
    own = clip_source(paths, "my", str(video), str(camera_file))
    camera = camera_of(own, (912, 512))
    assert camera is not None and camera.size_wh == (912, 512)
    assert camera_of(clip_source(paths, "my", str(video), "none"), (640, 480)) is None
    with pytest.raises(PipelineError, match="INTRINSICS=none"):
        clip_source(paths, "my", str(video))
    with pytest.raises(PipelineError, match=r"absent\.mp4 is not a file"):
        clip_source(paths, "my", str(tmp_path / "absent.mp4"), "none")
    with pytest.raises(PipelineError, match=r"my\.json: the video is 640×480"):
        camera_of(own, (640, 480))
    assert camera_of(own, (640, 480), allow_aspect=True) is not None


SAMPLE_PSNR_DB = {
    "factory_001_worker_001_0000": ([33.0, 35.2, 32.7, 32.9, 30.8, 33.2], [34.2, 36.6, 34.8, 34.4, 32.7, 34.4]),
    "factory_001_worker_001_0001": ([26.3, 25.1, 24.0, 29.6, 32.6, 33.6], [28.5, 27.3, 26.4, 31.1, 34.0, 34.6]),
    "factory_001_worker_001_0002": ([25.9, 23.8, 30.5, 34.9, 26.3, 25.9], [28.1, 26.1, 31.8, 35.9, 28.1, 28.3]),
}
"""Per truth frame: rectified at 456×256, and straight to 448×252; as measured when the sample was made."""


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="the real sample footage is not here")
@pytest.mark.parametrize("clip", sorted(SAMPLE_PSNR_DB))
def test_real_frames_match_their_stored_pinhole_views(clip: str, tmp_path: Path) -> None:
    import tarfile

    import av

    with tarfile.open(SHARED / "factory001/worker001/part000.tar") as archive:
        archive.extract(f"{clip}.mp4", tmp_path, filter="data")
    truths = sorted((SHARED / "truth" / clip).glob("frame_*.png"))
    wanted = {int(path.stem.split("_")[1]): path for path in truths}
    own, direct = Rectifier(CAMERAS["100K"]), Rectifier(CAMERAS["100K"], size_wh=(448, 252))
    valid = cv2.imread(str(SHARED / "truth/valid_mask.png"), cv2.IMREAD_GRAYSCALE)
    assert valid is not None and ((valid == 255) == own.valid_mask).all()
    measured: tuple[list[float], list[float]] = ([], [])
    with av.open(tmp_path / f"{clip}.mp4") as container:
        for index, picture in enumerate(container.decode(video=0)):
            if index not in wanted:
                continue
            raw, stored = picture.to_ndarray(format="rgb24"), cv2.imread(str(wanted[index]))
            assert stored is not None
            truth = stored[..., ::-1].copy()
            measured[0].append(cv2.PSNR(own.rectify(raw), truth))
            smaller = cv2.resize(truth, (448, 252), interpolation=cv2.INTER_AREA)
            measured[1].append(cv2.PSNR(direct.rectify(raw), smaller))
            if index == max(wanted):
                break
    assert (np.array(measured) >= np.array(SAMPLE_PSNR_DB[clip]) - 1).all()
