"""The phase `features` and its readers: one mapped file a picture, resumed after a kill, nothing mixed."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from pipeline.config_correspondence import FeaturesKnobs
from pipeline.console import Console
from pipeline.correspondence import features as phase_module
from pipeline.correspondence.feature_maps import CAMERA_FILE, FeatureMaps
from pipeline.correspondence.precomputed_features import PrecomputedFeatures
from pipeline.errors import PipelineError
from pipeline.models.backbone_loading import load_backbone
from pipeline.models.backbones import Backbone
from pipeline.models.tiny_backbones import write_tiny_backbone
from pipeline.ops.features.grid import fit
from pipeline.ops.features.maps import FeatureReader
from pipeline.ops.features.npy import open_array, write_array
from pipeline.paths import Paths
from pipeline.phases import Phase
from pipeline.runner import Summary, run_phase
from pipeline.schema.base import read_model
from pipeline.schema.features import CameraFeatures
from pipeline.schema.manifest import Manifest
from tests.processed_takes import CAM1, CAM2, EGO, TEST_1, VAL_1, Made, small_dataset

ROOT = Path(__file__).parents[1]
NAME = "toy"
UNIT, OTHER = f"{NAME}/{VAL_1}", f"{NAME}/{TEST_1}"
ROW = Phase(
    "features", "dense features", "correspondence", "pipeline.correspondence.features", FeaturesKnobs, "train", "take",
    ("egoexo-process",), "data/output_dir_{name}/features/…", model="backbone",
)  # fmt: skip
SCALE = 3.0
"""The toy's pictures are a token or two wide."""


@pytest.fixture(scope="module", autouse=True)
def one_core() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("backbones")
    tiny = {name: write_tiny_backbone(home / name, name) for name in ("dinov3-s", "dinov2-b", "dino-resnet50")}
    return tiny | {"other": write_tiny_backbone(home / "other", "dinov3-s", seed=1)}


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return small_dataset(tmp_path, NAME)


def run(made: Made, weights: Path, *units: str, redo: bool = False, **knobs: Any) -> Summary:
    given = {"name": NAME, "device": "cpu", "input_scale": SCALE, "backbone_weights": str(weights)} | knobs
    return run_phase(ROW, units or [UNIT], FeaturesKnobs(**given), made.paths, Console(), ["features"] if redo else [])


def maps_of(made: Made, backbone: str = "dinov3-s") -> FeatureMaps:
    return FeatureMaps(made.paths.features(NAME, backbone), backbone)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def manifest(made: Made, unit: str = UNIT) -> Manifest:
    return read_model(made.paths.manifest("features", unit), Manifest, "")


# Making


@pytest.mark.parametrize("name", ["dinov3-s", "dinov2-b", "dino-resnet50"])
def test_maps_are_what_the_backbone_makes_of_each_picture(made: Made, weights: dict[str, Path], name: str) -> None:
    assert run(made, weights[name], backbone=name).is_good
    backbone = load_backbone(name, str(weights[name]), device="cpu")[0]
    maps = maps_of(made, name)
    for camera, hw in ((EGO, (6, 6)), (CAM1, (3, 5))):
        described = maps.camera(VAL_1, camera)
        assert described.frames == [0, 30, 60, 90, 120] or camera == EGO
        for frame in described.frames:
            found = maps.read(VAL_1, camera, frame)
            bgr = cv2.imread(str(made.paths.frame(NAME, VAL_1, camera, frame)))
            grid = backbone.grid((bgr.shape[1], bgr.shape[0]), SCALE)
            picture = np.ascontiguousarray(fit(bgr, grid.shown_size_wh)[..., ::-1])
            expected = backbone.tokens(picture[None], grid)[0]
            assert found.grid_hw == hw and found.input_hw == (hw[0] * backbone.patch, hw[1] * backbone.patch)
            assert found.tokens.shape == (*hw, backbone.dim) and found.tokens.dtype == np.float16
            np.testing.assert_allclose(found.tokens.astype(np.float32), expected, atol=4e-3)


