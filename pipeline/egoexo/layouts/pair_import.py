"""Pair files of other people: their prefix replaced, each pair looked up, its target's state beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import ValidationError

from pipeline.egoexo.pair_files import PairWriter
from pipeline.egoexo.processed import ProcessedTake
from pipeline.errors import PipelineError
from pipeline.ops.egoexo.tracks import Pair, tracks_of_take
from pipeline.schema.base import read_model
from pipeline.schema.egoexo_foreign import PAIRS
from pipeline.schema.egoexo_pairs import SEPARATOR, Setting, VirtualPath
from pipeline.schema.egoexo_release import Split
from pipeline.schema.egoexo_take import TakeAnnotation, TakeFacts


def import_pairs(
    source: Path,
    split_of: Mapping[str, Split],
    read_take: Callable[[str], ProcessedTake],
    writer: PairWriter,
    split: Split,
    setting: Setting,
) -> Counter[str]:
    """Copy what of a pair file holds in the imported takes.

    Args:
        split_of: imported take → its split.
        read_take: one imported take.

    Returns:
        Reason → pairs left out.

    Raises:
        PipelineError: the file is no pair file.
    """
    try:
        rows = PAIRS.validate_json(source.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise PipelineError(
            f"{source} is no pair file: {' → '.join(map(str, first['loc'])) or 'the file'}: {first['msg']}",
            "expected a list of [ego picture, ego mask, exo picture, exo mask]; mend or remove the file",
        ) from None
    reader, dropped, seen = _PathReader(split_of), Counter[str](), set[tuple[str, Pair]]()
    for row in rows:
        found = _read_pair(reader, row)
        if isinstance(found, str):
            dropped[found] += 1
            continue
        ego, exo = found
        if split_of[ego.take_uid] != split:
            dropped["pairs_of_another_split"] += 1
            continue
        pair = _in_take(read_take(ego.take_uid), ego, exo, setting)
        if isinstance(pair, str):
            dropped[pair] += 1
        elif (ego.take_uid, pair) in seen:
            dropped["pairs_given_twice"] += 1
        else:
            seen.add((ego.take_uid, pair))
            writer.add(ego.take_uid, pair)
    return dropped


def read_imported(folder: Path) -> ProcessedTake:
    """A take that an import has just written, wherever it lies.

    Raises:
        PipelineError: its files are damaged.
    """
    fix = "REDO=egoexo-import writes it again"
    annotation = read_model(folder / "annotation.json", TakeAnnotation, fix)
    facts = read_model(folder / "take.json", TakeFacts, fix)
    return ProcessedTake(folder, annotation, facts, tracks_of_take(annotation, facts.left_out_masks))


class _PathReader:
    """Reads virtual paths whose prefix is anything: absolute, with `//` in it, with a slash at its end."""

    def __init__(self, takes: Mapping[str, Split]) -> None:
        self._takes = takes
        self._prefixes: list[str] = []

    def read(self, text: str) -> VirtualPath | None:
        """None: no path of a pair, or of a take that was not imported."""
        for prefix in self._prefixes:
            if text.startswith(prefix + SEPARATOR):
                path = _parsed(text, prefix)
                if path and path.take_uid in self._takes:
                    return path
                if path and not path.take_uid.startswith("/"):
                    return None
        for take_uid in self._takes:
            place = text.find(f"{SEPARATOR}{take_uid}{SEPARATOR}")
            if place > 0 and (path := _parsed(text, text[:place])):
                self._prefixes.append(text[:place])
                return path
        return None


def _parsed(text: str, prefix: str) -> VirtualPath | None:
    try:
        return VirtualPath.parse(text, prefix)
    except PipelineError:
        return None


def _read_pair(reader: _PathReader, row: tuple[str, str, str, str]) -> tuple[VirtualPath, VirtualPath] | str:
    """The ego and the exo picture's path; else why the four are no pair."""
    paths = [reader.read(text) for text in row]
    ego, ego_mask, exo, exo_mask = paths
    if ego is None or ego_mask is None or exo is None or exo_mask is None:
        return "pairs_of_takes_not_imported"
    whole = (ego, ego_mask, exo, exo_mask)
    moments = {(path.take_uid, path.object, path.frame) for path in whole}
    kinds = [path.kind for path in whole]
    if (
        len(moments) > 1
        or kinds != ["rgb", "mask"] * 2
        or (ego.camera, exo.camera) != (ego_mask.camera, exo_mask.camera)
    ):
        return "pairs_that_do_not_belong_together"
    return ego, exo


def _in_take(take: ProcessedTake, ego: VirtualPath, exo: VirtualPath, setting: Setting) -> Pair | str:
    """The pair with its target's state; else why it does not hold."""
    cameras = take.tracks.get(ego.object, {})
    if ego.camera not in cameras or exo.camera not in cameras:
        return "pairs_of_unknown_objects_or_cameras"
    facts = take.facts.cameras
    if not facts[ego.camera].is_ego or facts[exo.camera].is_ego:
        return "pairs_without_the_ego_view_first"
    source, target = (ego, exo) if setting == "egoexo" else (exo, ego)
    if cameras[source.camera].state(ego.frame) != "present":
        return "pairs_without_a_source_mask"
    if any(path.frame not in facts[path.camera].frames for path in (ego, exo)):
        return "pairs_without_a_picture"
    return Pair(ego.object, ego.camera, exo.camera, ego.frame, cameras[target.camera].state(ego.frame))
