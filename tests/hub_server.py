"""A small Hugging Face hub on the loopback interface: the real client's URLs, headers and errors, and faults on demand.

Serves folders as repositories. Large files are redirected to a second port, which stands for the storage host with its
signed links. Every request and every byte sent is counted.
"""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LARGE_SUFFIXES = (".tar", ".safetensors", ".bin")
"""Files that the hub keeps in large-file storage, named by their SHA-256."""
PIECE_BYTES = 64 * 1024


@dataclass
class Request:
    """What one request looked like."""

    host: str
    """`hub` or `storage`."""
    method: str
    path: str
    range: str | None
    authorization: str | None


@dataclass
class Faults:
    """What goes wrong; counts go down with each use, -1 stays."""

    statuses: list[int] = field(default_factory=list)
    """Answers for the next requests, whatever they ask."""
    no_ranges: bool = False
    cut_after_bytes: int = 0
    cuts: int = 0
    """Bodies of large files that end after `cut_after_bytes`, with a broken connection."""
    stalls: int = 0
    """Large-file answers that fall silent after `cut_after_bytes`."""
    links_refused: int = 0
    """Storage requests answered 403."""
    link_uses: int = -1
    """How often one signed link works."""
    listed_size_delta: int = 0
    """What the listing says too much."""
    served_delta: int = 0
    """What HEAD and the ranges say too much."""
    damage: bool = False
    """One flipped bit in every large body."""
    html: bool = False
    """Everything is answered with a login page, as captive networks do."""
    bytes_per_s: float = 0.0
    """Speed limit of large bodies; 0: none."""


