"""Where the members of a plain tar lie, found by hopping from header to header.

Only headers are read, so an archive of 1 GB behind a network costs a few hundred kilobytes. The standard library parses
each 512-byte header; the walk is our own, because `tarfile` takes a damaged header in the middle for the end of the
archive and thereby loses all that follows without a word.
"""

from __future__ import annotations

import os
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pipeline.errors import PipelineError

BLOCK_BYTES = 512
READ_AHEAD_BYTES = 2048
"""One read covers the `.json` header, its body (up to 1 KiB) and the header of the next `.mp4`."""
MAX_HEADERS = 20_000
"""A shard holds about 150 members; more than this is no shard, and would be read header by header over the network."""
MAX_EXTENSION_BYTES = 65_536
"""Longest name or pax record list; real ones are below 1 KiB."""
MAX_NAME_BYTES = 200
"""What every file system takes, with room for a temporary suffix."""

_PAX_TYPES = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_BODYLESS_TYPES = (
    tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE,
)  # fmt: skip


class RandomAccess(Protocol):
    """Bytes of known number that can be read anywhere: a file here or on the hub."""

    @property
    def size_bytes(self) -> int:
        """Number of all bytes."""

    def read_at(self, start: int, stop: int) -> bytes:
        """Exactly the bytes from `start` to before `stop`."""


class LocalFile:
    """A file on this machine as RandomAccess."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = path.stat().st_size

    def read_at(self, start: int, stop: int) -> bytes:
        """Exactly the bytes from `start` to before `stop`.

        Raises:
            PipelineError: the file ends before `stop`.
        """
        with self.path.open("rb") as file:
            file.seek(start)
            data = file.read(stop - start)
        if len(data) != stop - start:
            raise PipelineError(
                f"{self.path} ends at byte {start + len(data)}, expected at least {stop}",
                "was it changed just now? run again",
            )
        return data


@dataclass(frozen=True)
class TarIndex:
    """Members of one archive, in archive order; of several with one name the last counts, as in tar."""

    members: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Name → (offset of the body, size), both in bytes."""
    refused: dict[str, str] = field(default_factory=dict)
    """Name in plain ASCII → why it is left out."""


def index_tar(source: RandomAccess, what: str, read_ahead_bytes: int = READ_AHEAD_BYTES) -> TarIndex:
    """Index all regular members without a directory part; the others are listed as refused.

    GNU long names, pax records and sizes beyond 8 GiB are understood. An archive that stops between members without
    the two closing zero blocks is accepted, as tar does.

    Args:
        source: the archive's bytes.
        what: its name, for messages.
        read_ahead_bytes: least number of bytes asked for at once.

    Raises:
        PipelineError: a header is damaged, a body reaches beyond the end, or there are absurdly many members.
    """
    return _Walk(source, what, read_ahead_bytes).run()


