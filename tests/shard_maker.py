"""Archives in the data sets' layouts, filled with arbitrary bytes, and a job to run a phase on."""

from __future__ import annotations

import io
import json
import random
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline.job import Job
from pipeline.paths import Paths

INTRINSICS_100K = {
    "model": "fisheye", "image_width": 456, "image_height": 256, "fx": 137.98, "fy": 138.23, "cx": 232.17, "cy": 125.37,
    "k1": 0.3948, "k2": 0.1798, "k3": -0.2753, "k4": 0.0793,
}  # fmt: skip


@dataclass
class Shown:
    """Stands for the terminal."""

    lines: list[str] = field(default_factory=list)
    advanced: float = 0.0
    total: float | None = None

    def start(self, total: float | None, what: str, unit: str = "") -> None:
        self.total, self.advanced = total, 0.0

    def advance(self, amount: float = 1) -> None:
        self.advanced += amount


def clip_name(layout: str, index: int, worker: int = 1) -> str:
    """A clip of factory 1 in the naming of one data set."""
    if layout == "100K":
        return f"factory_001_worker_{worker:03d}_{index:04d}"
    return f"factory001_worker{worker:03d}_{index:05d}"


def worker_folder(layout: str, worker: int = 1) -> str:
    """Folder of a worker of factory 1."""
    return f"factory001/worker{worker:03d}" if layout == "100K" else f"factory_001/workers/worker_{worker:03d}"


def archive_path(layout: str, part: int = 0, worker: int = 1) -> str:
    """Path of an archive in the repository."""
    name = f"part{part:03d}.tar" if layout == "100K" else f"factory001_worker{worker:03d}_part{part:02d}.tar"
    return f"{worker_folder(layout, worker)}/{name}"


def members_of(
    clips: list[str], size: int | Callable[[int], int] = 20_000, seed: int = 0
) -> Iterator[tuple[str, bytes]]:
    """The two members of each clip, `.mp4` first; videos are random bytes."""
    rng = random.Random(seed)
    for number, clip in enumerate(clips):
        video = rng.randbytes(size if isinstance(size, int) else size(number))
        info = {
            "factory_id": "factory_001", "worker_id": "worker_001", "video_index": number,
            "duration_sec": 60.0 + number, "width": 456, "height": 256, "fps": 30.0,
            "size_bytes": len(video), "codec": "h265",
        }  # fmt: skip
        yield f"{clip}.mp4", video
        yield f"{clip}.json", json.dumps(info).encode()


def write_tar(path: Path, members: Iterator[tuple[str, bytes]], form: int = tarfile.USTAR_FORMAT) -> dict[str, bytes]:
    """One plain tar; returns what it holds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    held = {}
    with tarfile.open(path, "w", format=form) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
            held[name] = data
    return held


def make_repo(root: Path, layout: str = "100K", clips: int = 3, size: int = 20_000) -> dict[str, bytes]:
    """A data set of one worker with one archive and a calibration; returns the archive's members."""
    held = write_tar(
        root / archive_path(layout), members_of([clip_name(layout, index) for index in range(clips)], size)
    )
    (root / worker_folder(layout) / "intrinsics.json").write_text(json.dumps(INTRINSICS_100K))
    (root / "README.md").write_text("a data set")
    return held


def run_phase(module: ModuleType, clip: str, data: Path, knobs: Any, shown: Shown | None = None) -> tuple[Any, Paths]:
    """Run one phase as the step does: write beside the places, then rename."""
    paths = Paths(data)
    shown = shown or Shown()
    places: dict[str, Path] = module.products(paths, clip, knobs)
    temporary = {name: place.with_name(f".{place.name}.new") for name, place in places.items()}

    def publish(name: str) -> None:
        if temporary[name].exists():
            temporary[name].replace(places[name])

    for place in places.values():
        place.parent.mkdir(parents=True, exist_ok=True)
    work = paths.work(module.__name__.rpartition(".")[2], clip)
    work.mkdir(parents=True, exist_ok=True)
    job = Job(
        unit=clip, knobs=knobs, paths=paths, products=temporary, work=work, report=shown.lines.append, progress=shown,
        publish=publish,
    )  # fmt: skip
    counts = module.run(job)
    for name in places:
        publish(name)
    return counts, paths