def test_what_lies_beside_the_maps(made: Made, weights: dict[str, Path]) -> None:
    assert run(made, weights["dinov3-s"]).is_good
    folder = made.paths.take_features(NAME, "dinov3-s", VAL_1)
    assert folder == made.root / "features" / "dinov3-s" / VAL_1
    described = read_model(folder / CAM1 / CAMERA_FILE, CameraFeatures, "")
    source = described.source
    assert (source.backbone, source.weights, source.revision) == ("dinov3-s", "dinov3-s", None)
    assert (source.dim, source.patch, source.computed_in, source.resize, source.scale) == (
        64, 16, "float32", "area", SCALE,
    )  # fmt: skip
    assert [grid.model_dump() for grid in described.grids] == [
        {"picture_size_wh": (24, 16), "input_size_wh": (80, 48), "grid_hw": (3, 5)}
    ]
    on_disk = sorted(int(file.stem) for file in (made.root / VAL_1 / CAM1).glob("*.jpg"))
    assert described.frames == on_disk == sorted(int(file.stem) for file in (folder / CAM1).glob("*.npy"))
    counts = manifest(made)
    assert counts.made["pictures"] == len(list((made.root / VAL_1).rglob("*.jpg"))) and counts.made["dim"] == 64
    assert counts.details["source"]["weights_sha256"] == source.weights_sha256
    assert not made.paths.work("features", UNIT).exists()


def test_maps_are_opened_without_being_read(finished: Path) -> None:
    tokens = FeatureMaps(finished, "dinov3-s").read(VAL_1, EGO, 0).tokens
    assert isinstance(tokens, np.memmap) and not tokens.flags.writeable and tokens.flags.c_contiguous


def test_batches_change_nothing_but_last_digits(made: Made, weights: dict[str, Path], tmp_path: Path) -> None:
    other = small_dataset(tmp_path / "other", NAME)
    assert run(made, weights["dinov3-s"]).is_good and run(other, weights["dinov3-s"], batch_pictures=1).is_good
    folders = [each.paths.take_features(NAME, "dinov3-s", VAL_1) for each in (made, other)]
    files = sorted(file.relative_to(folders[0]) for file in folders[0].rglob("*.npy"))
    assert files == sorted(file.relative_to(folders[1]) for file in folders[1].rglob("*.npy"))
    for file in files:
        np.testing.assert_allclose(np.load(folders[0] / file), np.load(folders[1] / file), atol=4e-3)


def test_pictures_of_two_sizes_in_one_camera(made: Made, weights: dict[str, Path]) -> None:
    picture = np.full((24, 16, 3), 90, np.uint8)  # portrait among landscape ones
    cv2.imwrite(str(made.paths.frame(NAME, VAL_1, CAM1, 30)), picture)
    assert run(made, weights["dinov3-s"]).is_good
    maps = maps_of(made)
    assert maps.read(VAL_1, CAM1, 30).grid_hw == (5, 3) and maps.read(VAL_1, CAM1, 0).grid_hw == (3, 5)
    assert len(maps.camera(VAL_1, CAM1).grids) == 2


def test_colours_are_read_as_rgb(made: Made, weights: dict[str, Path]) -> None:
    size_wh = (24, 16)
    for frame, bgr in ((0, (0, 0, 255)), (30, (255, 0, 0))):
        cv2.imwrite(str(made.paths.frame(NAME, VAL_1, CAM1, frame)), np.full((16, 24, 3), bgr, np.uint8))
    assert run(made, weights["dinov3-s"]).is_good
    backbone = load_backbone("dinov3-s", str(weights["dinov3-s"]), device="cpu")[0]
    grid = backbone.grid(size_wh, SCALE)
    red = np.zeros((1, grid.shown_size_wh[1], grid.shown_size_wh[0], 3), np.uint8)
    red[..., 0] = 254  # as JPEG has it
    expected = backbone.tokens(red, grid)[0].astype(np.float32)
    maps = maps_of(made)
    distance = [np.abs(maps.read(VAL_1, CAM1, frame).tokens - expected).mean() for frame in (0, 30)]
    assert distance[0] < 0.02 and distance[1] > 0.3


