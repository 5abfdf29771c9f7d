"""The made-up footage: layout, determinism, and that rectification returns the pinhole view it was made from."""

from __future__ import annotations

import json
import tarfile
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from pipeline.errors import PipelineError
from pipeline.factory.synthetic import (
    CALIBRATION_10K,
    CALIBRATION_100K,
    FPS,
    ClipSpec,
    Shard,
    encode_clip,
    fisheye_frame,
    make_shard,
    pinhole_frame,
    scene_of,
)
from pipeline.ops.camera.rectify import Rectifier
from pipeline.schema.base import read_model
from pipeline.schema.egocentric import EGOCENTRIC_10K, ClipInfo
from pipeline.schema.intrinsics import Intrinsics

SPECS = (
    ClipSpec("factory_001_worker_001_0000", 4.0, keyframe_interval=250, seed=1),
    ClipSpec("factory_001_worker_001_0001", 3.0, keyframe_interval=15, seed=2),
)


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Shard:
    return make_shard(tmp_path_factory.mktemp("hub"), SPECS)


def members(shard: Shard) -> dict[str, bytes]:
    with tarfile.open(shard.archive) as archive:
        return {name: archive.extractfile(name).read() for name in archive.getnames()}  # type: ignore[union-attr]


def decoded(video: bytes, tmp_path: Path) -> tuple[Any, list[Any]]:
    file = tmp_path / "clip.mp4"
    file.write_bytes(video)
    container = av.open(file)
    return container.streams.video[0], list(container.decode(video=0))


def test_the_shard_is_laid_out_as_published(shard: Shard) -> None:
    assert shard.archive.parts[-3:] == ("factory001", "worker001", "part000.tar")
    assert read_model(shard.intrinsics, Intrinsics, "") == CALIBRATION_100K
    content = members(shard)
    assert list(content) == [f"{spec.clip}{suffix}" for spec in SPECS for suffix in (".mp4", ".json")]
    assert shard.archive.read_bytes()[257:265] == b"ustar\x0000"
    info = ClipInfo.model_validate_json(content[f"{SPECS[1].clip}.json"])
    assert (info.video_index, info.factory_id, info.worker_id) == (1, "factory_001", "worker_001")
    assert (info.duration_sec, info.width, info.height, info.fps, info.codec) == (3.0, 456, 256, 30.0, "h265")
    assert info.size_bytes == len(content[f"{SPECS[1].clip}.mp4"])


def test_the_stream_is_like_the_published_ones(shard: Shard, tmp_path: Path) -> None:
    for spec in SPECS:
        stream, frames = decoded(members(shard)[f"{spec.clip}.mp4"], tmp_path)
        assert (stream.codec.canonical_name, stream.average_rate) == ("hevc", FPS)
        assert stream.time_base == Fraction(1, 15360)
        assert [frame.pts for frame in frames] == [index * 512 for index in range(spec.frames)]
        keys = [index for index, frame in enumerate(frames) if frame.key_frame]
        assert keys == list(range(0, spec.frames, spec.keyframe_interval))
        assert any(frame.pict_type == av.video.frame.PictureType.B for frame in frames)


def test_the_same_specs_give_the_same_bytes(shard: Shard, tmp_path: Path) -> None:
    again = make_shard(tmp_path, SPECS)
    assert again.archive.read_bytes() == shard.archive.read_bytes()
    for clip, truth in shard.truths.items():
        assert again.truths[clip].read_bytes() == truth.read_bytes()
    assert encode_clip(ClipSpec(SPECS[0].clip, 1.0, seed=9)) != encode_clip(ClipSpec(SPECS[0].clip, 1.0, seed=1))


