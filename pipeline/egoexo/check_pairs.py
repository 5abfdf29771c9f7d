"""Looks at one pair file and its typed file: every path leads somewhere, and every pair of the rule is there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.egoexo.check_take import CheckedTake, is_absolute
from pipeline.egoexo.findings import Findings
from pipeline.errors import PipelineError
from pipeline.ops.egoexo.tracks import Pair, pairs_of
from pipeline.schema.egoexo_pairs import SEPARATOR, Setting, TypedPair, VirtualPath
from pipeline.schema.egoexo_release import Split
from pipeline.schema.egoexo_reports import PairCounts

KINDS_IN_ORDER = ("rgb", "mask", "rgb", "mask")


@dataclass(frozen=True)
class PairFile:
    """One of the six, and what it is held against."""

    split: Split
    setting: Setting
    pairs: Path
    typed: Path
    takes: Mapping[str, CheckedTake]
    """Takes of this split."""
    written: PairCounts | None
    """What egoexo-pairs says of the file; None when nobody does, as for an imported one."""


@dataclass(frozen=True)
class ReadPair:
    """A pair whose four paths agree; the target's state is not in them."""

    take_uid: str
    object: str
    ego_camera: str
    exo_camera: str
    frame: int

    def __str__(self) -> str:
        return f"{self.take_uid} {self.object!r} {self.ego_camera} {self.exo_camera} frame {self.frame}"


def check_pair_file(file: PairFile, findings: Findings) -> int:
    """Collect what is wrong with the two files; gives the number of pairs."""
    content = _read(file.pairs, findings)
    if content is None:
        _read_typed(file, None, findings)
        return 0
    read: list[ReadPair | None] = []
    expected = _expected(file)
    seen: set[ReadPair] = set()
    for number, paths in enumerate(content, 1):
        where = f"{file.pairs.name} pair {number}"
        pair = _parse(paths, where, file.pairs.parent.name, findings)
        read.append(pair)
        if pair is None:
            continue
        if pair in seen:
            findings.add("pair_duplicate", where, str(paths))
        seen.add(pair)
        if _leads_somewhere(pair, file, where, findings) and pair not in expected:
            findings.add("pair_not_of_rule", where, str(pair))
    if file.written is not None and file.written.written != len(content):
        detail = f"it holds {len(content)}, egoexo-pairs wrote {file.written.written}"
        findings.add("pair_number", file.pairs.name, detail)
    if file.written is not None and not file.written.is_sampled:
        for pair in expected:
            if pair not in seen:
                findings.add("pair_lost", file.pairs.name, str(pair))
    _read_typed(file, read, findings)
    return len(content)


def _read(file: Path, findings: Findings) -> list[Any] | None:
    if not file.is_file():
        findings.add("pair_file_missing", file.name)
        return None
    try:
        content = json.loads(file.read_bytes())
    except ValueError as error:
        findings.add("pair_file_invalid", file.name, str(error))
        return None
    if not isinstance(content, list):
        findings.add("pair_file_invalid", file.name, f"it holds a {type(content).__name__}, not a list")
        return None
    return content


def _expected(file: PairFile) -> dict[ReadPair, None]:
    """Pairs of the rule whose pictures are on the disk, in order."""
    expected: dict[ReadPair, None] = {}
    for take_uid, checked in file.takes.items():
        if checked.take is not None:
            for pair in pairs_of(checked.take.tracks, checked.take.ego_cameras, checked.take.exo_cameras, file.setting):
                both = (pair.ego_camera, pair.exo_camera)
                can_be_written = pair.object and SEPARATOR not in pair.object
                if can_be_written and all(pair.frame in checked.pictures.get(camera, ()) for camera in both):
                    expected[_plain(take_uid, pair)] = None
    return expected


def _plain(take_uid: str, pair: Pair) -> ReadPair:
    return ReadPair(take_uid, pair.object, pair.ego_camera, pair.exo_camera, pair.frame)


