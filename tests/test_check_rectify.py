"""check-rectify: the three pictures and what is said about them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.config import CheckRectifyKnobs
from pipeline.errors import PipelineError
from pipeline.factory import check_rectify
from pipeline.factory.synthetic import CALIBRATION_100K, ClipSpec, encode_clip, pinhole_frame, scene_of
from pipeline.job import Counts, Job
from pipeline.ops.camera.rectify import Rectifier
from pipeline.ops.pictures.drawing import draw_lines
from pipeline.ops.video.frames import Frame
from pipeline.paths import Paths

CLIP = "factory_001_worker_001_0000"
SPEC = ClipSpec(CLIP, 2.0, keyframe_interval=20, seed=1)


class Silent:
    """A progress bar that nobody sees."""

    def start(self, total: float | None, what: str, unit: str = "") -> None: ...

    def advance(self, amount: float = 1) -> None: ...


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    paths = Paths(tmp_path_factory.mktemp("data"))
    for place, content in (
        (paths.clip_video(CLIP), encode_clip(SPEC)),
        (paths.raw_intrinsics(CLIP), CALIBRATION_100K.model_dump_json().encode()),
    ):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return paths.data


def check(
    data: Path, tmp_path: Path, unit: str = CLIP, **knobs: object
) -> tuple[Counts, dict[str, np.ndarray], list[str]]:
    said: list[str] = []
    products = {kind: tmp_path / f".{kind}.jpg.partial" for kind in check_rectify.KINDS}
    settings = CheckRectifyKnobs(**knobs)  # type: ignore[arg-type]
    job = Job(unit, settings, Paths(data), products, tmp_path, said.append, Silent(), lambda name: None)
    counts = check_rectify.run(job)
    pictures = {kind: cv2.imread(str(path))[..., ::-1] for kind, path in products.items()}
    return counts, pictures, said


def test_it_shows_the_middle_of_the_clip(data: Path, tmp_path: Path) -> None:
    counts, pictures, said = check(data, tmp_path)
    assert counts.details["frame_index"] == 30 and counts.details["frame_pts_s"] == pytest.approx(1.0)
    assert pictures["raw"].shape == pictures["rectified"].shape == (256, 456, 3)
    assert cv2.PSNR(np.ascontiguousarray(pictures["rectified"]), pinhole_frame(SPEC, 30)) > 27
    assert counts.made["field_of_view_deg_horizontal"] == pytest.approx(117.6, abs=0.1)
    assert counts.made["pixels_kept_percent"] == pytest.approx(79.2, abs=0.1)
    assert counts.made["pixels_valid_percent"] == 100
    assert len(said) == 1 and "117.6°" in said[0] and "79.2%" in said[0] and f"{CLIP}_side_by_side.jpg" in said[0]
    expected = Rectifier(scene_of(SPEC).camera)
    assert counts.details["rectified"] == expected.describe()


def test_a_chosen_moment_and_balance(data: Path, tmp_path: Path) -> None:
    counts, pictures, _ = check(data, tmp_path, at_s=0.5, rectify_balance=1.0)
    assert counts.details["frame_index"] == 15
    assert counts.made["pixels_kept_percent"] == 100 and counts.made["pixels_valid_percent"] < 60
    assert pictures["rectified"][128, 2].max() < 20
    with pytest.raises(PipelineError, match="lasts 2 s"):
        check(data, tmp_path, at_s=2.5)


def test_the_side_by_side_shows_the_same_lines_on_both() -> None:
    rectifier = Rectifier(scene_of(SPEC).camera)
    grey = np.full((256, 456, 3), 90, np.uint8)
    view = check_rectify.side_by_side(Frame(30, 1.0, grey), rectifier.rectify(grey), rectifier, CLIP).astype(int)
    assert view.shape[1] == 2 * check_rectify.SHOWN_WIDTH + 8
    bar = view.shape[0] - 512
    left, right = view[bar:, :912], view[bar:, 920:]
    assert view[:bar].max() > 200 and view[:bar].mean() < 80  # light words on a dark bar
    upright, level, _ = check_rectify.reference_lines((456, 256))
    for line in (upright[1], upright[-2], level[0], level[-1]):
        assert drawn_along(right, line) > 0.99
        assert drawn_along(left, rectifier.to_fisheye(line)) > 0.99
        assert drawn_along(left, line) < 0.4  # there it is bent


def drawn_along(half: np.ndarray, line: np.ndarray) -> float:
    """Share of a line's points, of the picture before its enlargement, within a pixel of something drawn."""
    points = np.rint((line[5:-5] + 0.5) * 2 - 0.5).astype(int)
    near = cv2.dilate((np.abs(half - 90).max(-1) > 40).astype(np.uint8), np.ones((3, 3)))
    return float(near[points[:, 1], points[:, 0]].mean())


def test_repeated_runs_give_the_same_bytes(data: Path, tmp_path: Path) -> None:
    check(data, tmp_path)
    first = {kind: (tmp_path / f".{kind}.jpg.partial").read_bytes() for kind in check_rectify.KINDS}
    check(data, tmp_path)
    assert first == {kind: (tmp_path / f".{kind}.jpg.partial").read_bytes() for kind in check_rectify.KINDS}


def test_an_ordinary_camera_has_nothing_to_check(data: Path, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="nothing to rectify"):
        check(data, tmp_path, intrinsics="none")
    assert not list(tmp_path.iterdir())


def test_ones_own_footage(data: Path, tmp_path: Path) -> None:
    paths = Paths(data)
    video, camera = str(paths.clip_video(CLIP)), str(paths.raw_intrinsics(CLIP))
    counts, _, _ = check(data, tmp_path, "my", video=video, intrinsics=camera)
    assert counts.made["pictures"] == 3
    knobs = CheckRectifyKnobs(video=video, intrinsics=camera)
    assert check_rectify.inputs(paths, "my", knobs) == {"video": Path(video), "intrinsics": Path(camera)}
    assert set(check_rectify.products(paths, "my", knobs)) == set(check_rectify.KINDS)


def test_large_pictures_are_shown_smaller() -> None:
    camera = scene_of(SPEC).camera
    rectifier = Rectifier(camera, size_wh=(1824, 1024))
    raw = np.zeros((256, 456, 3), np.uint8)
    view = check_rectify.side_by_side(Frame(0, 0.0, raw), rectifier.rectify(raw), rectifier, "x" * 300)
    assert view.shape[1] == 2 * check_rectify.SHOWN_WIDTH + 8


def test_lines_break_where_there_is_no_point() -> None:
    line = np.array([[2.0, 5], [8, 5], [np.nan, np.nan], [12, 5], [18, 5]])
    drawn = draw_lines(np.zeros((10, 20, 3), np.uint8), [line], 1.0, (255, 255, 255))
    assert drawn[5, 3:8].min() > 200 and drawn[5, 13:18].min() > 200
    assert drawn[5, 10].max() == 0