# Done, stale, resumed


def test_done_is_skipped_without_a_model(made: Made, weights: dict[str, Path], monkeypatch: Any) -> None:
    assert run(made, weights["dinov3-s"]).made == [UNIT]
    monkeypatch.setattr(phase_module, "load", lambda *_: pytest.fail("the model was loaded"))
    assert run(made, weights["dinov3-s"]).skipped == [UNIT]


def test_a_changed_picture_makes_the_take_again(made: Made, weights: dict[str, Path]) -> None:
    assert run(made, weights["dinov3-s"]).made == [UNIT]
    before = maps_of(made).read(VAL_1, CAM1, 30).tokens.copy()
    cv2.imwrite(str(made.paths.frame(NAME, VAL_1, CAM1, 30)), np.full((16, 24, 3), 255, np.uint8))
    assert run(made, weights["dinov3-s"]).made == [UNIT]
    assert not np.array_equal(maps_of(made).read(VAL_1, CAM1, 30).tokens, before)


def test_other_weights_need_a_redo(made: Made, weights: dict[str, Path], capsys: Any) -> None:
    assert run(made, weights["dinov3-s"]).made == [UNIT]
    assert "made with other settings: --backbone-weights" in run(made, weights["other"]).failed[UNIT]
    assert "REDO=features" in capsys.readouterr().err
    assert run(made, weights["other"], redo=True).made == [UNIT]


class Killed(BaseException):
    """Stands for anything that ends the process between two batches."""


def test_an_interrupted_run_goes_on_where_it_was(made: Made, weights: dict[str, Path], monkeypatch: Any) -> None:
    shown: list[int] = []
    whole = Backbone.tokens

    def tokens(self: Backbone, pictures: Any, grid: Any) -> Any:
        shown.append(len(pictures))
        if len(shown) == 4:
            raise Killed
        return whole(self, pictures, grid)

    monkeypatch.setattr(Backbone, "tokens", tokens)
    with pytest.raises(Killed):
        run(made, weights["dinov3-s"], batch_pictures=2)
    assert not made.paths.take_features(NAME, "dinov3-s", VAL_1).exists()
    total = len(list((made.root / VAL_1).rglob("*.jpg")))
    assert run(made, weights["dinov3-s"], batch_pictures=2).made == [UNIT]
    assert sum(shown) == total + 2  # only the batch that was under way is shown twice
    resumed = contents(made.paths.take_features(NAME, "dinov3-s", VAL_1))
    assert run(made, weights["dinov3-s"], batch_pictures=2, redo=True).made == [UNIT]
    assert contents(made.paths.take_features(NAME, "dinov3-s", VAL_1)) == resumed


