"""A local S3 store (moto) that serves a folder of buckets to the real client, with faults on demand."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
from moto.backends import get_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
KEYS = "[default]\naws_access_key_id = test\naws_secret_access_key = test\n"
SLOW_PIECE_BYTES = 1 << 16
Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


@dataclass
class Faults:
    """What goes wrong from now on."""

    refuse: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Text in a request's path → HTTP status and S3 error code."""
    cut_after_bytes: int | None = None
    """Bodies of videos end here, with a broken connection."""
    cut_suffix: str = ".mp4"
    """Which bodies are cut or slow."""
    cuts: int = -1
    """How many are cut; -1: all."""
    html: bool = False
    """Everything is answered with a login page, as captive networks do."""
    piece_delay_s: float = 0.0
    """Wait before each 64 KiB of a video."""


class _Quiet(MotoRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Requests are kept in `S3Server.requests`."""


class S3Server:
    """A running store; `environment` is what the client and boto3 need to find it.

    moto keeps one set of buckets a process, so each server puts a number of its own before their names.
    """

    _numbers = itertools.count()

    def __init__(self, folder: Path) -> None:
        self._prefix = f"s{next(self._numbers)}-"
        self.faults = Faults()
        self.requests: list[tuple[str, str]] = []
        self._root = Path()
        self._changed: set[tuple[str, str]] = set()
        self._hurry = threading.Event()
        self._moto: Wsgi = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self, threaded=True, request_handler=_Quiet)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "credentials").write_text(KEYS)
        (folder / "config").write_text("")
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._server.server_port}",
            "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
            "AWS_CONFIG_FILE": str(folder / "config"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
            **dict.fromkeys(PROXIES, ""),
        }

    @property
    def client(self) -> Any:
        """For changing what the store holds."""
        return boto3.client(
            "s3", endpoint_url=self.environment["AWS_ENDPOINT_URL"], region_name="us-east-1",
            aws_access_key_id="test", aws_secret_access_key="test",
        )  # fmt: skip

    def fill(self, root: Path) -> None:
        """Put `{root}/{bucket}/{key}` into buckets."""
        self._root = root
        for bucket in sorted(folder for folder in root.iterdir() if folder.is_dir()):
            self.client.create_bucket(Bucket=bucket.name)
            for file in sorted(path for path in bucket.rglob("*") if path.is_file()):
                self.put(bucket.name, str(file.relative_to(bucket)), file.read_bytes())
        self._changed.clear()

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Put or replace one object."""
        self._changed.add((bucket, key))
        self.client.put_object(Bucket=bucket, Key=key, Body=content)

    def remove(self, bucket: str, key: str) -> None:
        """Delete one object."""
        self._changed.add((bucket, key))
        self.client.delete_object(Bucket=bucket, Key=key)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """One request: a fault, or moto's answer."""
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        environ["PATH_INFO"] = f"/{self._prefix}{path[1:]}"
        self.requests.append((method, path))
        if method in ("PUT", "DELETE"):
            return self._moto(environ, start_response)
        if self.faults.html:
            start_response("200 OK", [("Content-Type", "text/html"), ("ETag", '"x"')])
            return [b"<html>please log in</html>"]
        for text, (status, code) in self.faults.refuse.items():
            if text in path:
                start_response(f"{status} refused", [("Content-Type", "application/xml")])
                body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>"
                return [] if method == "HEAD" else [body.encode()]
        answer = self._moto(environ, start_response)
        return self._slow_or_cut(answer) if path.endswith(self.faults.cut_suffix) and method == "GET" else answer

    def _slow_or_cut(self, answer: Iterable[bytes]) -> Iterator[bytes]:
        body = b"".join(answer)
        end = len(body)
        if self.faults.cut_after_bytes is not None and self.faults.cuts:
            self.faults.cuts -= 1
            end = min(self.faults.cut_after_bytes, end)
        piece_bytes = SLOW_PIECE_BYTES if self.faults.piece_delay_s else max(end, 1)
        for start in range(0, end, piece_bytes):
            self._hurry.wait(self.faults.piece_delay_s)
            yield body[start : min(start + piece_bytes, end)]
        if end < len(body):
            raise ConnectionAbortedError

    def mend(self) -> None:
        """No faults any more; keys and objects as they were."""
        self.faults = Faults()
        self._hurry.set()
        self._hurry = threading.Event()
        Path(self.environment["AWS_SHARED_CREDENTIALS_FILE"]).write_text(KEYS)
        for bucket, key in sorted(self._changed):
            file = self._root / bucket / key
            if file.is_file():
                self.put(bucket, key, file.read_bytes())
            else:
                self.remove(bucket, key)
        self._changed.clear()

    def stop(self) -> None:
        """Give the port back and forget what was stored."""
        self._hurry.set()
        self._server.shutdown()
        self._server.server_close()
        buckets = get_backend("s3")["123456789012"]["aws"].buckets
        for name in [name for name in buckets if name.startswith(self._prefix)]:
            del buckets[name]


@contextlib.contextmanager
def serve(root: Path, folder: Path | None = None) -> Iterator[dict[str, str]]:
    """Serve `{root}/{bucket}/{key}`; gives the environment for the client and for boto3."""
    with running(root, folder) as server:
        yield server.environment


@contextlib.contextmanager
def running(root: Path, folder: Path | None = None) -> Iterator[S3Server]:
    """As `serve`, with the server itself, for faults and for a look at the requests."""
    with tempfile.TemporaryDirectory() as own:
        server = S3Server(folder or Path(own))
        try:
            server.fill(root)
            yield server
        finally:
            server.stop()
