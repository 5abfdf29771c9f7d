"""Pair files: the virtual paths that other readers know, and the typed lines beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.errors import PipelineError
from pipeline.schema.base import OwnModel
from pipeline.schema.egoexo_release import Split

Setting = Literal["egoexo", "exoego"]
SETTINGS: tuple[Setting, ...] = ("egoexo", "exoego")
"""egoexo: the object masked in the ego view is looked for in the exo view; exoego: the other way."""
Visibility = Literal["present", "absent", "unannotated"]
SEPARATOR = "//"


@dataclass(frozen=True)
class VirtualPath:
    """`{data_dir}//{take_uid}//{camera}//{object}//{rgb|mask}//{frame}`.

    rgb stands for `{data_dir}/{take_uid}/{camera}/{frame}.jpg`, mask for `masks[object][camera][frame]` of the take's
    annotation.json. Object names may hold `/`, also at their ends; `//` cannot be written.
    """

    data_dir: str
    take_uid: str
    camera: str
    object: str
    kind: Literal["rgb", "mask"]
    frame: int

    def __str__(self) -> str:
        fields = (self.data_dir, self.take_uid, self.camera, self.object)
        broken = [text for text in fields if SEPARATOR in text or not text]
        if broken or self.data_dir.endswith("/"):
            raise PipelineError(
                f"{broken or self.data_dir!r} cannot be a field of a pair's path", "expected no `//`, and not nothing"
            )
        return SEPARATOR.join((*fields, self.kind, str(self.frame)))

    @classmethod
    def parse(cls, text: str, data_dir: str | None = None) -> VirtualPath:
        """Read one path; `data_dir` is the prefix where it is known to hold `//` or a trailing slash.

        Raises:
            PipelineError: not a path of this form.
        """
        rest, prefix = text, None
        if data_dir is not None and text.startswith(data_dir + SEPARATOR):
            prefix, rest = data_dir, text[len(data_dir) + len(SEPARATOR) :]
        try:
            head, kind, frame = rest.rsplit(SEPARATOR, 2)
            fields = head.split(SEPARATOR, 3 if prefix is None else 2)
            if prefix is None:
                prefix, *fields = fields
            take_uid, camera, name = fields
            if kind not in ("rgb", "mask") or not (frame.isascii() and frame.isdecimal()):
                raise ValueError
        except ValueError:
            raise PipelineError(
                f"{text!r} is no path of a pair", "expected output_dir//take_uid//camera//object//rgb|mask//frame"
            ) from None
        return cls(prefix, take_uid, camera, name, "rgb" if kind == "rgb" else "mask", int(frame))


class TypedPair(OwnModel):
    """One line of {split}_{setting}_pairs_typed.jsonl; line k belongs to pair k of the pair file."""

    split: Split
    setting: Setting
    take_uid: str
    object: str
    ego_camera: str
    exo_camera: str
    frame: int
    target: Visibility
    """State of the object in the target view: unannotated ones are no negatives and are never evaluated."""