def interrupted(made: Made, weights: Path, monkeypatch: Any) -> list[Path]:
    """Maps that a run left when it was stopped at its last batch."""
    with monkeypatch.context() as patch:
        patch.setattr(phase_module, "publish", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            run(made, weights)
    return sorted(made.paths.work("features", UNIT).rglob("*.npy"))


def count_shown(monkeypatch: Any) -> list[int]:
    shown: list[int] = []
    whole = Backbone.tokens
    monkeypatch.setattr(Backbone, "tokens", lambda self, p, g: (shown.append(len(p)), whole(self, p, g))[1])
    return shown


def test_a_map_cut_off_by_a_power_cut_is_made_again(made: Made, weights: dict[str, Path], monkeypatch: Any) -> None:
    left = interrupted(made, weights["dinov3-s"], monkeypatch)
    os.truncate(left[0], 200)
    left[-1].write_bytes(b"")
    shown = count_shown(monkeypatch)
    assert run(made, weights["dinov3-s"]).made == [UNIT]
    assert 2 <= sum(shown) < len(left)
    for camera in (EGO, CAM1, CAM2):
        for frame in maps_of(made).camera(VAL_1, camera).frames:
            assert maps_of(made).read(VAL_1, camera, frame).tokens.astype(np.float32).std() > 0.1


def test_what_other_weights_left_half_done_is_not_used(made: Made, weights: dict[str, Path], monkeypatch: Any) -> None:
    left = interrupted(made, weights["other"], monkeypatch)
    assert len(interrupted(made, weights["dinov3-s"], monkeypatch)) == len(left)  # nor does it take room any longer
    left = interrupted(made, weights["other"], monkeypatch)
    shown = count_shown(monkeypatch)
    assert run(made, weights["dinov3-s"]).made == [UNIT]
    assert sum(shown) == len(left)


def test_a_picture_replaced_between_two_runs_is_shown_again(
    made: Made, weights: dict[str, Path], monkeypatch: Any
) -> None:
    left = interrupted(made, weights["dinov3-s"], monkeypatch)
    cv2.imwrite(str(made.paths.frame(NAME, VAL_1, CAM1, 30)), np.full((16, 24, 3), 255, np.uint8))
    shown = count_shown(monkeypatch)
    assert run(made, weights["dinov3-s"], batch_pictures=8).made == [UNIT]
    assert 0 < sum(shown) < len(left)
    assert maps_of(made).read(VAL_1, CAM1, 30).tokens.astype(np.float32).std(axis=(0, 1)).mean() < 0.3  # all white


KILLED_RUN = """
import sys, time
from pipeline.models.backbones import Backbone
whole = Backbone.tokens
def slow(self, pictures, grid):
    time.sleep(0.3)
    return whole(self, pictures, grid)
Backbone.tokens = slow
from pathlib import Path
from tests import test_correspondence_features as t
t.run(t.Made(t.Paths(Path(sys.argv[1])), t.NAME), Path(sys.argv[2]), batch_pictures=1)
"""


@pytest.mark.slow
def test_a_killed_run_is_resumed_per_picture_to_the_same_bytes(
    made: Made, weights: dict[str, Path], monkeypatch: Any
) -> None:
    command = [sys.executable, "-c", KILLED_RUN, str(made.paths.data), str(weights["dinov3-s"])]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    work = made.paths.work("features", UNIT)
    deadline = time.monotonic() + 60
    while len(list(work.rglob("*.npy"))) < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = {file: (file.stat().st_ino, file.read_bytes()) for file in work.rglob("*.npy")}
    total = len(list((made.root / VAL_1).rglob("*.jpg")))
    assert 4 <= len(left) < total
    assert not made.paths.take_features(NAME, "dinov3-s", VAL_1).exists()
    shown = count_shown(monkeypatch)
    assert run(made, weights["dinov3-s"], batch_pictures=1).made == [UNIT]
    assert sum(shown) == total - len(left)
    folder = made.paths.take_features(NAME, "dinov3-s", VAL_1)
    resumed = contents(folder)
    inodes = {file.stat().st_ino for file in folder.rglob("*.npy")}
    assert {inode for inode, _ in left.values()} <= inodes  # they were not written again
    assert run(made, weights["dinov3-s"], batch_pictures=1, redo=True).made == [UNIT]
    assert contents(folder) == resumed


# Faults


def test_pictures_gone_or_damaged_are_named(made: Made, weights: dict[str, Path]) -> None:
    made.paths.frame(NAME, VAL_1, CAM1, 30).unlink()
    made.paths.frame(NAME, VAL_1, CAM1, 60).write_bytes(b"no picture")
    made.paths.frame(NAME, VAL_1, CAM2, 30).write_bytes(b"")
    summary = run(made, weights["dinov3-s"])
    assert summary.made == [UNIT] and not summary.is_good
    assert summary.incomplete[UNIT] == (
        f"1 pictures not there of {CAM1} (30); 1 pictures that do not open of {CAM1} (60); "
        f"1 pictures that do not open of {CAM2} (30)"
    )
    assert summary.dropped == {"pictures_not_there": 1, "pictures_that_do_not_open": 2}
    assert 60 not in maps_of(made).camera(VAL_1, CAM1).frames
    for frame in (30, 60):
        with pytest.raises(PipelineError, match=f"no features of dinov3-s for frame {frame} of {CAM1}"):
            maps_of(made).read(VAL_1, CAM1, frame)
    again = run(made, weights["dinov3-s"])
    assert again.skipped == [UNIT] and not again.is_good


def test_a_take_without_pictures(made: Made, weights: dict[str, Path]) -> None:
    for file in (made.root / VAL_1).rglob("*.jpg"):
        file.unlink()
    assert "no picture of take" in run(made, weights["dinov3-s"]).failed[UNIT]


def test_a_take_that_is_not_processed(made: Made, weights: dict[str, Path]) -> None:
    made.paths.take_facts(NAME, VAL_1).unlink()
    assert "which does not exist" in run(made, weights["dinov3-s"]).failed[UNIT]


def test_a_disk_that_is_too_small(made: Made, weights: dict[str, Path], monkeypatch: Any) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    problem = run(made, weights["dinov3-s"]).failed[UNIT]
    assert f"the features of {UNIT} take 0.0 GB" in problem and "0.0 GB free" in problem


# Reading


@pytest.fixture(scope="module")
def finished(weights: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """features/dinov3-s with the val take in it."""
    made = small_dataset(tmp_path_factory.mktemp("finished"), NAME)
    assert run(made, weights["dinov3-s"]).is_good
    return made.paths.features(NAME, "dinov3-s")


def test_a_reader_travels_to_workers(finished: Path) -> None:
    maps: FeatureReader = FeatureMaps(finished, "dinov3-s")
    assert maps.dim == 64
    copy = pickle.loads(pickle.dumps(maps))
    assert np.array_equal(copy.read(VAL_1, EGO, 0).tokens, maps.read(VAL_1, EGO, 0).tokens)


def test_nothing_there(made: Made) -> None:
    with pytest.raises(PipelineError, match="holds no features"):
        _ = maps_of(made).dim
    with pytest.raises(PipelineError, match=f"no features of dinov3-s for {EGO} of take {VAL_1}") as caught:
        maps_of(made).read(VAL_1, EGO, 0)
    assert "BACKBONE=dinov3-s" in caught.value.fix


def test_another_backbone_in_the_folder_is_refused_by_name(finished: Path) -> None:
    with pytest.raises(PipelineError, match="holds features of dinov3-s, not of dinov2-b") as caught:
        FeatureMaps(finished, "dinov2-b").read(VAL_1, EGO, 0)
    assert "BACKBONE=dinov3-s" in caught.value.fix


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"weights": "other"}, "weights_sha256 [0-9a-f]{64} and [0-9a-f]{64}"),
        ({"resize": "nearest"}, "resize nearest and area"),
        ({"input_scale": 2.0}, "scale 2.0 and 3.0"),
    ],
    ids=["weights", "resize", "scale"],
)
def test_maps_of_two_sources_do_not_meet(
    made: Made, weights: dict[str, Path], change: dict[str, Any], named: str
) -> None:
    assert run(made, weights["dinov3-s"]).is_good
    other = weights[change.pop("weights", "dinov3-s")]
    assert run(made, other, OTHER, **change).is_good
    maps = maps_of(made)
    maps.read(VAL_1, EGO, 0)
    with pytest.raises(PipelineError, match=f"features of two sources: .*{TEST_1}.* have .*{named}") as caught:
        maps.read(TEST_1, EGO, 0)
    assert "REDO=features" in caught.value.fix


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda file: os.truncate(file, 300), "cannot be read"),
        (lambda file: file.write_bytes(b""), "cannot be read"),
        (lambda file: file.write_bytes(b"no array"), "cannot be read"),
        (lambda file: np.save(file, np.zeros((6, 6, 64), np.float32)), "holds float32 of shape"),
        (lambda file: np.save(file, np.zeros((6, 6, 32), np.float16)), "expects float16, 64 wide"),
        (lambda file: np.save(file, np.zeros((9, 6, 64), np.float16)), r"on a grid of \[\(6, 6\)\]"),
        (lambda file: np.save(file, np.zeros((36, 64), np.float16)), r"shape \(36, 64\)"),
    ],
    ids=["cut off", "empty", "no array", "float32", "width", "grid", "flat"],
)
def test_damaged_maps(finished: Path, tmp_path: Path, damage: Any, problem: str) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "copy"))
    damage(folder / VAL_1 / EGO / "0.npy")
    with pytest.raises(PipelineError, match=problem):
        FeatureMaps(folder, "dinov3-s").read(VAL_1, EGO, 0)


