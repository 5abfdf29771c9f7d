"""egoexo-import: one's own data, the public baseline's tree and O-MaMa's, and what is wrong with each."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from lzstring import LZString
from PIL import Image
from pycocotools import mask as coco

from pipeline.__main__ import main
from pipeline.config_egoexo import ImportKnobs
from pipeline.egoexo import importing
from pipeline.egoexo.layouts.pair_names import PAIR_FILE
from pipeline.egoexo.layouts.pictures import number_of
from pipeline.errors import PipelineError
from pipeline.ops.egoexo.tracks import Track, tracks_of_take
from pipeline.paths import Paths
from pipeline.schema.base import read_model
from pipeline.schema.egoexo_release import SplitFile
from pipeline.schema.egoexo_reports import CheckReport
from pipeline.schema.egoexo_take import TakeAnnotation
from tests.custom_world import SIZES_WH, World, custom_world, pixels
from tests.processed_takes import CAM1, CAM2, EGO, TEST_1, TRAIN_1, TRAIN_2, VAL_1, Made, small_dataset

ROOT = Path(__file__).resolve().parents[1]
SHAKER, BOARD = "salt/pepper shaker_0", "cutting board _0"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return custom_world(tmp_path)


def track(world: World, take: str, name: str, camera: str) -> Track:
    return tracks_of_take(world.annotation(take), world.facts(take).left_out_masks)[name][camera]


def decoded(annotation: TakeAnnotation, name: str, camera: str, frame: int) -> Any:
    rle = annotation.masks[name][camera][str(frame)]
    return coco.decode({"size": list(rle.size), "counts": rle.counts.encode()})


# One's own data


def test_the_example_of_the_documentation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs/custom-data.md").read_text()
    example = page[page.index("## A complete example") :]
    blocks = dict(re.findall(r"```(python|bash)\n(.*?)```", example, re.DOTALL))
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks["python"], "docs/custom-data.md", "exec"), {})
    tree = page[page.index("```\nmy-kitchen/") : page.index("* **The same number")]
    shown = set(re.findall(r"[─ ] ([\w-]+\.(?:jpg|png|mp4|json))\b", tree))
    assert shown <= {file.name for file in tmp_path.rglob("*")}
    for line in blocks["bash"].strip().splitlines():
        assert main([*line.removeprefix("bash run.sh ").split(), "--data", "data"], {}) == 0, line
    paths = Paths(Path("data"))
    targets = {
        setting: [
            json.loads(line) for line in paths.typed_pairs("my-kitchen", "test", setting).read_text().splitlines()
        ]
        for setting in ("egoexo", "exoego")
    }
    assert [len(pairs) for pairs in targets.values()] == [4, 4]
    unknown = [(pair["object"], pair["exo_camera"]) for pair in targets["egoexo"] if pair["target"] == "unannotated"]
    assert unknown == [("mug", "right")]
    absent = [(pair["object"], pair["frame"]) for pair in targets["exoego"] if pair["target"] == "absent"]
    assert absent == [("kettle", 30)]
    report = read_model(paths.report("my-kitchen", "check"), CheckReport, "")
    assert (report.errors, report.counts["takes"]) == (0, 2)
    assert paths.take_preview("my-kitchen", "lunch").exists()
    assert json.loads(page[page.index("## dataset.json") :].split("```json")[1].split("```")[0])["ego"] == ["ego"]


def test_photos_and_one_png_an_object(world: World) -> None:
    assert world.bring().is_good
    splits = read_model(world.paths.split_file("mine"), SplitFile, "")
    assert splits.train == ["one", "two"]
    annotation, facts = world.annotation("one"), world.facts("one")
    assert list(annotation.masks) == ["cup 1", "mug"]
    assert np.array_equal(decoded(annotation, "mug", "ego", 30), pixels(SIZES_WH["ego"], (5, 5, 9, 9), 1))
    assert track(world, "one", "mug", "cam1") == Track((0,), frozenset({30}))
    assert track(world, "one", "cup 1", "ego").state(30) == "unannotated"
    assert annotation.subsample_idx == [0, 30]
    assert [facts.cameras[name].is_ego for name in ("ego", "cam1")] == [True, False]
    assert facts.cameras["cam1"].native_size_wh == facts.cameras["cam1"].frame_size_wh == SIZES_WH["cam1"]
    encoded = annotation.object_masks["mug"]["ego"]["annotation"]["0"]["encodedMask"]
    assert LZString().decompressFromEncodedURIComponent(encoded) == annotation.masks["mug"]["ego"]["0"].counts
    assert world.frame("one", "ego", 30).samefile(world.root / "one/ego/30.jpg")
    assert world.check().is_good
    assert world.bring().skipped == ["mine"]


def test_other_disk_gets_copies(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    assert world.bring().is_good
    frame, source = world.frame("one", "ego", 30), world.root / "one/ego/30.jpg"
    assert frame.read_bytes() == source.read_bytes() and not frame.samefile(source)


def test_other_formats_turned_photos_and_names_with_numbers(world: World) -> None:
    (world.root / "one/cam1/0.jpg").unlink()
    world.photo("one", "cam1", 0, "DSC_0000.PNG")
    (world.root / "one/ego/0.jpg").unlink()
    turned = Image.fromarray(np.zeros((40, 40, 3), np.uint8))
    turned.paste((255, 0, 0), (0, 0, 40, 10))  # red at the top; stored turned, to be shown by a quarter clockwise
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(world.root / "one/ego/IMG_20260101_000000.jpg", exif=exif, quality=95)
    sideways = Image.fromarray(np.zeros((60, 40, 3), np.uint8))
    sideways.save(world.root / "one/cam1/90.jpg", exif=exif)
    assert world.bring().is_good
    upright = cv2.imread(str(world.frame("one", "ego", 0)), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    assert upright[20, 36, 2] > 200 and upright[20, 4, 2] < 50, "red is at the right"
    assert Image.open(world.frame("one", "cam1", 0)).format == "JPEG"
    assert Image.open(world.frame("one", "cam1", 90)).size == SIZES_WH["cam1"]
    assert world.check().is_good


def test_label_pictures_palettes_and_what_is_said_of_all_objects(world: World) -> None:
    world.dataset(objects={"1": "mug", "3": "cup 1"}, every_object_labelled=False)
    shutil.rmtree(world.root / "one/masks/cam1")
    both = pixels(SIZES_WH["cam1"], (2, 3, 10, 12), 1) + pixels(SIZES_WH["cam1"], (20, 20, 8, 8), 3)
    palette = Image.fromarray(both, "P")
    palette.putpalette([0, 0, 0, 9, 9, 200, 7, 7, 7, 200, 9, 9])
    (world.root / "one/masks/cam1").mkdir()
    palette.save(world.root / "one/masks/cam1/0.png")
    world.photo("one", "cam1", 60)
    world.photo("one", "cam1", 90)
    world.png("one/masks/cam1/60.png", pixels(SIZES_WH["cam1"], None))
    world.png("one/masks/cam1/90.png", pixels(SIZES_WH["cam1"], (5, 5, 3, 3), 1))
    assert world.bring().is_good
    assert track(world, "one", "mug", "cam1") == Track((0, 90), frozenset({60}))
    assert track(world, "one", "cup 1", "cam1") == Track((0,), frozenset({60}))
    assert np.array_equal(decoded(world.annotation("one"), "cup 1", "cam1", 0), both == 3)
    assert world.manifest().dropped["wanted_frames_without_a_picture"] == 1, "ego 90, which the mug of cam1 needs"
    world.dataset(objects={"1": "mug", "3": "cup 1"}, every_object_labelled=True)
    assert world.bring(redo=True).is_good
    assert track(world, "one", "cup 1", "cam1") == Track((0,), frozenset({60, 90}))
    assert track(world, "one", "cup 1", "ego") == Track((0,), frozenset({30}))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L"])
def test_transparent_pixels_are_background(world: World, mode: str) -> None:
    """As drawing programs write them: white everywhere, and opaque where the object is."""
    inside = pixels(SIZES_WH["ego"], (5, 5, 9, 9))
    place = world.root / "one/masks/ego/mug/30.png"
    if mode in ("RGBA", "LA"):
        picture = Image.new(mode, SIZES_WH["ego"], (255,) * len(mode))
        picture.putalpha(Image.fromarray(inside))
        picture.save(place)
    else:  # a colour that stands for transparent: 200 in grey, the first of two whites in a palette
        values = np.where(inside, 1, 0) if mode == "P" else np.where(inside, 255, 200)
        picture = Image.fromarray(values.astype(np.uint8), mode)
        if mode == "P":
            picture.putpalette([255] * 6)
        picture.save(place, transparency=0 if mode == "P" else 200)
    assert world.bring().is_good
    assert np.array_equal(decoded(world.annotation("one"), "mug", "ego", 30), inside // 255)


def test_a_label_picture_with_alpha(world: World) -> None:
    world.dataset(objects={"1": "mug"})
    shutil.rmtree(world.root / "one/masks/cam1")
    numbers = pixels(SIZES_WH["cam1"], (2, 3, 10, 12), 1)
    alpha = pixels(SIZES_WH["cam1"], (2, 3, 5, 12))
    (world.root / "one/masks/cam1").mkdir()
    picture = Image.merge("LA", (Image.fromarray(numbers), Image.fromarray(alpha)))
    picture.save(world.root / "one/masks/cam1/0.png")
    shutil.rmtree(world.root / "one/masks/ego/cup 1")
    shutil.rmtree(world.root / "two")
    assert world.bring().is_good
    assert decoded(world.annotation("one"), "mug", "cam1", 0).sum() == 5 * 12


def square(image: int, category: int, x: int) -> dict[str, Any]:
    return {
        "id": 10 * image + category,
        "image_id": image,
        "category_id": category,
        "segmentation": [[x, 2, x + 8, 2, x + 8, 10, x, 10]],
    }


def coco_file(frames: tuple[int, ...] = (0, 30, 60, 90)) -> dict[str, Any]:
    width, height = SIZES_WH["cam1"]
    names = {"width": width, "height": height}
    return {
        "images": [{"id": 1 + frame, "file_name": f"frames/f_{frame:06}.jpg", **names} for frame in frames],
        "annotations": [square(1, 1, 3), square(1, 2, 20)],
        "categories": [{"id": 1, "name": "mug"}, {"id": 2, "name": "cup 1"}, {"id": 5, "name": "never seen"}],
    }


def test_coco_polygons_run_lengths_and_absences(world: World) -> None:
    shutil.rmtree(world.root / "one/masks/cam1")
    for frame in (60, 90):
        world.photo("one", "cam1", frame)
    content = coco_file()
    runs = coco.encode(np.asfortranarray(pixels(SIZES_WH["cam1"], (1, 1, 5, 5), 1)))
    compressed = {"size": runs["size"], "counts": runs["counts"].decode()}
    plain = {"size": [40, 60], "counts": [41, 5, 2400 - 46]}
    content["annotations"] += [
        {"id": 7, "image_id": 31, "category_id": 1, "segmentation": compressed},
        {"id": 8, "image_id": 91, "category_id": 1, "segmentation": plain},
    ]
    content["images"][3]["neg_category_ids"] = [2]
    world.coco("one", "cam1", content)
    assert world.bring().is_good
    assert track(world, "one", "mug", "cam1") == Track((0, 30, 90), frozenset({60}))
    assert track(world, "one", "cup 1", "cam1") == Track((0,), frozenset({60, 90}))
    annotation = world.annotation("one")
    assert "never seen" not in annotation.masks
    assert decoded(annotation, "mug", "cam1", 0).sum() == 64
    assert np.array_equal(decoded(annotation, "mug", "cam1", 30), pixels(SIZES_WH["cam1"], (1, 1, 5, 5), 1))
    assert decoded(annotation, "mug", "cam1", 90).sum() == 5
    assert world.check().errors == 0


def test_an_image_that_lists_its_absent_objects_says_no_more(world: World) -> None:
    shutil.rmtree(world.root / "one/masks/cam1")
    content = coco_file((0, 30))
    content["images"][0]["neg_category_ids"] = []
    content["images"][1]["neg_category_ids"] = [2]
    content["annotations"].pop()
    world.coco("one", "cam1", content)
    world.dataset(every_object_labelled=True)
    assert world.bring().is_good
    assert track(world, "one", "mug", "cam1") == Track((0,), frozenset())
    assert track(world, "one", "cup 1", "cam1") == Track((), frozenset({30}))


def write_video(file: Path, size_wh: tuple[int, int], frames: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=30, width=size_wh[0], height=size_wh[1], options={"g": "10"})
        for number in range(frames):
            picture = np.full((size_wh[1], size_wh[0], 3), 4 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())


def test_a_video_gives_the_frames_that_masks_and_pairs_need(world: World) -> None:
    shutil.rmtree(world.root / "one/cam1")
    write_video(world.root / "one/cam1/clip.mp4", (1920, 1080), 40)
    shutil.rmtree(world.root / "one/masks/cam1")
    world.mask("one", "cam1", "mug", 12, (100, 100, 50, 50), (1920, 1080))
    assert world.bring().is_good
    camera = world.facts("one").cameras["cam1"]
    assert camera.frames == [0, 12, 30], "its own, and those of the mug's masks in the ego view"
    assert (camera.native_size_wh, camera.frame_size_wh, camera.scale) == ((1920, 1080), (960, 540), 0.5)
    assert (camera.video, camera.video_frames) == ("one/cam1/clip.mp4", 40)
    picture = cv2.imread(str(world.frame("one", "cam1", 12)))
    assert picture.shape == (540, 960, 3) and abs(int(picture.mean()) - 48) <= 3
    assert world.facts("one").cameras["ego"].missing == {"12": "there is no such picture"}


def turn_video(file: Path) -> None:
    """Give a video the display matrix that a phone held upright writes."""
    content = bytearray(file.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40
    for place, number in enumerate((0, 0x10000, 0, 0xFFFF0000, 0)):
        content[matrix + 4 * place : matrix + 4 * place + 4] = number.to_bytes(4, "big")
    file.write_bytes(content)


def drop_ego_name(world: World) -> None:
    for place in (world.root / "one/ego", world.root / "one/masks/ego"):
        place.rename(place.with_name("head"))


def drop_exo(world: World) -> None:
    for place in (world.root / "one/cam1", world.root / "one/masks/cam1"):
        place.rename(place.with_name("ego2"))


def renamed(world: World, before: str, after: str) -> None:
    (world.root / before).rename(world.root / after)


def edited_coco(world: World, change: Callable[[dict[str, Any]], None]) -> None:
    shutil.rmtree(world.root / "one/masks/cam1")
    content = coco_file((0, 30))
    change(content)
    world.coco("one", "cam1", content)


FAULTS: dict[str, tuple[Callable[[World], Any], str]] = {
    "mask of another size": (
        lambda world: world.mask("one", "cam1", "mug", 0, (1, 1, 5, 5), (30, 20)),
        "masks/cam1/mug/0.png is 30×20, its picture 60×40",
    ),
    "label picture of another size": (
        lambda world: (
            shutil.rmtree(world.root / "one/masks/cam1"),
            world.dataset(objects={"1": "mug", "2": "cup 1"}),
            world.png("one/masks/cam1/0.png", pixels((30, 20), (1, 1, 5, 5), 1)),
        ),
        "masks/cam1/0.png is 30×20, its picture 60×40",
    ),
    "unknown camera": (
        lambda world: renamed(world, "one/masks/cam1", "one/masks/cam11"),
        "masks/cam11 belongs to no camera; did you mean cam1?",
    ),
    "no ego camera": (drop_ego_name, "take one has no ego camera; its cameras with masks: cam1, head"),
    "no exo camera": (drop_exo, "take one has no exo camera; its cameras with masks: ego, ego2"),
    "name spelt in two ways": (
        lambda world: renamed(world, "one/masks/cam1/cup 1", "one/masks/cam1/Cup_1"),
        "one object seems to have two names: 'cup 1' in ego and 'Cup_1' in cam1",
    ),
    "name that dataset.json lacks": (
        lambda world: world.dataset(objects={"1": "mug", "2": "cup"}),
        "speak of 'cup 1'; dataset.json has cup, mug",
    ),
    "mask without photo": (
        lambda world: world.mask("one", "cam1", "mug", 45, (1, 1, 5, 5)),
        "masks/cam1/mug/45.png has no picture: cam1 has no photo 45",
    ),
    "mask beyond the video": (
        lambda world: (
            shutil.rmtree(world.root / "one/cam1"),
            write_video(world.root / "one/cam1/clip.mp4", (60, 40), 20),
        ),
        "masks/cam1/mug/30.png has no picture: clip.mp4 ends after frame 19",
    ),
    "mask that is no PNG": (
        lambda world: renamed(world, "one/masks/cam1/mug/30.png", "one/masks/cam1/mug/30.jpg"),
        "masks/cam1/mug/30.jpg is no PNG",
    ),
    "damaged mask": (
        lambda world: (world.root / "one/masks/cam1/mug/30.png").write_bytes(b"\x89PNG no more"),
        "masks/cam1/mug/30.png cannot be read",
    ),
    "label value without a name": (
        lambda world: (
            shutil.rmtree(world.root / "one/masks/cam1"),
            world.dataset(objects={"1": "mug", "2": "cup 1"}),
            world.png("one/masks/cam1/0.png", pixels(SIZES_WH["cam1"], (1, 1, 5, 5), 7)),
        ),
        "masks/cam1/0.png has pixels of value 7; dataset.json names 1: mug, 2: cup 1",
    ),
    "photos of two sizes": (
        lambda world: world.photo("one", "cam1", 60, size_wh=(50, 40)),
        "cam1/60.jpg is 50×40, the other photos of cam1 are 60×40",
    ),
    "two photos of one number": (
        lambda world: world.photo("one", "cam1", 30, "IMG_30.jpg"),
        "cam1/IMG_30.jpg and cam1/30.jpg both have number 30",
    ),
    "photo without a number": (lambda world: world.photo("one", "cam1", 30, "tea.jpg"), "cam1/tea.jpg has no number"),
    "photo that is none": (
        lambda world: (world.root / "one/cam1/30.jpg").write_bytes(b"not a picture"),
        "30.jpg cannot be read as a picture: unknown format",
    ),
    "photo format that nobody reads": (
        lambda world: renamed(world, "one/cam1/30.jpg", "one/cam1/30.HEIC"),
        "cam1/30.HEIC is of a format that is not read",
    ),
    "photos beside a video": (
        lambda world: write_video(world.root / "one/cam1/clip.mp4", (60, 40), 3),
        "cam1 has 2 photos and 1 videos",
    ),
    "video that will not open": (
        lambda world: (
            shutil.rmtree(world.root / "one/cam1"),
            (world.root / "one/cam1").mkdir(),
            (world.root / "one/cam1/clip.mp4").write_bytes(b"no video"),
        ),
        "clip.mp4",
    ),
    "video stored turned": (
        lambda world: (
            shutil.rmtree(world.root / "one/cam1"),
            write_video(world.root / "one/cam1/clip.mp4", (60, 40), 40),
            turn_video(world.root / "one/cam1/clip.mp4"),
        ),
        "cam1/clip.mp4 is stored turned by",
    ),
    "one camera": (
        lambda world: (shutil.rmtree(world.root / "one/cam1"), shutil.rmtree(world.root / "one/masks/cam1")),
        "has 1 cameras",
    ),
    "COCO file and folder": (lambda world: world.coco("one", "cam1", coco_file()), "cam1 has both masks/cam1.json and"),
    "COCO image of another size": (
        lambda world: edited_coco(world, lambda content: content["images"][0].update(width=600)),
        "frames/f_000000.jpg in masks/cam1.json is 600×40, its picture 60×40",
    ),
    "COCO run lengths of another size": (
        lambda world: edited_coco(
            world,
            lambda content: content["annotations"][0].update(segmentation={"size": [4, 4], "counts": [16]}),
        ),
        "annotation 11 of masks/cam1.json (mug, frame 0) is 4×4, its picture 60×40",
    ),
    "COCO run lengths that do not sum": (
        lambda world: edited_coco(
            world,
            lambda content: content["annotations"][0].update(segmentation={"size": [40, 60], "counts": [16, 2]}),
        ),
        "annotation 11 of masks/cam1.json (mug, frame 0): runs do not sum to height × width",
    ),
    "COCO polygon of two points": (
        lambda world: edited_coco(world, lambda content: content["annotations"][0].update(segmentation=[[1, 1, 2, 2]])),
        "(mug, frame 0): polygon that is none",
    ),
    "COCO image without photo": (
        lambda world: edited_coco(world, lambda content: content["images"][1].update(file_name="45.jpg")),
        "45.jpg in masks/cam1.json has no picture: cam1 has no photo 45",
    ),
    "COCO object twice": (
        lambda world: edited_coco(world, lambda content: content["annotations"].append(square(1, 1, 30))),
        "masks/cam1.json has 'mug' twice in frame 0",
    ),
    "COCO category that is not listed": (
        lambda world: edited_coco(world, lambda content: content["annotations"].append(square(1, 9, 30))),
        "annotation 19 of masks/cam1.json speaks of image 1, category 9: one is not listed",
    ),
    "COCO file that is none": (
        lambda world: edited_coco(world, lambda content: content.pop("images")),
        "cam1.json is not a valid CocoFile: images: Field required",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_is_said_exactly_and_the_other_take_comes(
    world: World, fault: str, capfd: pytest.CaptureFixture[str]
) -> None:
    harm, expected = FAULTS[fault]
    harm(world)
    if (world.root / "dataset.json").exists() and "dataset.json lacks" in fault:
        summary = world.bring()  # its names hold for both takes
        assert expected in summary.failed["mine"]
        return
    summary = world.bring()
    assert summary.made == ["mine"] and not summary.is_good
    assert expected in summary.incomplete["mine"]
    assert read_model(world.paths.split_file("mine"), SplitFile, "").train == ["two"]
    assert not world.paths.take_dir("mine", "one").exists()
    assert world.manifest().dropped["takes_left_out"] == 1
    assert "→" in capfd.readouterr().err


def test_all_faults_of_a_take_are_said_at_once(world: World) -> None:
    world.mask("one", "cam1", "mug", 0, (1, 1, 5, 5), (30, 20))
    world.mask("one", "ego", "mug", 75, (1, 1, 5, 5))
    text = world.bring().incomplete["mine"]
    assert "its picture 60×40" in text and "ego has no photo 75" in text


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            {"split": {"train": ["one", "twoo"]}},
            "names take twoo, which is no folder with masks in it; did you mean two",
        ),
        ({"split": {"train": ["one"], "test": ["one"]}}, "take one stands in train and in test"),
        ({"ego": ["Ego"]}, "names ego camera Ego, which no take has; did you mean ego"),
        ({"egos": ["ego"]}, "egos: Extra inputs are not permitted"),
        ({"objects": {"0": "mug"}}, "objects.0"),
    ],
)
def test_a_wrong_dataset_file_ends_the_import(world: World, content: dict[str, Any], expected: str) -> None:
    world.dataset(**content)
    assert expected in world.bring().failed["mine"]


def test_splits_names_and_ego_cameras_of_a_dataset_file(world: World) -> None:
    drop_ego_name(world)
    renamed(world, "two/ego", "two/head")
    renamed(world, "two/masks/ego", "two/masks/head")
    world.dataset(ego=["head"], split={"test": ["two"]}, scenario="Tea", takes={"two": {"take_name": "Second"}})
    assert world.bring().is_good
    assert read_model(world.paths.split_file("mine"), SplitFile, "").model_dump() == {
        "train": [],
        "val": [],
        "test": ["two"],
    }
    assert world.manifest().dropped["takes_in_no_split"] == 1
    annotation = world.annotation("two")
    assert (annotation.scenario, annotation.take_name) == ("Tea", "Second")
    assert world.facts("two").cameras["head"].is_ego


# Coming and going


def test_a_changed_source_is_imported_again_and_takes_that_are_gone_go(world: World) -> None:
    world.bring()
    world.mask("one", "ego", "mug", 30, (0, 0, 3, 3))
    shutil.rmtree(world.root / "two")
    assert world.bring().made == ["mine"]
    assert decoded(world.annotation("one"), "mug", "ego", 30).sum() == 9
    assert not world.paths.take_dir("mine", "two").exists()


def test_a_take_folder_that_is_gone_is_noticed(world: World) -> None:
    world.bring()
    shutil.rmtree(world.paths.take_dir("mine", "two"))
    assert world.bring().made == ["mine"]
    assert world.check().is_good


@pytest.mark.parametrize("moment", ["while reading", "while placing"])
def test_killed_and_taken_up_again(world: World, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    if moment == "while reading":
        real = importing.write_model

        def die(path: Path, value: Any) -> None:
            if path.name == "two.json":
                raise KeyboardInterrupt
            real(path, value)

        monkeypatch.setattr(importing, "write_model", die)
    else:
        move = Path.rename

        def die_moving(self: Path, target: Path) -> Path:
            if self.name == "two":
                raise KeyboardInterrupt
            return move(self, target)

        monkeypatch.setattr(Path, "rename", die_moving)
    with pytest.raises(KeyboardInterrupt):
        world.bring()
    assert not world.paths.split_file("mine").exists()
    monkeypatch.undo()
    made = world.paths.work("egoexo-import", "mine") / "takes/one.json"
    made_ns = made.stat().st_mtime_ns
    records: list[int] = []
    place = importing._place

    def look_first(*given: Any) -> None:
        records.append(made.stat().st_mtime_ns)
        place(*given)

    monkeypatch.setattr(importing, "_place", look_first)
    assert world.bring().is_good
    assert records == [made_ns], "the first take was not made again"
    assert world.check().is_good
    assert not world.paths.work("egoexo-import", "mine").exists()


@pytest.mark.parametrize("redo", [True, False])
def test_killed_while_placing_then_made_again(world: World, redo: bool) -> None:
    """A real kill: nothing runs behind it."""
    script = """
