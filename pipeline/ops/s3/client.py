"""Runs the real `egoexo` client in a process of its own, which can be stopped and ends with this one."""

from __future__ import annotations

import contextlib
import json
import os
import re
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import IO, Any

from pipeline.errors import PipelineError
from pipeline.ops.s3 import client_process

LOOK_INTERVAL_S = 0.2
LEFTOVER = re.compile(r"\.[0-9a-fA-F]{8}$")
"""Ending that boto3 gives a file until it is whole."""
OUTPUT_TAIL_CHARACTERS = 2000


@dataclass(frozen=True)
class ClientRequest:
    """What the client is to fetch."""

    base: str
    """s3://bucket/prefix/ of all releases."""
    release_version: str
    profile: str
    parts: tuple[str, ...]
    relative_paths: tuple[str, ...]
    """Files of these parts; all others are left alone."""
    folder: Path
    """Release folder to write to."""
    workers: int

    @property
    def arguments(self) -> list[str]:
        """The client's own command line."""
        return [
            "--out_dir", str(self.folder), "--parts", *self.parts, "--num_workers", str(self.workers),
            "--s3_profile", self.profile, "--yes",
        ]  # fmt: skip


@dataclass(frozen=True)
class Failure:
    """Why one file was not fetched, as the client's libraries have it."""

    kinds: tuple[str, ...]
    """Class names of the exception, its own first."""
    code: str
    """The store's word for it."""
    errno: int | None
    text: str


@dataclass
class ClientRun:
    """How the client ended. Its exit status says little: 0 for a wrong size, an empty selection, an unknown uid."""

    exit_status: int = -1
    failures: dict[str, Failure] = field(default_factory=dict)
    """Source (`s3://…`) → why."""
    output: str = ""
    """The end of what it printed."""


def run_client(request: ClientRequest, on_bytes: Callable[[int], None], stop: Event) -> ClientRun:
    """Run the client to its end.

    Args:
        on_bytes: is told how many bytes have arrived since the last time.
        stop: ends the client within half a second when set.

    Raises:
        PipelineError: `stop` was set.
    """
    result = ClientRun()
    with tempfile.TemporaryFile() as printed, _started(request, printed) as process:
        for line in _lines(process, stop):
            told = json.loads(line)
            if "bytes" in told:
                on_bytes(told["bytes"])
            else:
                result.failures[told["failed"]] = Failure(
                    tuple(told["kinds"]), told["code"], told["errno"], told["text"]
                )
        result.exit_status = process.wait()
        printed.seek(0)
        result.output = printed.read().decode(errors="replace")[-OUTPUT_TAIL_CHARACTERS:]
    return result


def remove_leftovers(files: Sequence[Path]) -> int:
    """Delete what interrupted transfers of these files have left beside them; says how many there were."""
    wanted: dict[Path, set[str]] = {}
    for file in files:
        wanted.setdefault(file.parent, set()).add(file.name)
    removed = 0
    for folder, names in wanted.items():
        for partial in folder.iterdir() if folder.is_dir() else ():
            if LEFTOVER.search(partial.name) and LEFTOVER.sub("", partial.name) in names:
                partial.unlink(missing_ok=True)
                removed += 1
    return removed


@contextlib.contextmanager
def _started(request: ClientRequest, printed: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """The client's process, killed with all its threads when the block is left early."""
    question = {
        "base": request.base,
        "release_version": request.release_version,
        "relative_paths": request.relative_paths,
        "arguments": request.arguments,
        "parent_id": os.getpid(),
    }
    process = subprocess.Popen(
        [sys.executable, "-P", client_process.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=printed,
        env=os.environ | {"TQDM_DISABLE": "1"},
        start_new_session=True,  # an interrupt at the terminal comes to this process, which then ends the client
    )
    try:
        with contextlib.suppress(BrokenPipeError), _closing(process.stdin) as stream:
            stream.write(json.dumps(question).encode())
        yield process
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout:
            process.stdout.close()


@contextlib.contextmanager
def _closing(stream: IO[bytes] | None) -> Iterator[Any]:
    assert stream is not None
    try:
        yield stream
    finally:
        with contextlib.suppress(BrokenPipeError):
            stream.close()


def _lines(process: subprocess.Popen[bytes], stop: Event) -> Iterator[str]:
    """What the process says, line by line, until it ends."""
    assert process.stdout is not None
    buffer = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if stop.is_set():
                raise PipelineError("the download was stopped", "run again: files that are whole are kept")
            if not selector.select(LOOK_INTERVAL_S):
                continue
            piece = os.read(process.stdout.fileno(), 1 << 16)
            if not piece:
                return
            *lines, buffer = (buffer + piece).split(b"\n")
            yield from (line.decode() for line in lines)