class _Walk:
    def __init__(self, source: RandomAccess, what: str, read_ahead_bytes: int) -> None:
        self.source, self.what, self.read_ahead_bytes = source, what, read_ahead_bytes
        self.buffer_start, self.buffer = 0, b""
        self.index = TarIndex()

    def damaged(self, position: int, why: str) -> PipelineError:
        return PipelineError(
            f"{self.what} is not a sound tar archive: at byte {position} of {self.source.size_bytes}, {why}",
            "if it lies in data/raw, delete it and download it again; else the published file itself is damaged",
        )

    def read(self, start: int, length: int) -> bytes:
        stop = start + length
        if stop > self.source.size_bytes:
            raise self.damaged(start, f"{length} bytes are expected but the archive ends before")
        if start < self.buffer_start or stop > self.buffer_start + len(self.buffer):
            end = min(self.source.size_bytes, max(stop, start + self.read_ahead_bytes))
            self.buffer_start, self.buffer = start, self.source.read_at(start, end)
        return self.buffer[start - self.buffer_start : stop - self.buffer_start]

    def run(self) -> TarIndex:
        position, number = 0, 0
        extension: dict[str, str] = {}
        while position < self.source.size_bytes:
            number += 1
            if number > MAX_HEADERS:
                raise self.damaged(position, f"there are more than {MAX_HEADERS} headers")
            try:
                header = tarfile.TarInfo.frombuf(self.read(position, BLOCK_BYTES), "utf-8", "surrogateescape")
            except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
                break
            except tarfile.HeaderError as error:
                raise self.damaged(position, f"the header is broken ({error})") from None
            size = self.size_of(header, extension, position)
            body = position + BLOCK_BYTES
            if header.type == tarfile.GNUTYPE_LONGNAME:
                extension["path"] = self.text(body, size).split("\0", 1)[0]
            elif header.type in _PAX_TYPES:
                extension |= self.pax_records(body, size)
            elif header.type == tarfile.XGLTYPE:
                if {"path", "size"} & self.pax_records(body, size).keys():
                    raise self.damaged(position, "one name or size is declared for all members")
            elif header.type != tarfile.GNUTYPE_LONGLINK:
                self.add(header, extension.get("path", header.name), body, size, sparse="GNU.sparse.major" in extension)
                extension = {}
            position = body + -(-size // BLOCK_BYTES) * BLOCK_BYTES
        if not number:
            raise self.damaged(0, "it is empty")
        return self.index

    def size_of(self, header: tarfile.TarInfo, extension: dict[str, str], position: int) -> int:
        """Bytes of body that follow the header."""
        if header.type == tarfile.GNUTYPE_SPARSE:
            raise self.damaged(position, "there is a sparse member, whose bytes are not stored in one piece")
        if header.type in _BODYLESS_TYPES:
            return 0
        extends = header.type in (*_PAX_TYPES, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
        size = header.size
        if "size" in extension and not extends:
            declared = extension["size"]
            if not (declared.isascii() and declared.isdigit() and len(declared) < 20):
                raise self.damaged(position, f"the size is declared as {declared[:30]!r}")
            size = int(declared)
        if size < 0:
            raise self.damaged(position, f"the size is negative ({size})")
        if position + BLOCK_BYTES + size > self.source.size_bytes:
            raise self.damaged(position, "a member reaches beyond the end of the archive (is it cut off?)")
        if extends and size > MAX_EXTENSION_BYTES:
            raise self.damaged(
                position, f"a name or record list of {size} bytes (at most {MAX_EXTENSION_BYTES} are read)"
            )
        return size

    def text(self, start: int, length: int) -> str:
        return self.read(start, length).decode("utf-8", "surrogateescape")

    def pax_records(self, start: int, length: int) -> dict[str, str]:
        """Records `length key=value\\n`, POSIX.1-2001."""
        records: dict[str, str] = {}
        data = self.read(start, length)
        while data and data[0]:
            number, _, _ = data.partition(b" ")
            if not (number.isdigit() and len(number) < 8 and len(number) + 3 <= int(number) <= len(data)):
                raise self.damaged(start, "a pax record has no valid length")
            record, data = data[len(number) + 1 : int(number)], data[int(number) :]
            key, equals, value = record.partition(b"=")
            if not equals or not value.endswith(b"\n"):
                raise self.damaged(start, "a pax record is not of the form key=value")
            records[key.decode("utf-8", "surrogateescape")] = value[:-1].decode("utf-8", "surrogateescape")
        return records

    def add(self, header: tarfile.TarInfo, name: str, body: int, size: int, sparse: bool) -> None:
        reason = ""
        if not header.isreg() or sparse:
            reason = "not a regular file"
        elif "/" in name or "\\" in name or name in ("", ".", ".."):
            reason = "its name has a directory part"
        elif not name.isprintable() or len(os.fsencode(name)) > MAX_NAME_BYTES:
            reason = "its name is not plain text of at most 200 bytes"
        if reason:
            self.index.refused[name.encode("ascii", "backslashreplace").decode()[:MAX_NAME_BYTES]] = reason
            return
        if self.index.members.pop(name, None):
            self.index.refused[name.encode("ascii", "backslashreplace").decode()] = "a later member has the same name"
        self.index.members[name] = (body, size)
