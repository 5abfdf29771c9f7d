"""The process in which the real `egoexo` client runs (a file of its own so that nothing else is imported there).

Reads one request as JSON from standard input, runs the client of package `ego4d` unchanged but for three things, and
writes JSON lines to standard output:
  its manifests are narrowed to the wanted files, which its options cannot do (views are null in most parts);
  bytes are told as they arrive: {"bytes": 65536};
  a file's error is told with its kind, where the client itself keeps only a count: {"failed": "s3://…", …}.
All that the client prints goes to standard error. The exit status is the client's own, and means little.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import threading
import time
from typing import IO, Any

PR_SET_PDEATHSIG = 1
TELL_INTERVAL_S = 0.2


def end_with_parent(parent_id: int) -> None:
    """Have the system end this process when the thread that started it ends, however that happens."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_id:
        os._exit(1)


class Teller:
    """Writes the lines; when nobody reads them any more, the process ends."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream, self._lock = stream, threading.Lock()
        self._bytes, self._told_s = 0, 0.0

    def count(self, number: int) -> None:
        """Bytes have arrived; negative when a piece has to be fetched again."""
        with self._lock:
            self._bytes += number
            if time.monotonic() - self._told_s >= TELL_INTERVAL_S:
                self._write_bytes()

    def failed(self, source: str, error: Exception) -> None:
        """A file could not be fetched."""
        response = getattr(error, "response", None) or {}
        self._write(
            {
                "failed": source,
                "kinds": [kind.__name__ for kind in type(error).__mro__],
                "code": str(response.get("Error", {}).get("Code", "")),
                "errno": getattr(error, "errno", None) if isinstance(error, OSError) else None,
                "text": str(error),
            }
        )

    def finish(self) -> None:
        """Tell the last bytes."""
        with self._lock:
            self._write_bytes()

    def _write_bytes(self) -> None:
        if self._bytes:
            self._write({"bytes": self._bytes})
        self._bytes, self._told_s = 0, time.monotonic()

    def _write(self, line: dict[str, Any]) -> None:
        try:
            self._stream.write(json.dumps(line) + "\n")
            self._stream.flush()
        except BrokenPipeError:
            os._exit(1)


def run(request: dict[str, Any], teller: Teller) -> int:
    """Run the client's own `main`; its exit status."""
    from ego4d.internal.download import cli  # type: ignore[import-untyped]

    wanted = set(request["relative_paths"])
    all_entries = cli.manifest_loads

    def wanted_entries(data: str) -> Any:
        """A part has up to 50,000 files; only the wanted ones go through the client's slow validation."""
        narrowed = [
            entry | {"paths": paths}
            for entry in json.loads(data)
            if (paths := [path for path in entry["paths"] if path["relative_path"] in wanted])
        ]
        return all_entries(json.dumps(narrowed))

    class ToldDownloader(cli.S3Downloader):  # type: ignore[misc]
        """The client's own downloader, overheard."""

        def __init__(self, profile: Any, num_workers: int = 10, callback: Any = None) -> None:
            super().__init__(profile, num_workers=num_workers, callback=teller.count)

        def copy(self, path: str, out_path: str) -> None:
            try:
                super().copy(path, out_path)
            except Exception as error:
                teller.failed(path, error)
                raise

    cli.manifest_loads, cli.S3Downloader = wanted_entries, ToldDownloader
    parser = cli.create_arg_parse("egoexo", request["base"], request["release_version"])
    try:
        cli.main(parser.parse_args(request["arguments"]))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    finally:
        teller.finish()
    return 0


def main() -> int:
    """Read the request, keep standard output for the lines, run."""
    request = json.load(sys.stdin)
    end_with_parent(request["parent_id"])
    lines = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return run(request, Teller(lines))


if __name__ == "__main__":
    sys.exit(main())
