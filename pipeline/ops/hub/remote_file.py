"""One file of a data set on the hub, read by byte ranges and fetched so that a cut or a kill loses nothing."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urljoin

import httpx2
from huggingface_hub import get_hf_file_metadata, get_session, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined]

from pipeline.errors import PipelineError
from pipeline.ops.hub.dataset import Hub
from pipeline.ops.hub.errors import PASSING_STATUS

LINK_REFUSED = (400, 401, 403, 404, 410)
"""Answers of a storage host to a signed link that has expired."""
MAX_REDIRECTS = 5
PROGRESS_BYTES = 256 * 1024
"""A connection that brought this much counts as a success, so that long downloads outlive many cuts."""


class RangeRefused(Exception):  # noqa: N818 (not an error of the user: the caller takes the whole file in its place)
    """The server sent the whole file when asked for a part of it."""


class _LinkExpired(Exception):  # noqa: N818 (handled here, never seen)
    """The storage host no longer takes the signed link."""


class RemoteFile:
    """Bytes of one file at the hub's pinned commit.

    The hub redirects to a signed link on another host. The link is kept and used for all ranges until it expires; the
    token goes to the hub only.

    Args:
        hub: where it lies.
        path: in the repository.
        size_bytes: what the listing says; None when it is not known yet.

    Raises:
        FileNotFoundError: the repository has no such file.
        PipelineError: the hub cannot be reached or refuses, or its size differs from the listing.
    """

    def __init__(self, hub: Hub, path: str, size_bytes: int | None = None) -> None:
        self.hub, self.path = hub, path
        self.url = hf_hub_url(hub.repo, path, repo_type="dataset", revision=hub.commit, endpoint=hub.endpoint)
        self.link = self.url
        found = self._locate()
        self.size_bytes = self._same_size(found, size_bytes) if found is not None else size_bytes or 0
        if found is None and size_bytes is None:
            raise PipelineError(
                f"{hub.endpoint} does not tell the size of {path}", "check HF_ENDPOINT and the proxy settings"
            )

    def read_at(self, start: int, stop: int) -> bytes:
        """Exactly the bytes from `start` to before `stop`.

        Raises:
            RangeRefused: the server only sends whole files.
            PipelineError: as for `stream`.
        """
        return b"".join(self.stream(start, stop))

    def read_all(self) -> bytes:
        """The whole of a small file, from any server.

        Raises:
            PipelineError: as for `stream`.
        """
        for _ in range(self.hub.patience.attempts + 1):
            try:
                return self.read_at(0, self.size_bytes)
            except RangeRefused:  # cut half-way, and no going on without ranges
                continue
        raise self.hub.explain(httpx2.RemoteProtocolError("cut"), self.path)

    def stream(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from `start` to before `stop` in pieces, going on where a cut connection ended.

        Raises:
            RangeRefused: the server only sends whole files.
            PipelineError: cuts, refusals or silence that last.
        """
        position, last_success, failures = start, start, 0
        while position < stop:
            response: httpx2.Response | None = None
            try:
                for piece in self._request(position, stop):
                    position += len(piece)
                    yield piece
                if position < stop:
                    raise httpx2.RemoteProtocolError("the body ended early")
            except (httpx2.TransportError, HfHubHTTPError, _LinkExpired) as error:
                if position - last_success >= PROGRESS_BYTES:
                    failures, last_success = 0, position
                failures += 1
                response = error.response if isinstance(error, HfHubHTTPError) else None
                if response is not None and response.status_code not in PASSING_STATUS:
                    raise self.hub.explain(error, self.path) from None
                if failures > self.hub.patience.attempts:
                    raise self._give_up(error) from None
                if isinstance(error, _LinkExpired):
                    self._locate()
                if failures > 1 or not isinstance(error, _LinkExpired):
                    self.hub.patience.wait(failures, response)

    def fetch(self, start: int, stop: int, partial: Path, advance: Callable[[float], None]) -> None:
        """Bring the bytes from `start` to before `stop` into a file, going on from what it already holds.

        Args:
            partial: kept when this fails or is killed; its name must stand for these very bytes (see `partial_name`),
                and nobody else may write to it meanwhile.
            advance: told how many bytes came; negative when a server without ranges makes it begin anew.

        Raises:
            RangeRefused: only a part is wanted and the server only sends whole files.
            PipelineError: cuts, refusals or silence that last; disk full.
        """
        partial.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("ab") as file:
                self._fill(file, start, stop, advance)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise self._disk_full(partial, stop - start) from None

    def _fill(self, file: BinaryIO, start: int, stop: int, advance: Callable[[float], None]) -> None:
        have = os.fstat(file.fileno()).st_size
        if have > stop - start:
            file.truncate(0)
            have = 0
        if shutil.disk_usage(Path(file.name).parent).free < stop - start - have:
            raise self._disk_full(Path(file.name), stop - start - have)
        advance(have)
        for _ in range(self.hub.patience.attempts + 1):
            try:
                for piece in self.stream(start + have, stop):
                    file.write(piece)
                    have += len(piece)
                    advance(len(piece))
                return
            except RangeRefused:
                if (start, stop) != (0, self.size_bytes):
                    raise
                file.truncate(0)
                advance(-have)
                have = 0
        raise self.hub.explain(httpx2.RemoteProtocolError("cut"), self.path)

    def _request(self, position: int, stop: int) -> Iterator[bytes]:
        """One GET; yields at most `stop - position` bytes."""
        headers = self._headers(self.link)
        if (position, stop) != (0, self.size_bytes):
            headers["Range"] = f"bytes={position}-{stop - 1}"
        for _ in range(MAX_REDIRECTS):
            on_hub = self._on_hub(self.link)
            with get_session().stream(
                "GET", self.link, headers=headers, timeout=self.hub.patience.timeout_s, follow_redirects=False
            ) as response:
                if response.has_redirect_location:
                    self.link = urljoin(self.link, response.headers["Location"])
                    headers = {**self._headers(self.link), **{key: headers[key] for key in headers if key == "Range"}}
                    continue
                if not on_hub and response.status_code in LINK_REFUSED:
                    raise _LinkExpired
                if response.status_code == 416:
                    raise self._wrong_size("fewer", self.size_bytes)
                hf_raise_for_status(response)
                self._check_answer(response, position, "Range" in headers)
                left = stop - position
                for piece in response.iter_raw():  # with a piece size it would hold back, and lose, what a cut leaves
                    yield piece[:left]
                    left -= len(piece)
                    if left <= 0:
                        return
            return
        raise PipelineError(
            f"{self.path} is redirected more than {MAX_REDIRECTS} times", "check HF_ENDPOINT and the proxy settings"
        )

    def _check_answer(self, response: httpx2.Response, position: int, ranged: bool) -> None:
        said = response.headers.get("Content-Length", "")
        if ranged:
            span, _, said = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
            if response.status_code != 206 or span.partition("-")[0] != str(position):
                raise RangeRefused  # the whole, or another part than asked for, which is of no use either
        if said.isdigit():
            self._same_size(int(said), self.size_bytes)

    def _locate(self) -> int | None:
        """Ask the hub for a fresh link; returns the size it tells, if any."""
        found = self.hub.ask(
            lambda: get_hf_file_metadata(
                self.url, token=self.hub.token or False, timeout=self.hub.patience.timeout_s, endpoint=self.hub.endpoint
            ),
            self.path,
        )
        self.link = urljoin(self.url, found.location)
        return found.size

    def _on_hub(self, url: str) -> bool:
        return httpx2.URL(url).origin == httpx2.URL(self.hub.endpoint).origin

    def _headers(self, url: str) -> dict[str, str]:
        headers = self.hub.headers()
        if not self._on_hub(url):
            headers = {key: value for key, value in headers.items() if key.lower() != "authorization"}
        return headers

    def _same_size(self, found: int, expected: int | None) -> int:
        if expected is not None and found != expected:
            raise self._wrong_size(str(found), expected)
        return found

    def _wrong_size(self, found: str, expected: int) -> PipelineError:
        return PipelineError(
            f"{self.path} has {found} bytes on the server, expected {expected}",
            "run again; if it stays so, the server (HF_ENDPOINT) or a proxy between is at fault",
        )

    def _give_up(self, error: Exception) -> PipelineError:
        if isinstance(error, _LinkExpired):
            return PipelineError(
                f"the storage host refused {self.path} {self.hub.patience.attempts + 1} times, despite fresh links",
                "check this machine's clock (signed links expire) and any proxy, and run again",
            )
        return self.hub.explain(error, self.path)

    def _disk_full(self, partial: Path, needed: int) -> PipelineError:
        free = shutil.disk_usage(partial.parent).free
        return PipelineError(
            f"the disk of {partial.parent} has {free / 1e6:.1f} MB free, {self.path} needs {needed / 1e6:.1f} MB",
            "free some space, or set DATA= to a folder on another disk; what has arrived is kept",
        )


def partial_name(name: str, etag: str, start: int = 0) -> str:
    """Name of an unfinished file that stands for these very bytes, so that two revisions are never mixed."""
    plain = "".join(sign for sign in etag if sign.isascii() and sign.isalnum())
    return f".{name}.{start}-{plain[:64]}.partial"
