"""Masks of one camera in a COCO file: polygons or run lengths, one category an object."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from pycocotools import mask as coco  # type: ignore[import-untyped]

from pipeline.egoexo.layouts.custom_cameras import CustomCamera
from pipeline.egoexo.layouts.custom_labels import SAME_NUMBER, SAME_SIZE, CameraLabels
from pipeline.egoexo.layouts.pictures import number_of
from pipeline.egoexo.layouts.tree import Problems, safe_object
from pipeline.errors import PipelineError
from pipeline.ops.masks.lzstring import MaskError
from pipeline.ops.masks.rle import check_rle
from pipeline.schema.base import read_model
from pipeline.schema.egoexo_foreign import CocoAnnotation, CocoFile
from pipeline.schema.egoexo_take import Rle

EXPORT_AGAIN = "export it from the labelling tool again, as COCO instances"


def read_coco(file: Path, camera: CustomCamera, problems: Problems) -> CameraLabels | None:
    """`masks/{camera}.json`. None when it is damaged or speaks of no picture."""
    try:
        content = read_model(file, CocoFile, EXPORT_AGAIN)
        names = {category.id: safe_object(category.name, file.name) for category in content.categories}
    except PipelineError as error:
        problems.add(error.problem, error.fix)
        return None
    if len(set(names.values())) < len(content.categories):
        problems.add(
            f"masks/{file.name} has two categories of one id or name", "give each object a category of its own"
        )
        return None
    labels = CameraLabels(names=dict.fromkeys(names.values()))
    frames = _frames(file, content, camera, problems)
    annotated: set[int] = set()
    for annotation in content.annotations:
        shown = f"annotation {annotation.id} of masks/{file.name}"
        if annotation.image_id not in {image.id for image in content.images} or annotation.category_id not in names:
            problems.add(
                f"{shown} speaks of image {annotation.image_id}, category {annotation.category_id}: one is not listed",
                EXPORT_AGAIN,
            )
            continue
        annotated.add(annotation.image_id)
        if (frame := frames.get(annotation.image_id)) is None:
            continue
        name = names[annotation.category_id]
        if frame in labels.masks.get(name, {}):
            problems.add(
                f"masks/{file.name} has {name!r} twice in frame {frame}",
                "an object has one mask a picture: give the second one a category of its own, or unite the two",
            )
            continue
        try:
            labels.say(name, frame, _mask(annotation, camera))
        except MaskError as error:
            problems.add(f"{shown} ({name}, frame {frame}): {error}", EXPORT_AGAIN)
        except _OtherSizeError as error:
            problems.add(f"{shown} ({name}, frame {frame}) is {error}, its picture {camera.size_text}", SAME_SIZE)
    _absences(file, content, frames, annotated, names, labels, problems)
    return labels if frames else None


class _OtherSizeError(Exception):
    """Run lengths of another size than the picture's; the text is that size."""


def _frames(file: Path, content: CocoFile, camera: CustomCamera, problems: Problems) -> dict[int, int]:
    """Image id → frame, of the images that fit the camera."""
    frames: dict[int, int] = {}
    for image in content.images:
        shown = f"{image.file_name} in masks/{file.name}"
        frame = number_of(PurePosixPath(image.file_name.replace("\\", "/")).stem)
        if frame is None:
            problems.add(f"{shown} has no number", SAME_NUMBER)
        elif why := camera.why_no_picture(frame):
            problems.add(f"{shown} has no picture: {why}", SAME_NUMBER)
        elif (image.width, image.height) != camera.size_wh:
            problems.add(f"{shown} is {image.width}×{image.height}, its picture {camera.size_text}", SAME_SIZE)
        elif frame in frames.values() or image.id in frames:
            problems.add(f"{shown}: its number or its id occurs twice", EXPORT_AGAIN)
        else:
            frames[image.id] = frame
    return frames


def _mask(annotation: CocoAnnotation, camera: CustomCamera) -> Rle | None:
    """The annotation's mask at the picture's size; None when it has no area.

    Raises:
        MaskError: polygons or run lengths that make no mask.
        _OtherSizeError: run lengths of another size.
    """
    width, height = camera.size_wh
    shape: Any = annotation.segmentation
    if isinstance(shape, list):
        if not shape or any(len(polygon) < 6 or len(polygon) % 2 for polygon in shape):
            raise MaskError("polygon that is none", "expected x, y of three points or more")
        counts = coco.merge(coco.frPyObjects(shape, height, width))["counts"].decode("ascii")
    else:
        try:
            found_hw = (int(shape["size"][0]), int(shape["size"][1]))
            runs = shape["counts"]
            if isinstance(runs, list) and sum(int(run) for run in runs) != found_hw[0] * found_hw[1]:
                raise MaskError("runs do not sum to height × width")
        except (KeyError, IndexError, TypeError, ValueError) as error:
            if isinstance(error, MaskError):
                raise
            raise MaskError("run lengths without size and counts") from None
        if found_hw != (height, width):
            raise _OtherSizeError(f"{found_hw[1]}×{found_hw[0]}")
        if isinstance(runs, list):
            counts = coco.frPyObjects({"size": [height, width], "counts": runs}, height, width)["counts"].decode(
                "ascii"
            )
        else:
            counts = str(runs)
    return Rle(size=(height, width), counts=counts) if check_rle(counts, (height, width)).area else None


def _absences(
    file: Path,
    content: CocoFile,
    frames: dict[int, int],
    annotated: set[int],
    names: dict[int, str],
    labels: CameraLabels,
    problems: Problems,
) -> None:
    """What the list of images says beyond the masks: an image without annotations, or `neg_category_ids`."""
    for image in content.images:
        frame = frames.get(image.id)
        if frame is None:
            continue
        if image.neg_category_ids is None:
            labels.looked_at.add(frame)
            if image.id not in annotated:
                labels.empty.add(frame)
            continue
        labels.looked_at.discard(frame)  # it says itself which objects were looked for
        for category in image.neg_category_ids:
            if category not in names:
                problems.add(
                    f"{image.file_name} in masks/{file.name} names category {category}, which is not listed",
                    EXPORT_AGAIN,
                )
            elif frame not in labels.masks.get(names[category], {}):
                labels.absent.setdefault(names[category], set()).add(frame)