def test_an_array_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: Any) -> None:
    write_array(tmp_path / "0.npy", np.arange(6, dtype=np.float16).reshape(1, 2, 3))

    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    for place, moment in ((np, "save"), (Path, "replace")):
        with monkeypatch.context() as patch:
            patch.setattr(place, moment, killed)
            with pytest.raises(Killed):
                write_array(tmp_path / "0.npy", np.zeros(3))
    assert open_array(tmp_path / "0.npy").tolist() == [[[0, 1, 2], [3, 4, 5]]]
    assert [file.name for file in tmp_path.iterdir()] == ["0.npy"]


# The derivative's tree


def tree(folder: Path, array: Any = None, name: str = "30_dest", key: str = "features") -> Path:
    """One file of a precomputed_features tree."""
    file = folder / "precomputed_features" / VAL_1 / CAM1 / f"{name}.npz"
    file.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(0).standard_normal((1, 384, 3, 5)).astype(np.float32) if array is None else array
    np.savez_compressed(file, **{key: values})
    return folder / "precomputed_features"


@pytest.mark.parametrize("name", ["30_dest", "30_source"])
def test_the_derivative_s_files_serve_either_role(tmp_path: Path, name: str) -> None:
    reader: FeatureReader = PrecomputedFeatures(tree(tmp_path, name=name), "dinov3-s")
    found = reader.read(VAL_1, CAM1, 30)
    stored = np.load(tmp_path / "precomputed_features" / VAL_1 / CAM1 / f"{name}.npz")["features"]
    assert (found.grid_hw, found.input_hw, reader.dim) == ((3, 5), (48, 80), 384)
    assert found.tokens.dtype == np.float32 and found.tokens.flags.c_contiguous
    assert np.array_equal(found.tokens[2, 4], stored[0, :, 2, 4])


