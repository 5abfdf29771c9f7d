"""What the masks of one's own data say: present, absent or nothing; and masks drawn as PNG pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from pipeline.egoexo.layouts.custom_cameras import CustomCamera
from pipeline.egoexo.layouts.pictures import number_of, visible_files, visible_folders
from pipeline.egoexo.layouts.tree import Problems, listed, safe_object
from pipeline.egoexo.take_masks import Masks
from pipeline.ops.masks.rle import encode_rle
from pipeline.schema.egoexo_foreign import DatasetFile
from pipeline.schema.egoexo_take import Rle

SAME_SIZE = "draw masks at the size of the camera's own pictures"
SAME_NUMBER = "give a mask the number of the photo, or of the video's frame counted from 0"


@dataclass
class CameraLabels:
    """What is said about one camera.

    Attributes:
        names: objects that are spoken of, in order.
        masks: object → frame → mask with an area.
        absent: object → frames that it is said not to be in.
        empty: frames said to hold none of the take's objects.
        looked_at: frames with any mask or an empty label, so that whoever labels all objects has seen all.
    """

    names: dict[str, None] = field(default_factory=dict)
    masks: dict[str, dict[int, Rle]] = field(default_factory=dict)
    absent: dict[str, set[int]] = field(default_factory=dict)
    empty: set[int] = field(default_factory=set)
    looked_at: set[int] = field(default_factory=set)

    def say(self, name: str, frame: int, mask: Rle | None) -> None:
        """The object has this mask in a frame; None: it is not in the picture."""
        self.names[name] = None
        self.looked_at.add(frame)
        if mask is None:
            self.absent.setdefault(name, set()).add(frame)
        else:
            self.masks.setdefault(name, {})[frame] = mask


def three_states(
    labels: Mapping[str, CameraLabels], dataset: DatasetFile
) -> tuple[Masks, dict[str, dict[str, set[int]]]]:
    """All cameras together: masks, and for each object and camera the frames where it is known to be absent.

    An empty label speaks of the objects that have a mask somewhere in the take, not of every name in a list.
    """
    seen = {name for camera in labels.values() for name, masks in camera.masks.items() if masks}
    told = {name for camera in labels.values() for name in camera.absent}
    names = dict.fromkeys([*dataset.objects.values(), *(name for camera in labels.values() for name in camera.names)])
    masks: Masks = {}
    absent: dict[str, dict[str, set[int]]] = {}
    for name in (name for name in names if name in seen | told):
        for camera, of in labels.items():
            present = of.masks.get(name, {})
            gone = set(of.absent.get(name, ()))
            if name in seen:
                gone |= of.empty | (of.looked_at if dataset.every_object_labelled else set())
            gone -= present.keys()
            if present or gone:
                masks.setdefault(name, {})[camera] = {str(frame): present[frame] for frame in sorted(present)}
                absent.setdefault(name, {})[camera] = gone
    return masks, absent


def check_names(labels: Mapping[str, CameraLabels], dataset: DatasetFile, problems: Problems) -> None:
    """An object must be called the same in every view: finds unknown names, and ones that differ by their spelling."""
    cameras_of: dict[str, set[str]] = {}
    for camera, of in labels.items():
        for name in of.names:
            cameras_of.setdefault(name, set()).add(camera)
    known = set(dataset.objects.values())
    alike: dict[str, list[str]] = {}
    for name in cameras_of:
        if known and name not in known:
            where, there = listed(sorted(cameras_of[name])), listed(sorted(known))
            problems.add(
                f"the masks of {where} speak of {name!r}; dataset.json has {there}",
                "write an object's name the same way everywhere",
            )
        alike.setdefault(re.sub(r"[\s_-]+", "_", name).strip("_").casefold(), []).append(name)
    for names in alike.values():
        # Two names in one camera are two objects; one here and one there are one object spelt in two ways.
        for first, second in ((a, b) for place, a in enumerate(names) for b in names[place + 1 :]):
            if not known and not cameras_of[first] & cameras_of[second]:
                both = [f"{name!r} in {listed(sorted(cameras_of[name]))}" for name in (first, second)]
                problems.add(
                    f"one object seems to have two names: {' and '.join(both)}",
                    "write an object's name the same way everywhere",
                )


def read_mask_pictures(
    folder: Path, camera: CustomCamera, dataset: DatasetFile, problems: Problems
) -> CameraLabels | None:
    """`masks/{camera}/{object}/{frame}.png`, or `masks/{camera}/{frame}.png` with a number for each object.

    Returns:
        None when there is nothing in it.
    """
    labels = CameraLabels()
    objects, label_pictures = visible_folders(folder), visible_files(folder)
    if objects and label_pictures:
        problems.add(
            f"masks/{camera.name} has both PNGs and folders of objects", "use one of the two ways within a camera"
        )
    for place in objects:
        safe_object(place.name, folder)
        for frame, _, pixels in _pictures(place, camera, problems):
            inside = np.not_equal(pixels if pixels.ndim == 2 else pixels.max(-1), 0)
            labels.say(place.name, frame, _rle(inside) if inside.any() else None)
    for frame, file, pixels in _pictures(folder, camera, problems, as_numbers=True):
        _read_label_picture(frame, f"masks/{camera.name}/{file.name}", pixels, dataset, labels, problems)
    return labels if labels.looked_at else None


def _read_label_picture(
    frame: int, shown: str, pixels: NDArray[np.generic], dataset: DatasetFile, labels: CameraLabels, problems: Problems
) -> None:
    if pixels.ndim == 3:
        problems.add(f"{shown} is a colour picture", "save label pictures with one number a pixel (grey or palette)")
        return
    labels.looked_at.add(frame)
    values = [int(value) for value in np.unique(pixels) if value]
    if not values:
        labels.empty.add(frame)
    unknown = [str(value) for value in values if str(value) not in dataset.objects]
    if unknown:
        known = ", ".join(f"{value}: {name}" for value, name in dataset.objects.items()) or "none"
        problems.add(
            f"{shown} has pixels of value {listed(unknown)}; dataset.json names {known}",
            'name each value in dataset.json: "objects": {"1": "kettle"}',
        )
        return
    for value in values:
        labels.say(dataset.objects[str(value)], frame, _rle(np.equal(pixels, value)))


def _pictures(
    folder: Path, camera: CustomCamera, problems: Problems, as_numbers: bool = False
) -> Iterator[tuple[int, Path, NDArray[np.generic]]]:
    """Frame, file and pixels of each usable mask picture: HW, or HWC for colours."""
    taken: dict[int, Path] = {}
    for file in visible_files(folder):
        shown = f"masks/{file.relative_to(folder.parent if as_numbers else folder.parent.parent)}"
        frame = number_of(file.stem)
        if file.suffix.lower() != ".png":
            problems.add(f"{shown} is no PNG", "save masks as PNG: other formats blur their borders")
        elif frame is None:
            problems.add(f"{shown} has no number", SAME_NUMBER)
        elif why := camera.why_no_picture(frame):
            problems.add(f"{shown} has no picture: {why}", SAME_NUMBER)
        elif frame in taken:
            problems.add(f"{shown} and {taken[frame].name} both have number {frame}", SAME_NUMBER)
        else:
            taken[frame] = file
            pixels = _read(file, shown, problems, as_numbers)
            if pixels is None:
                continue
            if pixels.shape[1::-1] != camera.size_wh:
                found = f"{pixels.shape[1]}×{pixels.shape[0]}"
                problems.add(f"{shown} is {found}, its picture {camera.size_text}", SAME_SIZE)
                continue
            yield frame, file, pixels


def _read(file: Path, shown: str, problems: Problems, as_numbers: bool) -> NDArray[np.generic] | None:
    try:
        with Image.open(file) as image:
            has_alpha = image.mode in ("LA", "RGBA") or "transparency" in image.info
            is_grey = image.mode in ("1", "L", "I", "I;16", "I;16B") and not has_alpha
            if is_grey or (image.mode == "P" and as_numbers):  # a palette's numbers stand for objects, not for colours
                return np.asarray(image)
            colours = np.asarray(image.convert("RGBA"))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        problems.add(f"{shown} cannot be read: {error}", "save the mask anew as PNG")
        return None
    colours = np.where(colours[..., 3:] > 0, colours[..., :3], 0)  # what is transparent is background, of any colour
    grey = colours[..., 0]
    return grey if np.array_equal(grey, colours[..., 1]) and np.array_equal(grey, colours[..., 2]) else colours


def _rle(mask: NDArray[np.generic]) -> Rle:
    return Rle(size=(mask.shape[0], mask.shape[1]), counts=encode_rle(mask))
