"""A store on this machine, for the demo only: reads `{root}/{bucket}/{key}` out as S3 would, to anybody who asks here.

Of S3 it knows what the `egoexo` client uses: HEAD, and GET with ranges, of single objects. Signatures are ignored.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import threading
from collections.abc import Iterator
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.sax.saxutils import escape

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@contextlib.contextmanager
def serving(root: Path) -> Iterator[str]:
    """Serve a folder of buckets on a free port of the loopback interface; gives its address, for AWS_ENDPOINT_URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Answers, root.resolve()))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, root: Path, *connection: object) -> None:
        self._root = root
        super().__init__(*connection)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """One object, or a part of it."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """What is known of one object."""
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:
        """The demo's own lines say enough."""

    def _answer(self, with_body: bool) -> None:
        path = unquote(urlsplit(self.path).path).lstrip("/")
        file = (self._root / path).resolve()
        if not file.is_relative_to(self._root) or not file.is_file():
            self._refuse(HTTPStatus.NOT_FOUND, "NoSuchKey", "The specified key does not exist.", with_body)
            return
        status = file.stat()
        tag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
        if self.headers.get("If-None-Match") == tag:
            self._start(HTTPStatus.NOT_MODIFIED, {"ETag": tag})
            return
        asked = self.headers.get("Range")
        first, end = _span(asked, status.st_size)
        if first >= end and asked:
            self._refuse(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "InvalidRange", "No such range.", with_body)
            return
        headers = {
            "Content-Type": "application/json" if file.suffix == ".json" else "binary/octet-stream",
            "Content-Length": str(end - first),
            "Last-Modified": formatdate(status.st_mtime, usegmt=True),
            "ETag": tag,
            "Accept-Ranges": "bytes",
        }
        if asked:
            headers["Content-Range"] = f"bytes {first}-{end - 1}/{status.st_size}"
        self._start(HTTPStatus.PARTIAL_CONTENT if asked else HTTPStatus.OK, headers)
        if with_body:
            with file.open("rb") as stream, contextlib.suppress(ConnectionError):
                if asked:
                    stream.seek(first)
                    self.wfile.write(stream.read(end - first))
                else:
                    shutil.copyfileobj(stream, self.wfile)

    def _refuse(self, status: HTTPStatus, code: str, text: str, with_body: bool) -> None:
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{escape(text)}</Message></Error>".encode()
        self._start(status, {"Content-Type": "application/xml", "Content-Length": str(len(body))})
        if with_body:
            self.wfile.write(body)

    def _start(self, status: HTTPStatus, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def _span(asked: str | None, size_bytes: int) -> tuple[int, int]:
    """First byte and the one behind the last of a Range header; everything without one, nothing for a wrong one."""
    if asked is None:
        return 0, size_bytes
    match = _RANGE.fullmatch(asked)
    if match is None or not any(match.groups()):
        return 0, 0
    first, last = match.groups()
    if not first:
        return max(size_bytes - int(last), 0), size_bytes
    return int(first), min(int(last) + 1, size_bytes) if last else size_bytes