@pytest.mark.parametrize(
    ("array", "key", "backbone", "problem"),
    [
        (None, "tokens", "dinov3-s", "cannot be read"),
        (None, "features", "dinov3-b", "of width 384, and dinov3-b has 768"),
        (np.zeros((384, 3, 5), np.float32), "features", "dinov3-s", r"expected float32 of \(1, C, h, w\)"),
        (np.zeros((1, 384, 3, 5), np.float16), "features", "dinov3-s", "holds float16"),
        (np.array([None]), "features", "dinov3-s", "cannot be read"),
    ],
    ids=["key", "width", "shape", "dtype", "objects"],
)
def test_files_of_the_derivative_that_do_not_fit(
    tmp_path: Path, array: Any, key: str, backbone: str, problem: str
) -> None:
    with pytest.raises(PipelineError, match=problem):
        PrecomputedFeatures(tree(tmp_path, array, key=key), backbone).read(VAL_1, CAM1, 30)


def test_damaged_and_missing_files_of_the_derivative(tmp_path: Path) -> None:
    reader = PrecomputedFeatures(tree(tmp_path), "dinov3-s")
    with pytest.raises(PipelineError, match=r"neither .*60_source\.npz nor 60_dest\.npz"):
        reader.read(VAL_1, CAM1, 60)
    file = reader.folder / VAL_1 / CAM1 / "30_dest.npz"
    os.truncate(file, file.stat().st_size // 2)
    with pytest.raises(PipelineError, match="cannot be read"):
        reader.read(VAL_1, CAM1, 30)
    with pytest.raises(PipelineError, match="there is no folder"):
        PrecomputedFeatures(tmp_path / "nothing", "dinov3-s")


def test_paths() -> None:
    paths = Paths(Path("data"))
    assert str(paths.features("cooking", "dinov3-s")) == "data/output_dir_cooking/features/dinov3-s"
