"""Several stretches of one video decoded at once, handed out in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from threading import Event

import numpy as np

from pipeline.ops.cores import cores
from pipeline.ops.video.decode import Image, Picture, Run, RunDecoder, Tally
from pipeline.ops.video.packet_table import PacketTable
from pipeline.ops.video.reader import Reader

MAX_WORKERS = 4
CHUNK_BYTES = 32 << 20
MAX_CHUNK_FRAMES = 32
"""A run is decoded ahead of the reader by at most this much."""


@dataclass(frozen=True)
class _ActiveRun:
    pictures: Generator[Picture, None, None]
    tally: Tally
    next_chunk: Future[list[Picture]]


@dataclass
class _End:
    """Decoding ends when the caller says so, or when nobody reads on."""

    stop: Event
    is_abandoned: bool = False

    def is_set(self) -> bool:
        return self.is_abandoned or self.stop.is_set()


def decode_runs(
    video: Path,
    table: PacketTable,
    runs: list[Run],
    convert: Callable[[Image], Image],
    count: Callable[[Tally], None],
    *,
    size_wh: tuple[int, int] | None = None,
    workers: int | None = None,
    stop: Event | None = None,
) -> Generator[Picture, None, None]:
    """All runs' pictures in order; `count` is told what each run cost when it ends.

    Each run is decoded by one thread, as many runs at once as there are cores: on small pictures that is twice as fast
    as FFmpeg's own threads, which wait for each other within every picture. A run gets at most one chunk of pictures
    ahead of the reader.

    Args:
        size_wh: smaller size that pictures are decoded to, before `convert`; None: the stored size.
        workers: threads that decode; None: one a core, at most MAX_WORKERS.
        stop: when it is set, no more pictures come.
    """
    workers = max(1, min(workers or min(MAX_WORKERS, cores()), len(runs)))
    chunk = int(np.clip(CHUNK_BYTES // (table.width * table.height * 3), 1, MAX_CHUNK_FRAMES))
    end, idle, to_start = _End(stop or Event()), list[Reader](), deque(runs)
    active: deque[_ActiveRun] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")

    def pictures_of(run: Run, tally: Tally) -> Generator[Picture, None, None]:
        try:
            reader = idle.pop()
        except IndexError:
            reader = Reader(video, table, size_wh)
        try:
            yield from RunDecoder(table, run, convert, tally, end).pictures(reader)
        finally:
            idle.append(reader)

    def keep_busy() -> None:
        while to_start and len(active) < workers:
            tally = Tally()
            pictures = pictures_of(to_start.popleft(), tally)
            active.append(_ActiveRun(pictures, tally, pool.submit(_take, pictures, chunk)))

    try:
        keep_busy()
        while active:
            run = active.popleft()
            batch = run.next_chunk.result()
            if len(batch) == chunk:
                active.appendleft(replace(run, next_chunk=pool.submit(_take, run.pictures, chunk)))
            else:
                count(run.tally)
            keep_busy()
            for picture in batch:
                if end.is_set():
                    return
                yield picture
    finally:
        end.is_abandoned = True
        pool.shutdown()
        for run in active:
            run.pictures.close()
            count(run.tally)
        for reader in idle:
            reader.close()


def _take(pictures: Iterator[Picture], count: int) -> list[Picture]:
    return list(islice(pictures, count))