import os, signal, sys
from pathlib import Path
from pipeline.__main__ import main
from pipeline.egoexo import importing
move = Path.rename
def die(self, target):
    if self.name == "two":
        os.kill(os.getpid(), signal.SIGKILL)
    return move(self, target)
Path.rename = die
main(sys.argv[1:], {})
"""
    options = ["egoexo-import", "--name", "mine", "--source", str(world.root), "--data", str(world.paths.data)]
    killed = subprocess.run([sys.executable, "-c", script, *options], cwd=ROOT, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    there = sorted(file.name for file in world.paths.output_dir("mine").iterdir() if not file.name.endswith(".partial"))
    assert there == ["one"]
    shutil.move(world.root / "one", world.root / "three")  # what the source no longer has does not stay
    assert world.bring(redo).is_good
    assert {"two", "three"} <= world.manifest().products.keys()
    again = world.bring()
    assert again.skipped == ["mine"] and again.is_good
    assert read_model(world.paths.split_file("mine"), SplitFile, "").train == ["three", "two"]
    assert not world.paths.take_dir("mine", "one").exists()
    assert world.check().is_good


def test_what_a_killed_run_left_is_of_no_use_once_the_source_changed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(importing, "_place", die)
    with pytest.raises(KeyboardInterrupt):
        world.bring()
    monkeypatch.undo()
    world.mask("one", "ego", "mug", 30, (0, 0, 3, 3))
    assert world.bring().is_good
    assert decoded(world.annotation("one"), "mug", "ego", 30).sum() == 9


def test_folders_that_no_import_made_stay(world: World) -> None:
    made = small_dataset(world.paths.data, "mine")
    assert "holds files that no import made" in world.bring().failed["mine"]
    assert made.paths.take_facts("mine", TRAIN_1).exists()
    inside = ImportKnobs(name="mine", source=str(made.root))
    with pytest.raises(PipelineError, match="lie within each other"):
        importing.check(world.paths, "mine", inside)


@pytest.mark.parametrize(
    ("source", "expected"), [("", "it is not said what to import"), ("nowhere", "FROM=nowhere is no folder")]
)
def test_no_source(world: World, source: str, expected: str) -> None:
    assert expected in world.bring(source=source).failed["mine"]


def test_a_folder_of_no_known_layout(world: World) -> None:
    (world.root / "one").rename(world.root / "x")
    shutil.rmtree(world.root / "x/masks")
    shutil.rmtree(world.root / "two/masks")
    assert "is in no layout that is known" in world.bring().failed["mine"]


# Trees of other people


def baseline_of(made: Made, folder: Path, keys: tuple[str, ...] = ("masks", "subsample_idx")) -> World:
    """The tree that the public baseline would have made of a data set of ours."""
    root = folder / "baseline"
    shutil.copytree(made.root, root)
    for file in root.glob("*/annotation.json"):
        content = json.loads(file.read_text())
        file.write_text(json.dumps({key: content[key] for key in keys}))
        (file.parent / "take.json").unlink()
    return World(root, Paths(folder / "imported"))


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return small_dataset(tmp_path / "data")


def edit(file: Path, change: Callable[[Any], Any]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_the_baselines_tree(made: Made, tmp_path: Path) -> None:
    world = baseline_of(made, tmp_path)
    for frame in (0, 30, 60):
        file = world.root / TRAIN_1 / "cam77" / f"{frame}.jpg"
        file.parent.mkdir(exist_ok=True)
        shutil.copy(world.root / TRAIN_1 / CAM1 / "0.jpg", file)
    (world.root / TRAIN_1 / CAM1 / "0.jpg").rename(world.root / TRAIN_1 / CAM1 / "000.jpg")
    (world.root / TRAIN_1 / EGO / "notes.txt").write_text("hello")
    text = (world.root / TRAIN_1 / "annotation.json").read_text()
    (world.root / TRAIN_1 / "annotation.json").write_text(text.replace('"90": {', '"0090": {'))
    assert world.bring().is_good
    before = read_model(made.paths.take_annotation("toy", TRAIN_1), TakeAnnotation, "")
    after = world.annotation(TRAIN_1)
    assert after.masks == before.masks
    assert after.take_name == TRAIN_1
    assert track(world, TRAIN_1, SHAKER, CAM1).state(30) == "unannotated", (
        "the baseline does not say that it was absent"
    )
    dropped = world.manifest().dropped
    assert dropped["takes_whose_absences_are_not_known"] == 4
    assert dropped["pictures_of_cameras_without_masks"] == 3
    assert dropped["files_that_are_no_frames"] == 1
    assert world.frame(TRAIN_1, CAM1, 0).exists()
    assert world.frame(TRAIN_1, CAM1, 30).samefile(world.root / TRAIN_1 / CAM1 / "30.jpg")
    assert world.facts(TRAIN_1).cameras[CAM1].native_size_wh == (96, 64)
    assert world.facts(TRAIN_1).cameras[CAM1].scale == 0.25
    report = world.check()
    assert report.errors == 0, report.kinds


def test_broken_masks_of_the_baseline(made: Made, tmp_path: Path) -> None:
    world = baseline_of(made, tmp_path)

    def harm(content: Any) -> None:
        shaker = content["masks"][SHAKER][EGO]
        shaker["0"] = None
        shaker["30"]["counts"] = shaker["30"]["counts"][:-1]
        shaker["60"] = {"size": [64, 64], "counts": coco.encode(np.zeros((64, 64), np.uint8, "F"))["counts"].decode()}
        shaker["120"] = {"size": [8, 8], "counts": coco.encode(np.ones((8, 8), np.uint8, "F"))["counts"].decode()}
        shaker["later"] = None

    edit(world.root / TRAIN_1 / "annotation.json", harm)
    assert world.bring().is_good
    facts = world.facts(TRAIN_1)
    assert {mask.frame: mask.reason for mask in facts.left_out_masks} == {
        0: "damaged",
        30: "damaged",
        60: "empty",
        120: "wrong_size",
    }
    assert track(world, TRAIN_1, SHAKER, EGO) == Track((), frozenset({60}))
    dropped = world.manifest().dropped
    assert {
        name: dropped[name] for name in ("damaged_masks", "empty_masks", "wrong_size_masks", "masks_of_no_frame")
    } == {
        "damaged_masks": 2,
        "empty_masks": 1,
        "wrong_size_masks": 1,
        "masks_of_no_frame": 1,
    }
    assert world.check().errors == 0


def test_takes_in_a_folder_for_each_split(made: Made, tmp_path: Path) -> None:
    world = baseline_of(made, tmp_path)
    for split, takes in {"train": [TRAIN_1, TRAIN_2], "val": [VAL_1]}.items():
        for take_uid in takes:
            (world.root / split).mkdir(exist_ok=True)
            (world.root / take_uid).rename(world.root / split / take_uid)
    shutil.rmtree(world.root / TEST_1)
    (world.root / "split.json").unlink()
    assert world.bring().is_good
    splits = read_model(world.paths.split_file("mine"), SplitFile, "")
    assert (splits.train, splits.val, splits.test) == ([TRAIN_1, TRAIN_2], [VAL_1], [])
    assert world.frame(VAL_1, EGO, 0).exists()


def test_takes_that_are_not_there_or_in_no_split_or_damaged(made: Made, tmp_path: Path) -> None:
    world = baseline_of(made, tmp_path)
    shutil.rmtree(world.root / TRAIN_2)
    (world.root / VAL_1 / "annotation.json").write_text('{"masks": ')
    edit(world.root / "split.json", lambda content: content["test"].clear())
    summary = world.bring()
    assert "is not a valid ProcessedAnnotation" in summary.incomplete["mine"]
    dropped = world.manifest().dropped
    assert (dropped["takes_of_the_split_not_there"], dropped["takes_in_no_split"], dropped["takes_left_out"]) == (
        1,
        1,
        1,
    )
    assert read_model(world.paths.split_file("mine"), SplitFile, "").train == [TRAIN_1]


def test_a_take_that_climbs_out_of_its_folder_is_refused(made: Made, tmp_path: Path) -> None:
    world = baseline_of(made, tmp_path)
    edit(world.root / "split.json", lambda content: content["train"].append("x/../../elsewhere"))
    assert "cannot be the name of a take" in world.bring().failed["mine"]
    edit(world.root / "split.json", lambda content: content["train"].pop())
    edit(
        world.root / TRAIN_1 / "annotation.json",
        lambda content: content["masks"][SHAKER].update({"../cam": content["masks"][SHAKER][CAM1]}),
    )
    assert "'../cam' cannot be the name of a camera" in world.bring().incomplete["mine"]


def test_cameras_without_pictures_and_worn_cameras_of_other_names(made: Made, tmp_path: Path) -> None:
    world = baseline_of(made, tmp_path)
    for take in world.root.glob("*-*"):
        (take / EGO).rename(take / "gp01")
        text = (take / "annotation.json").read_text()
        (take / "annotation.json").write_text(text.replace(EGO, "gp01"))
    shutil.rmtree(world.root / TRAIN_1 / CAM2)
    assert f"take {TRAIN_1} has no ego camera" in world.bring().failed["mine"]
    (world.root / "dataset.json").write_text('{"ego": ["gp01"]}')
    summary = world.bring()
    assert summary.incomplete["mine"] == f"camera {CAM2} of take {TRAIN_1} has masks but no picture"
    assert world.facts(VAL_1).cameras["gp01"].is_ego


def test_five_keys_without_take_json_keep_the_three_states(made: Made, tmp_path: Path) -> None:
    keys = ("masks", "subsample_idx", "object_masks", "scenario", "take_name")
    world = baseline_of(made, tmp_path, keys)

    def lose(content: Any) -> None:
        del content["masks"][SHAKER][EGO]["30"]
        content["object_masks"][SHAKER][EGO]["annotation"]["60"]["encodedMask"] = "!"
        del content["masks"][SHAKER][EGO]["60"]

    edit(world.root / TRAIN_1 / "annotation.json", lose)
    assert world.bring().is_good
    before = read_model(made.paths.take_annotation("toy", TRAIN_1), TakeAnnotation, "")
    after = world.annotation(TRAIN_1)
    assert after.masks[SHAKER][EGO]["30"] == before.masks[SHAKER][EGO]["30"], "its original is still there"
    assert [(mask.frame, mask.reason) for mask in world.facts(TRAIN_1).left_out_masks] == [(60, "damaged")]
    assert track(world, TRAIN_1, SHAKER, EGO).state(60) == "unannotated"
    assert track(world, TRAIN_1, SHAKER, EGO).state(90) == "absent"
    assert after.object_masks[BOARD] == before.object_masks[BOARD], "clicks and all"
    assert after.scenario == before.scenario
    assert world.manifest().made["masks_restored"] == 1
    assert world.check().errors == 0


def foreign_pair(prefix: str, take: str, name: str, frame: int, ego: str = EGO, exo: str = CAM1) -> list[str]:
    return [f"{prefix}//{take}//{camera}//{name}//{kind}//{frame}" for camera in (ego, exo) for kind in ("rgb", "mask")]


@pytest.mark.parametrize("prefix", ["/home/ann/data/processed", "/mnt/x//y/", "../out", "output_dir_toy"])
def test_pair_files_with_any_prefix(made: Made, tmp_path: Path, prefix: str) -> None:
    world = baseline_of(made, tmp_path, ("masks", "subsample_idx", "object_masks"))
    rows = [
        foreign_pair(prefix, TRAIN_1, SHAKER, 0),
        foreign_pair(prefix, TRAIN_1, SHAKER, 30),
        foreign_pair(prefix, TRAIN_2, BOARD, 30),
        foreign_pair(prefix, TRAIN_2, BOARD, 30),
        foreign_pair(prefix, TRAIN_1, SHAKER, 90),
        foreign_pair(prefix, VAL_1, SHAKER, 0),
        foreign_pair(prefix, "9" * 8, SHAKER, 0),
        foreign_pair(prefix, TRAIN_1, "no such", 0),
        foreign_pair(prefix, TRAIN_1, SHAKER, 0, CAM1, EGO),
        [*foreign_pair(prefix, TRAIN_1, SHAKER, 0)[:3], foreign_pair(prefix, TRAIN_1, SHAKER, 30)[3]],
    ]
    (world.root / "train_egoexo_20percent_pairs.json").write_text(json.dumps(rows))
    assert world.bring().is_good
    pairs = json.loads(world.paths.pairs("mine", "train", "egoexo").read_text())
    assert pairs == [
        foreign_pair("output_dir_mine", take, name, frame)
        for take, name, frame in ((TRAIN_1, SHAKER, 0), (TRAIN_1, SHAKER, 30), (TRAIN_2, BOARD, 30))
    ]
    typed = world.paths.typed_pairs("mine", "train", "egoexo").read_text().splitlines()
    assert [json.loads(line)["target"] for line in typed] == ["present", "absent", "present"]
    dropped = world.manifest().dropped
    assert {name: number for name, number in dropped.items() if name.startswith("pairs_")} == {
        "pairs_given_twice": 1,
        "pairs_without_a_source_mask": 1,
        "pairs_of_another_split": 1,
        "pairs_of_takes_not_imported": 1,
        "pairs_of_unknown_objects_or_cameras": 1,
        "pairs_without_the_ego_view_first": 1,
        "pairs_that_do_not_belong_together": 1,
    }
    report = world.check()
    assert report.errors == 0, report.kinds


def test_names_of_pair_files() -> None:
    good = ["train_egoexo_pairs", "val_exoego_pairs_10", "custom_val_egoexo_pairs_10", "train_exoego_20percent_pairs"]
    bad = ["split", "train_egoexo_pairs_typed.jsonl", "pairs", "dev_egoexo_pairs", "train_egoego_pairs"]
    assert all(PAIR_FILE.match(f"{name}.json") for name in good)
    assert not any(PAIR_FILE.match(name if "." in name else f"{name}.json") for name in bad)


def test_two_samples_of_the_same_pairs_and_a_broken_one(made: Made, tmp_path: Path) -> None:
    world = baseline_of(made, tmp_path)
    for name in ("train_egoexo_pairs_10.json", "train_egoexo_pairs_20.json"):
        (world.root / name).write_text("[]")
    assert "has 2 pair files for train egoexo" in world.bring().failed["mine"]
    (world.root / "train_egoexo_pairs.json").write_text('[["a"]]')
    assert "train_egoexo_pairs.json is no pair file" in world.bring().failed["mine"]
    assert not world.paths.take_dir("mine", TRAIN_1).exists()


def test_omamas_tree_takes_names_and_cameras_from_takes_json(made: Made, tmp_path: Path) -> None:
    world = baseline_of(made, tmp_path)
    root = tmp_path / "omama"
    root.mkdir()
    world.root.rename(root / "processed")
    (root / "dataset_jsons").mkdir()
    (root / "dataset_jsons/test_exoego_pairs.json").write_text(json.dumps([foreign_pair("x", TEST_1, BOARD, 90)]))
    cameras = [{"cam_id": "aria01", "is_ego": False}, {"cam_id": CAM1, "is_ego": True}]
    take = {
        "take_uid": TEST_1,
        "take_name": "cmu_1",
        "task_name": "Making tea",
        "capture": {"capture_uid": "c", "cameras": cameras},
    }
    (root / "takes.json").write_text(json.dumps([take]))
    omama = World(root, world.paths)
    assert omama.bring().is_good
    assert omama.manifest().details["layout"] == "omama"
    annotation, facts = omama.annotation(TEST_1), omama.facts(TEST_1)
    assert (annotation.take_name, annotation.scenario) == ("cmu_1", "Making tea")
    assert [facts.cameras[name].is_ego for name in (EGO, CAM1)] == [False, True]
    assert omama.manifest().dropped["pairs_without_the_ego_view_first"] == 1


@pytest.mark.parametrize(
    ("stem", "number"),
    [("30", 30), ("0030", 30), ("IMG_0030", 30), ("a1_b2", 2), ("x", None), ("30x", None), ("", None)],
)
def test_numbers_in_file_names(stem: str, number: int | None) -> None:
    assert number_of(stem) == number
