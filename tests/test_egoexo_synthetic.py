"""The made-up release: laid out as the real one, true to its own truth, the same every time."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from pipeline.egoexo.release import read_takes
from pipeline.egoexo.synthetic import TakeSpec, flatten_release, make_release
from pipeline.egoexo.synthetic_record import small_size_wh
from pipeline.errors import PipelineError
from pipeline.ops.masks.lzstring import decompress
from pipeline.ops.pictures.raster import Ball, Raster, Round
from pipeline.ops.pictures.table_scene import THINGS, TableScene, film
from pipeline.ops.pictures.table_things import DESIGNS, rectangle
from pipeline.ops.pictures.texture import Texture
from pipeline.ops.pictures.viewpoint import Viewpoint
from pipeline.schema.egoexo_release import CAPTURES, MANIFEST, SPLITS
from tests.egoexo_world import SMALL_TAKES, small_release

SHARED = Path(__file__).parents[2] / "shared" / "samples" / "egoexo" / "s3"
HOME = "ego4d-consortium-sharing/egoexo-public/v2"
PARTS = ("metadata", "annotations", "takes", "downscaled_takes/448")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_release(tmp_path_factory.mktemp("release"))


def relations(release: Path) -> dict[str, dict[str, Any]]:
    return {
        split: json.loads((release / HOME / f"annotations/relations_{split}.json").read_bytes())["annotations"]
        for split in SPLITS
    }


def video(release: Path, take: TakeSpec, camera: str) -> Path:
    home = release / f"ego4d-{take.university}" / "egoexo-public/v2"
    return home / f"takes/{take.take_name}/frame_aligned_videos/{camera}.mp4"


def shape_of(value: Any, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """Paths of keys with the types at their ends; names of takes, objects, cameras and frames count as one."""
    if isinstance(value, dict):
        parent = path[-1] if path else ""
        free = {"annotations", "object_masks", "<object>", "annotation", "frame_aligned_videos", "take_uid_to_split"}
        found = set()
        for key, inner in value.items():
            is_name = parent in free | {"take_uid_to_benchmark"} and not (
                parent == "annotation" and not key.isdecimal()
            )
            name = {"object_masks": "<object>"}.get(parent, "<name>") if is_name else key
            found |= shape_of(inner, (*path, name))
        return found
    if isinstance(value, list):
        return set().union({(*path, "[]")}, *(shape_of(inner, (*path, "[]")) for inner in value))
    return {(*path, type(value).__name__)}


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.exists(), reason="no reference data")
def test_every_field_is_one_of_the_sample_s_and_none_is_missing(release: Path) -> None:
    files = sorted(path.relative_to(SHARED) for path in (SHARED / HOME).rglob("*.json"))
    assert files == sorted(path.relative_to(release) for path in (release / HOME).rglob("*.json"))
    for file in files:
        made, real = (json.loads((root / file).read_bytes()) for root in (release, SHARED))
        assert shape_of(made) == shape_of(real), file
        if isinstance(real, list):
            assert list(made[0]) == list(real[0])


def test_manifests_name_every_object_with_its_size(release: Path) -> None:
    named: dict[str, int] = {}
    for part in PARTS:
        for entry in MANIFEST.validate_json((release / HOME / part / "manifest.json").read_bytes()):
            for path in entry.paths:
                assert path.size is not None
                named[path.source_path.removeprefix("s3://")] = path.size
    there = {str(path.relative_to(release)): path.stat().st_size for path in release.rglob("*") if path.is_file()}
    extra = {f"{HOME}/{part}/manifest.json" for part in PARTS} | {"truth.json"}
    assert set(there) - set(named) == extra
    assert named == {name: size for name, size in there.items() if name not in extra}


def test_metadata_fit_the_schemas_and_each_other(release: Path) -> None:
    takes = read_takes(release / HOME).takes
    captures = CAPTURES.validate_json((release / HOME / "captures.json").read_bytes())
    assert [take.take_uid for take in takes] == [spec.take_uid for spec in SMALL_TAKES]
    assert len(captures) == 3 and takes[0].capture_uid == takes[1].capture_uid == captures[0].capture_uid
    assert [camera.cam_id for camera in captures[0].cameras if camera.is_ego] == ["aria01"]
    assert takes[0].frame_aligned_videos is not None
    assert takes[0].frame_aligned_videos["aria01"]["rgb"].relative_path == "frame_aligned_videos/aria01_214-1.mp4"
    assert takes[0].frame_aligned_videos["best_exo"]["0"].relative_path is None


def test_videos_are_as_asked_for(release: Path) -> None:
    for spec in SMALL_TAKES:
        for camera, size_wh in spec.cameras.items():
            with av.open(str(video(release, spec, camera))) as container:
                stream = container.streams.video[0]
                frames = list(container.decode(stream))
                assert (stream.width, stream.height) == size_wh
                assert stream.codec_context.name == {"libx264": "h264", "libx265": "hevc"}[spec.codec]
                assert (len(frames), stream.average_rate) == (spec.frames, 30)
                keys = [number for number, frame in enumerate(frames) if frame.key_frame]
                assert keys == list(range(0, spec.frames, spec.keyframe_interval))


def test_downscaled_videos_are_the_same_film(release: Path) -> None:
    assert small_size_wh((1408, 1408)) == (448, 448) and small_size_wh((3840, 2160)) == (796, 448)
    assert small_size_wh((320, 180)) == (160, 90)
    spec = SMALL_TAKES[0]
    small = release / "ego4d-cmu/egoexo-public/v2/downscaled_takes/448" / spec.take_name
    files = (video(release, spec, "cam01"), small / "frame_aligned_videos/downscaled/448/cam01.mp4")
    with av.open(str(files[0])) as native, av.open(str(files[1])) as downscaled:
        pairs = list(zip(native.decode(video=0), downscaled.decode(video=0), strict=True))
    for big, little in pairs[::20]:
        expected = cv2.resize(big.to_ndarray(format="rgb24"), (160, 90), interpolation=cv2.INTER_AREA)
        assert cv2.PSNR(little.to_ndarray(format="rgb24"), np.asarray(expected)) > 28


def test_masks_are_exactly_what_was_drawn(release: Path) -> None:
    spec = SMALL_TAKES[0]
    take = relations(release)[spec.split][spec.take_uid]
    names = [thing.name for thing in spec.scene.things]
    assert list(take["object_masks"]) == names
    checked = 0
    for exo, camera in ((None, spec.ego_camera), (0, "cam01"), (1, "cam02")):
        shares = [frame / spec.frames for frame in spec.steps]
        for frame, shot in zip(spec.steps, film(spec.scene, exo, spec.cameras[camera], shares), strict=True):
            for number, name in enumerate(names):
                track = take["object_masks"][name].get(camera)
                if track is None or frame not in track["annotated_frames"]:
                    continue
                seen = shot.owners == number + 1
                mask = track["annotation"].get(str(frame))
                assert (mask is None) == (seen.sum() < 12)
                if mask:
                    size = [mask["height"], mask["width"]]
                    decoded = coco.decode({"size": size, "counts": decompress(mask["encodedMask"]).encode()})
                    assert np.array_equal(decoded > 0, seen)
                    assert all(seen[int(at["y"]), int(at["x"])] for at in mask["intSegClicks"]["positive"])
                    checked += 1
    assert checked > 15


def test_what_is_drawn_is_what_the_video_shows(release: Path) -> None:
    for spec, exo, camera in ((SMALL_TAKES[1], None, "aria01_214-1"), (SMALL_TAKES[2], 1, "cam02")):
        with av.open(str(video(release, spec, camera))) as container:
            shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        shares = [frame / spec.frames for frame in range(0, spec.frames, 7)]
        for frame, shot in zip(
            range(0, spec.frames, 7), film(spec.scene, exo, spec.cameras[camera], shares), strict=True
        ):
            assert cv2.PSNR(shown[frame], shot.picture) > 27


def test_truth_counts_the_files(release: Path) -> None:
    """Counted again from the relations files, by the words of the public rule."""
    truth = json.loads((release / "truth.json").read_bytes())
    total: Counter[str] = Counter()
    for split, takes in relations(release).items():
        pairs: dict[str, Counter[str]] = {"egoexo": Counter(), "exoego": Counter()}
        for uid, take in takes.items():
            spec = next(spec for spec in SMALL_TAKES if spec.take_uid == uid)
            counted = next(entry for entry in truth["takes"] if entry["take_uid"] == uid)["counts"]
            for name, cameras in take["object_masks"].items():
                for camera, track in cameras.items():
                    masks, looked = len(track["annotation"]), len(track["annotated_frames"])
                    states = {"present": masks, "absent": looked - masks, "unannotated": len(spec.steps) - looked}
                    assert counted[name][camera] == states
                    total.update(states)
                    if camera == spec.ego_camera or spec.ego_camera not in cameras:
                        continue
                    for setting, source, target in (
                        ("egoexo", cameras[spec.ego_camera], track),
                        ("exoego", track, cameras[spec.ego_camera]),
                    ):
                        for frame in source["annotation"]:
                            state = (
                                "present"
                                if frame in target["annotation"]
                                else "absent"
                                if int(frame) in target["annotated_frames"]
                                else "unannotated"
                            )
                            pairs[setting].update(["pairs", f"target_{state}"])
        for setting, counts in pairs.items():
            assert {key: value for key, value in truth["pairs"][split][setting].items() if value} == dict(counts)
            assert counts["pairs"] > 5
    assert min(total["present"], total["absent"], total["unannotated"]) >= 10
    assert 0.05 < total["unannotated"] / total.total() < 0.2


def test_oddities_are_in_every_take() -> None:
    for kind in DESIGNS:
        names = [design.name for design in DESIGNS[kind]]
        assert any("/" in name for name in names) and any(name.endswith(" ") for name in names)
    for spec in SMALL_TAKES:
        tracks = spec.annotated
        assert sum(spec.ego_camera not in cameras for cameras in tracks.values()) == 1
        assert all(steps for cameras in tracks.values() for steps in cameras.values())
        assert sum(list(cameras) == [spec.ego_camera] for cameras in tracks.values()) >= (spec.split == "test")
    assert any(sorted(cameras) == ["aria01_214-1", "cam01"] for cameras in SMALL_TAKES[0].annotated.values())


def test_the_same_specs_give_the_same_bytes(release: Path, tmp_path: Path) -> None:
    make_release(tmp_path / "again", SMALL_TAKES[3:])
    for file in sorted((tmp_path / "again/ego4d-georgiatech").rglob("*.mp4")):
        assert file.read_bytes() == (release / file.relative_to(tmp_path / "again")).read_bytes()
    taken = json.loads((tmp_path / "again" / HOME / "annotations/relations_train.json").read_bytes())["annotations"]
    uid = SMALL_TAKES[3].take_uid
    assert taken[uid] == relations(release)["train"][uid]


def test_flattening_gives_the_client_s_folder(release: Path, tmp_path: Path) -> None:
    flatten_release(release, tmp_path)
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {"takes.json", "captures.json", "annotations/relations_val.json", "annotations/splits.json"} <= files
    inside = f"takes/{SMALL_TAKES[0].take_name}/frame_aligned_videos"
    assert {f"{inside}/cam01.mp4", f"{inside}/downscaled/448/cam01.mp4"} <= files
    cameras = sum(len(spec.cameras) for spec in SMALL_TAKES)
    assert len(files) == 6 + 2 * cameras


def test_no_takes_or_two_of_one_name_are_refused(tmp_path: Path) -> None:
    spec = replace(SMALL_TAKES[0], frames=2)
    for takes in ([], [spec, spec]):
        with pytest.raises(PipelineError, match="own name"):
            make_release(tmp_path, takes)
    assert not list(tmp_path.iterdir())


def test_things_never_share_a_place_while_they_stand() -> None:
    for kind in DESIGNS:
        for seed in range(5):
            scene = TableScene(kind, seed)
            for share in (0.0, 0.11, 0.25, 0.45, 0.7, 0.99):
                places = [pose[:2] for thing in range(THINGS) if (pose := scene.pose(thing, share)) is not None]
                gaps = [np.hypot(*(a - b)) for number, a in enumerate(places) for b in places[:number]]
                assert min(gaps) > 0.15


def test_the_story_has_things_come_and_go() -> None:
    scene = TableScene("clinic", 5)
    carried, brought, taken = scene.carries
    assert scene.pose(brought.thing, 0.0) is None and scene.pose(brought.thing, 0.3) is not None
    assert scene.pose(taken.thing, 0.5) is not None and scene.pose(taken.thing, 0.7) is None
    before, after = scene.pose(carried.thing, 0.0), scene.pose(carried.thing, 0.9)
    assert before is not None and after is not None and not np.allclose(before, after)
    owners = [set(np.unique(shot.owners)) for shot in film(scene, 0, (640, 360), (0.0, 0.4, 0.9))]
    assert brought.thing + 1 not in owners[0] and brought.thing + 1 in owners[1]
    assert taken.thing + 1 not in owners[2]


RED = Texture(np.full((64, 64, 3), (200, 0, 0), np.uint8))
VIEW = Viewpoint.looking_at(np.array([0.0, -1.0, 0.0]), np.zeros(3), 200.0, (201, 201))


def drawn(surface: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    raster = Raster(VIEW.size_wh)
    raster.draw(surface, VIEW, 1)
    return raster.owners


def test_a_ball_is_as_large_as_geometry_says() -> None:
    # Seen from d, a ball of radius r covers a circle of focal · r / sqrt(d² − r²).
    seen = drawn(Ball(np.zeros(3), 0.2, RED))
    assert seen.sum() == pytest.approx(np.pi * (200 * 0.2 / np.sqrt(1 - 0.2**2)) ** 2, rel=0.01)


def test_a_cylinder_s_outline_is_as_geometry_says() -> None:
    seen = drawn(Round(np.array([0, 0, -0.1]), np.eye(3), 0.2, (0.1, 0.1), RED))
    across = 2 * 200 * 0.1 / np.sqrt(1 - 0.1**2)
    assert seen[100].sum() == pytest.approx(across, abs=1.5)
    near_edge = 200 * 0.1 / 0.9
    assert seen[:, 100].sum() == pytest.approx(2 * near_edge, abs=1.5)


def test_a_rectangle_covers_what_its_corners_project_to_and_hides_by_depth() -> None:
    right, up = np.array([1.0, 0, 0]), np.array([0, 0, 1.0])
    front = rectangle(-0.25 * right + 0.25 * up, 0.5 * right, -0.5 * up, RED)
    assert int(drawn(front).sum()) == pytest.approx(100**2, rel=0.03)
    raster = Raster(VIEW.size_wh)
    behind = rectangle(np.array([-0.5, 0.5, 0.5]), right, -up, RED)
    for surface, owner in ((front, 1), (behind, 2)):
        raster.draw(surface, VIEW, owner)
    assert raster.owners[100, 100] == 1 and raster.owners[100, 45] == 2
    assert raster.nearness[100, 100] == pytest.approx(1.0, rel=1e-5)
    assert raster.nearness[100, 45] == pytest.approx(1 / 1.5, rel=1e-5)


def test_what_is_behind_the_camera_is_not_drawn_and_what_crosses_it_is_cut() -> None:
    right, away = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    assert not drawn(Ball(np.array([0.0, -3.0, 0.0]), 0.2, RED)).any()
    assert not drawn(rectangle(np.array([-1.0, -2.0, 0.1]), right, -0.5 * away, RED)).any()
    floor = drawn(rectangle(np.array([-5.0, 5.0, -0.3]), 10 * right, -10 * away, RED))
    assert floor[-1].all() and not floor[:100].any()