def _parse(paths: Any, where: str, data_dir: str, findings: Findings) -> ReadPair | None:
    """The pair, when its four paths are readable and agree."""
    if not (isinstance(paths, list) and len(paths) == 4 and all(isinstance(path, str) for path in paths)):
        findings.add("pair_file_invalid", where, "expected a list of four paths")
        return None
    try:
        parsed = [VirtualPath.parse(path, data_dir) for path in paths]
    except PipelineError as error:
        findings.add("pair_path_invalid", where, error.problem)
        return None
    if foreign := sorted({path.data_dir for path in parsed} - {data_dir}):
        kind = "absolute_path" if is_absolute(f"{foreign[0]}/") else "pair_path_prefix"
        findings.add(kind, where, foreign[0])
    ego, exo = parsed[0], parsed[2]
    same = {(path.take_uid, path.object, path.frame) for path in parsed}
    cameras = [path.camera for path in parsed] == [ego.camera, ego.camera, exo.camera, exo.camera]
    if len(same) > 1 or not cameras or tuple(path.kind for path in parsed) != KINDS_IN_ORDER:
        findings.add("pair_roles", where, str(paths))
        return None
    return ReadPair(ego.take_uid, ego.object, ego.camera, exo.camera, ego.frame)


def _leads_somewhere(pair: ReadPair, file: PairFile, where: str, findings: Findings) -> bool:
    """Whether take, pictures and source mask are there, and the cameras in their places."""
    checked = file.takes.get(pair.take_uid)
    if checked is None:
        findings.add("pair_wrong_split", where, pair.take_uid)
        return False
    good = True
    for camera in (pair.ego_camera, pair.exo_camera):
        if pair.frame not in checked.pictures.get(camera, ()):
            findings.add("pair_picture_missing", where, f"{pair.take_uid}/{camera}/{pair.frame}.jpg")
            good = False
    if checked.take is None:
        return False
    if pair.ego_camera not in checked.take.ego_cameras or pair.exo_camera not in checked.take.exo_cameras:
        findings.add("pair_roles", where, f"{pair.ego_camera} as ego camera, {pair.exo_camera} as exo camera")
        return False
    source = pair.ego_camera if file.setting == "egoexo" else pair.exo_camera
    if str(pair.frame) not in checked.take.annotation.masks.get(pair.object, {}).get(source, {}):
        findings.add("pair_mask_missing", where, f"{pair.take_uid} masks[{pair.object!r}][{source}][{pair.frame}]")
        good = False
    return good


def _read_typed(file: PairFile, read: Sequence[ReadPair | None] | None, findings: Findings) -> None:
    """Line k of the typed file belongs to pair k."""
    if not file.typed.is_file():
        findings.add("typed_file_missing", file.typed.name)
        return
    number = 0
    for number, line in enumerate(_lines(file.typed), 1):
        where = f"{file.typed.name} line {number}"
        try:
            typed = TypedPair.model_validate_json(line)
        except ValidationError as error:
            item = error.errors(include_url=False, include_input=False)[0]
            findings.add("typed_file_invalid", where, f"{'.'.join(map(str, item['loc']))}: {item['msg']}")
            continue
        if read is not None and number <= len(read):
            _compare(typed, read[number - 1], file, where, findings)
    if read is not None and number != len(read):
        findings.add("typed_number", file.typed.name, f"{number} lines for {len(read)} pairs")


def _lines(file: Path) -> Iterator[bytes]:
    with file.open("rb") as lines:
        yield from lines


def _compare(typed: TypedPair, pair: ReadPair | None, file: PairFile, where: str, findings: Findings) -> None:
    theirs = ReadPair(typed.take_uid, typed.object, typed.ego_camera, typed.exo_camera, typed.frame)
    if (typed.split, typed.setting) != (file.split, file.setting) or (pair is not None and theirs != pair):
        findings.add("typed_differs", where, f"it is {typed.split} {typed.setting} {theirs}, the pair is {pair}")
        return
    checked = file.takes.get(theirs.take_uid)
    if checked is None or checked.take is None:
        return
    target = theirs.exo_camera if file.setting == "egoexo" else theirs.ego_camera
    track = checked.take.tracks.get(theirs.object, {}).get(target)
    state = track.state(theirs.frame) if track else "unannotated"
    if typed.target != state:
        findings.add("typed_state_wrong", where, f"it says {typed.target}, the annotations {state}")