def test_rectifying_gives_back_the_pinhole_view(shard: Shard, tmp_path: Path) -> None:
    rectifier = Rectifier(scene_of(SPECS[0]).camera)
    direct = Rectifier(scene_of(SPECS[0]).camera, size_wh=(448, 252))
    for spec in SPECS:
        _, frames = decoded(members(shard)[f"{spec.clip}.mp4"], tmp_path)
        for index in range(0, spec.frames, 13):
            raw, truth = frames[index].to_ndarray(format="rgb24"), pinhole_frame(spec, index)
            assert cv2.PSNR(rectifier.rectify(raw), truth) > 28
            smaller = cv2.resize(truth, (448, 252), interpolation=cv2.INTER_AREA)
            assert cv2.PSNR(direct.rectify(raw), smaller) > 29
            assert cv2.PSNR(raw, truth) < 20
            assert cv2.PSNR(rectifier.rectify(fisheye_frame(spec, index)), truth) > 31


def test_neighbouring_frames_differ_enough_to_catch_a_sampling_error() -> None:
    spec = SPECS[0]
    for index in (10, 50, 90):
        assert cv2.PSNR(pinhole_frame(spec, index), pinhole_frame(spec, index + 1)) < 40


def test_truth_covers_the_clip_and_boxes_hold_the_objects(shard: Shard) -> None:
    spec = ClipSpec("factory_001_worker_001_0000", 40.0, seed=3)
    scene = scene_of(spec)
    assert {event.active for event in scene.events} == {True, False}
    assert scene.events[0].start_s == 0 and scene.events[-1].end_s == 40.0
    assert all(a.end_s == b.start_s for a, b in pairwise(scene.events))
    truth = json.loads(shard.truths[SPECS[0].clip].read_text())
    assert truth["n_frames"] == 120 and truth["segments"][-1]["end_frame"] == 120
    first = truth["segments"][0]
    assert first["active"] and first["objects"][0]["object_name"] == "red box"
    x1, y1, x2, y2 = (round(value) for value in first["objects"][0]["rectified_px"])
    picture = pinhole_frame(SPECS[0], first["middle_frame"]).astype(int)
    red = (picture[..., 0] > 150) & (picture[..., 1] < 100) & (picture[..., 2] < 100)
    red[: picture.shape[0] // 3] = False  # bins on the shelf are red too
    rows, columns = np.nonzero(red)
    assert (columns.min(), rows.min()) == (pytest.approx(x1, abs=2), pytest.approx(y1, abs=2))
    assert columns.max() == pytest.approx(x2, abs=2) and rows.max() <= y2 + 2


def test_objects_never_share_a_place() -> None:
    for seed in range(12):
        scene = scene_of(ClipSpec("factory_001_worker_001_0000", 60.0, seed=seed))
        for event in scene.events:
            places = scene.object_places(event.end_s - 1e-6)
            gaps = [np.hypot(a[0] - b[0], a[1] - b[1]) for i, a in enumerate(places) for b in places[:i]]
            assert min(gaps) > 0.3


def test_the_other_layout(tmp_path: Path) -> None:
    spec = ClipSpec("factory001_worker001_00001", 0.4, keyframe_interval=5)
    shard = make_shard(tmp_path, [spec], EGOCENTRIC_10K)
    assert shard.archive.name == "factory001_worker001_part00.tar"
    assert shard.archive.parent == tmp_path / "factory_001/workers/worker_001"
    assert read_model(shard.intrinsics, Intrinsics, "") == CALIBRATION_10K
    stream, frames = decoded(members(shard)[f"{spec.clip}.mp4"], tmp_path)
    assert (stream.width, stream.height, len(frames)) == (1920, 1080, 12)
    rectifier = Rectifier(scene_of(spec, EGOCENTRIC_10K).camera)
    truth = pinhole_frame(spec, 6, EGOCENTRIC_10K)
    assert cv2.PSNR(rectifier.rectify(frames[6].to_ndarray(format="rgb24")), truth) > 33


def test_names_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="one worker"):
        make_shard(tmp_path, [SPECS[0], ClipSpec("factory_001_worker_002_0000")])
    with pytest.raises(PipelineError, match="my_clip"):
        make_shard(tmp_path, [ClipSpec("my_clip")])
    with pytest.raises(PipelineError, match="none"):
        make_shard(tmp_path, [])
    assert not list(tmp_path.rglob("*.tar"))