class HubServer:
    """Context manager; `endpoint` is what HF_ENDPOINT should be.

    Args:
        datasets, models: repository id → folder.
        tokens: token → whether its owner accepted the terms; None: everything is public.
        page_entries: lines of one listing page.
    """

    def __init__(
        self,
        datasets: dict[str, Path] | None = None,
        models: dict[str, Path] | None = None,
        *,
        tokens: dict[str, bool] | None = None,
        page_entries: int = 1000,
    ) -> None:
        self.repos = {("datasets", name): folder for name, folder in (datasets or {}).items()}
        self.repos |= {("models", name): folder for name, folder in (models or {}).items()}
        self.tokens, self.page_entries, self.faults = tokens, page_entries, Faults()
        self.requests: list[Request] = []
        self.bytes_sent = self.bytes_received = 0
        self.lock, self.stopping = threading.Lock(), threading.Event()
        self.links: dict[str, tuple[Path, int]] = {}
        self._digests: dict[tuple[Path, int, int], tuple[str, str]] = {}
        self._servers: list[_Server] = []

    def __enter__(self) -> HubServer:
        for host in ("hub", "storage"):
            server = _Server(("127.0.0.1", 0), _Handler)
            server.host, server.owner = host, self
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
            self._servers.append(server)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stopping.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._servers[0].server_port}"

    @property
    def storage(self) -> str:
        return f"http://127.0.0.1:{self._servers[1].server_port}"

    def reset(self) -> None:
        """Forget requests and byte counts, and mend all faults."""
        self.requests, self.bytes_sent, self.bytes_received, self.faults = [], 0, 0, Faults()

    def take(self, fault: str) -> bool:
        """Use up one of a counted fault."""
        with self.lock:
            left = getattr(self.faults, fault)
            if left > 0:
                setattr(self.faults, fault, left - 1)
            return left != 0

    def digests(self, file: Path) -> tuple[str, str]:
        """Git blob id and SHA-256."""
        status = file.stat()
        key = (file, status.st_size, status.st_mtime_ns)
        if key not in self._digests:
            data = file.read_bytes()
            blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            self._digests[key] = (blob, hashlib.sha256(data).hexdigest())
        return self._digests[key]

    def commit(self, folder: Path) -> str:
        """Changes with any file of the repository."""
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        lines = [f"{path.relative_to(folder)} {self.digests(path)[0]}" for path in files]
        return hashlib.sha1("\n".join(lines).encode()).hexdigest()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    host: str
    owner: HubServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests."""


class _Counting:
    def __init__(self, raw: Any, owner: HubServer) -> None:
        self.raw, self.owner = raw, owner

    def write(self, data: bytes) -> int:
        self.raw.write(data)
        with self.owner.lock:
            self.owner.bytes_sent += len(data)
        return len(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        self.owner = self.server.owner
        self.wfile = _Counting(self.wfile, self.owner)  # type: ignore[assignment]

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: requests are kept in `HubServer.requests`."""

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        authorization = self.headers.get("Authorization")
        with self.owner.lock:
            self.owner.requests.append(
                Request(self.server.host, self.command, self.path, self.headers.get("Range"), authorization)
            )
            self.owner.bytes_received += len(self.raw_requestline) + len(bytes(self.headers))
            status = self.owner.faults.statuses.pop(0) if self.owner.faults.statuses else 0
        if status:
            self.send(status, {"Retry-After": "0"})
        elif self.owner.faults.html:
            self.send(200, {"Content-Type": "text/html"}, b"<html>please log in</html>")
        elif self.server.host == "storage":
            self.answer_storage()
        else:
            self.answer_hub(authorization)

    def answer_hub(self, authorization: str | None) -> None:
        url = urlsplit(self.path)
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        api = parts[0] == "api"
        parts = parts[1:] if api else parts
        kind = parts.pop(0) if parts and parts[0] in ("datasets", "models") else "models"
        repo, rest = "/".join(parts[:2]), parts[2:]
        folder = self.owner.repos.get((kind, repo))
        if folder is None:
            known = self.owner.tokens is None or authorization
            self.refuse(404 if known else 401, "RepoNotFound", "Repository not found")
            return
        if self.owner.tokens is not None:
            accepted = self.owner.tokens.get((authorization or "").removeprefix("Bearer "))
            if authorization and accepted is None:
                self.refuse(401, "", "Invalid credentials in Authorization header")
                return
            if not accepted:
                self.refuse(403 if authorization else 401, "GatedRepo", "Access to this data set is restricted")
                return
        commit = self.owner.commit(folder)
        revision = rest[1] if len(rest) > 1 else "main"
        if revision not in ("main", commit):
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        if api and rest[:1] == ["tree"]:
            self.answer_tree(folder, "/".join(rest[2:]), parse_qs(url.query), commit)
            return
        if api:
            files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
            info = {"id": repo, "sha": commit}
            if "expand" not in parse_qs(url.query):
                info |= {"siblings": [{"rfilename": name} for name in files]}
            self.send_json(info)
            return
        self.answer_file(folder, folder / "/".join(rest[2:]), commit)

    def answer_tree(self, folder: Path, path: str, query: dict[str, list[str]], commit: str) -> None:
        top = folder / path
        if not top.is_dir():
            self.refuse(404, "EntryNotFound", f"{path} does not exist", commit)
            return
        deep = query.get("recursive", ["false"])[0].lower() == "true"
        entries = []
        for item in sorted(top.rglob("*") if deep else top.iterdir()):
            name = str(item.relative_to(folder))
            if item.is_dir():
                entries.append({"type": "directory", "path": name, "oid": "0" * 40, "size": 0})
                continue
            blob, sha256 = self.owner.digests(item)
            size = item.stat().st_size + self.owner.faults.listed_size_delta
            entry: dict[str, Any] = {"type": "file", "path": name, "oid": blob, "size": size}
            if name.endswith(LARGE_SUFFIXES):
                entry["lfs"] = {"oid": sha256, "size": size, "pointerSize": 134}
            entries.append(entry)
        start = int(query.get("cursor", ["0"])[0])
        stop = start + self.owner.page_entries
        headers = {}
        if stop < len(entries):
            address = f"{self.owner.endpoint}{urlsplit(self.path).path}?recursive={str(deep).lower()}&cursor={stop}"
            headers["Link"] = f'<{address}>; rel="next"'
        self.send_json(entries[start:stop], headers)

    def answer_file(self, folder: Path, file: Path, commit: str) -> None:
        if not file.is_file() or folder not in file.parents:
            self.refuse(404, "EntryNotFound", "Entry not found", commit)
            return
        blob, sha256 = self.owner.digests(file)
        if not file.name.endswith(LARGE_SUFFIXES):
            self.send_file(file, {"X-Repo-Commit": commit, "ETag": f'"{blob}"'})
            return
        with self.owner.lock:
            link = f"/signed/{len(self.owner.links)}"
            self.owner.links[link] = (file, self.owner.faults.link_uses)
        headers = {
            "X-Repo-Commit": commit,
            "X-Linked-Etag": f'"{sha256}"',
            "X-Linked-Size": str(file.stat().st_size + self.owner.faults.served_delta),
            "Location": f"{self.owner.storage}{link}?Signature=secret",
        }
        self.send(302, headers)

    def answer_storage(self) -> None:
        link = urlsplit(self.path).path
        with self.owner.lock:
            file, uses = self.owner.links.get(link, (None, 0))
            if file and uses > 0:
                self.owner.links[link] = (file, uses - 1)
        if file is None or uses == 0 or self.owner.take("links_refused"):
            self.send(403, {}, b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>")
            return
        self.send_file(file, {"ETag": f'"{self.owner.digests(file)[1]}"'})

    def send_file(self, file: Path, headers: dict[str, str]) -> None:
        faults = self.owner.faults
        size = file.stat().st_size
        start, stop, status = 0, size, 200
        wanted = self.headers.get("Range", "")
        if wanted.startswith("bytes=") and not faults.no_ranges:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, stop, status = int(first), min(size, int(last or size - 1) + 1), 206
            if start >= size:
                self.send(416, {"Content-Range": f"bytes */{size}"})
                return
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size + faults.served_delta}"
        self.begin(status, {**headers, "Content-Length": str(stop - start)})
        if self.command == "HEAD":
            return
        large = file.name.endswith(LARGE_SUFFIXES)
        limit = stop
        stall = large and self.owner.take("stalls")
        if stall or (large and self.owner.take("cuts")):
            limit = min(stop, start + faults.cut_after_bytes)
        with file.open("rb") as source:
            source.seek(start)
            for at in range(start, limit, PIECE_BYTES):
                piece = source.read(min(PIECE_BYTES, limit - at))
                if faults.damage and large and at == start:
                    piece = bytes([piece[0] ^ 1]) + piece[1:]
                self.wfile.write(piece)
                if faults.bytes_per_s and large:
                    time.sleep(len(piece) / faults.bytes_per_s)
        if stall and limit < stop:
            self.owner.stopping.wait(30)
        if limit < stop:
            self.close_connection = True

    def begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def send(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.begin(status, {**headers, "Content-Length": str(len(body))})
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_json(self, value: Any, headers: dict[str, str] | None = None) -> None:
        self.send(200, {"Content-Type": "application/json", **(headers or {})}, json.dumps(value).encode())

    def refuse(self, status: int, code: str, message: str, commit: str = "") -> None:
        headers = {"X-Error-Code": code, "X-Error-Message": message, "X-Repo-Commit": commit}
        self.send(
            status, {name: value for name, value in headers.items() if value}, json.dumps({"error": message}).encode()
        )
