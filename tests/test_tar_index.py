"""The archive walk against the standard library, and against archives made to harm."""

from __future__ import annotations

import io
import random
import tarfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.errors import PipelineError
from pipeline.ops.hub.tar_index import MAX_HEADERS, LocalFile, TarIndex, index_tar
from tests.shard_maker import clip_name, members_of, write_tar


class Bytes:
    """Bytes as RandomAccess; counts what is read."""

    def __init__(self, data: bytes) -> None:
        self.data, self.size_bytes, self.read_bytes, self.reads = data, len(data), 0, 0

    def read_at(self, start: int, stop: int) -> bytes:
        assert 0 <= start < stop <= self.size_bytes
        self.read_bytes, self.reads = self.read_bytes + stop - start, self.reads + 1
        return self.data[start:stop]


def tar_of(members: list[tuple[str, bytes]], form: int = tarfile.USTAR_FORMAT, **fields: object) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in fields.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def index_of(data: bytes) -> TarIndex:
    return index_tar(Bytes(data), "test.tar")


def library_index(data: bytes) -> dict[str, tuple[int, int]]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        found: dict[str, tuple[int, int]] = {}
        for member in tar:
            if member.isreg() and "/" not in member.name:
                found.pop(member.name, None)
                found[member.name] = (member.offset_data, member.size)
        return found


@pytest.mark.parametrize("layout", ["100K", "10K"])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_equals_the_standard_library(tmp_path: Path, layout: str, form: int) -> None:
    path = tmp_path / "part000.tar"
    rng = random.Random(1)
    clips = [clip_name(layout, index) for index in range(20)]
    held = write_tar(path, members_of(clips, lambda number: rng.randrange(0, 3000)), form)
    index = index_tar(LocalFile(path), path.name)
    assert list(index.members.items()) == list(library_index(path.read_bytes()).items())
    assert list(index.members) == list(held)
    data = path.read_bytes()
    assert {name: data[start : start + size] for name, (start, size) in index.members.items()} == held
    assert not index.refused


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names(form: int) -> None:
    members = [(f"{'x' * length}.mp4", bytes(length)) for length in (90, 100, 101, 150, 195)] + [("größe.json", b"1")]
    data = tar_of(members, form)
    assert index_of(data).members == library_index(data)
    assert list(index_of(data).members) == [name for name, _ in members]


def test_few_bytes_are_read() -> None:
    clips = [clip_name("100K", index) for index in range(77)]
    source = Bytes(tar_of(list(members_of(clips, 100_000))))
    assert len(index_tar(source, "test.tar").members) == 154
    assert source.reads <= 80
    assert source.read_bytes <= 80 * 4096


@pytest.mark.parametrize(
    "name", ["a/b.mp4", "../b.mp4", "/etc/passwd", "./b.mp4", "..", "a\\b.mp4", "a\nb.mp4", "x" * 201]
)
def test_unsafe_names_are_refused(name: str) -> None:
    index = index_of(tar_of([(name, b"bad"), ("good.mp4", b"good")], tarfile.PAX_FORMAT))
    assert list(index.members) == ["good.mp4"]
    assert len(index.refused) == 1


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, b"7", b"Z"]
)
def test_only_regular_files_are_taken(kind: bytes) -> None:
    odd = tar_of([("a.mp4", b"")], type=kind, linkname="/etc/passwd")[:512]
    index = index_of(odd + tar_of([("good.mp4", b"good")]))
    contiguous = kind == tarfile.CONTTYPE  # an old kind of regular file
    assert list(index.members) == (["a.mp4"] if contiguous else []) + ["good.mp4"]
    assert index.refused == ({} if contiguous else {"a.mp4": "not a regular file"})


def test_of_two_with_one_name_the_last_counts() -> None:
    data = tar_of([("a.mp4", b"old"), ("b.mp4", b"b"), ("a.mp4", b"newer")])
    index = index_of(data)
    assert index.members == library_index(data)
    assert list(index.members) == ["b.mp4", "a.mp4"]
    assert index.refused == {"a.mp4": "a later member has the same name"}


def with_size(header: bytes, field: bytes) -> bytes:
    """A header with another size field and the right checksum."""
    changed = header[:124] + field.ljust(12, b"\0") + header[136:148] + b" " * 8 + header[156:]
    return changed[:148] + b"%06o\0 " % sum(changed) + changed[156:]


@pytest.mark.parametrize(
    ("field", "words"),
    [
        (b"77777777777", "beyond the end"),
        (b"\x80" + b"\xff" * 11, "beyond the end"),
        (b"\xff" * 12, "negative"),
        (b"\xff" * 11 + b"\x00", "negative"),
        (b"notanumber", "broken"),
    ],
)
def test_impossible_sizes(field: bytes, words: str) -> None:
    data = tar_of([("a.mp4", b"x" * 1000), ("b.mp4", b"")])
    with pytest.raises(PipelineError, match=words):
        index_of(with_size(data[:512], field) + data[512:])


def test_sizes_in_base_256() -> None:
    data = tar_of([("a.mp4", b"x" * 1000), ("b.mp4", b"yy")])
    changed = with_size(data[:512], b"\x80" + (1000).to_bytes(11, "big")) + data[512:]
    assert index_of(changed).members == {"a.mp4": (512, 1000), "b.mp4": (2048, 2)}


def test_a_damaged_header_in_the_middle_is_no_end() -> None:
    data = bytearray(tar_of([("a.mp4", b"x" * 1000), ("b.mp4", b"yy")]))
    data[1536] ^= 1
    assert list(library_index(bytes(data))) == ["a.mp4"]  # what the standard library makes of it
    with pytest.raises(PipelineError, match=r"at byte 1536 .* the header is broken"):
        index_of(bytes(data))


def test_every_truncation_is_found_or_whole() -> None:
    data = tar_of([("a.mp4", b"x" * 700), ("b.mp4", b"yy")])
    for length in range(3073):
        # Header, 700 bytes, padding to 1536; header, 2 bytes, padding to 2560; zero blocks.
        if 1212 <= length <= 1536 or 2050 <= length <= 2560 or length == 3072:
            assert list(index_of(data[:length]).members) == ["a.mp4", "b.mp4"][: 1 if length <= 1536 else 2]
        else:
            with pytest.raises(PipelineError, match="not a sound tar"):
                index_of(data[:length])


def pax(records: bytes) -> bytes:
    header = tar_of([("pax", records)], type=tarfile.XHDTYPE)
    return header[: 512 + -(-len(records) // 512) * 512]


@pytest.mark.parametrize(
    ("records", "words"),
    [
        (b"15 size=-99999\n", "declared as"),
        (b"99 size=1\n", "no valid length"),
        (b"0 size=1\n", "no valid length"),
        (b"x", "no valid length"),
        (b"-8 size=1\n", "no valid length"),
        (b"9 size 12", "not of the form"),
        (b"34 size=9999999999999999999999999\n", "declared as"),
        (b"24 size=999999999999999\n", "beyond the end"),
    ],
)
def test_hostile_pax_records(records: bytes, words: str) -> None:
    with pytest.raises(PipelineError, match=words):
        index_of(pax(records) + tar_of([("a.mp4", b"x")]))


def test_global_names_and_sizes_are_refused() -> None:
    data = tar_of([("pax", b"14 path=a.mp4\n")], type=tarfile.XGLTYPE)[:1024]
    with pytest.raises(PipelineError, match="for all members"):
        index_of(data + tar_of([("b.mp4", b"x")]))
    harmless = tar_of([("pax", b"18 comment=a hash\n")], type=tarfile.XGLTYPE)[:1024]
    assert list(index_of(harmless + tar_of([("b.mp4", b"x")])).members) == ["b.mp4"]


def test_sparse_members_are_refused() -> None:
    with pytest.raises(PipelineError, match="sparse"):
        index_of(tar_of([("a.mp4", b"x")], type=tarfile.GNUTYPE_SPARSE))


def test_absurdly_many_members() -> None:
    header = tar_of([("a.mp4", b"")])[:512]
    with pytest.raises(PipelineError, match=f"more than {MAX_HEADERS}"):
        index_of(header * (MAX_HEADERS + 1))


def test_not_a_tar(tmp_path: Path) -> None:
    for content in (b"", b"<html>" * 500, b"PK\x03\x04" + bytes(600)):
        with pytest.raises(PipelineError, match="not a sound tar"):
            index_of(content)


BASE = tar_of([("a.mp4", b"x" * 600), ("b" * 120, b"y"), ("c.json", b"{}")], tarfile.GNU_FORMAT)
PAX = tar_of([("a" * 120, b"x" * 600), ("größe", b"y")], tarfile.PAX_FORMAT)


@settings(max_examples=400, deadline=2000)
@given(
    base=st.sampled_from([BASE, PAX]),
    changes=st.lists(st.tuples(st.integers(0, 6000), st.binary(min_size=1, max_size=16)), max_size=6),
    cut=st.integers(0, 12_000),
    mend=st.booleans(),
)
@example(base=BASE, changes=[(124, b"\xff" * 12)], cut=12_000, mend=True)
def test_changed_bytes_never_crash_or_hang(base: bytes, changes: list[tuple[int, bytes]], cut: int, mend: bool) -> None:
    data = bytearray(base)
    for position, content in changes:
        data[position : position + len(content)] = content[: max(0, len(data) - position)]
    data = data[:cut]
    if mend:  # right checksums let the changes through to what is behind
        for start in range(0, len(data) - 511, 512):
            data[start + 148 : start + 156] = b" " * 8
            data[start + 148 : start + 156] = b"%06o\0 " % sum(data[start : start + 512])
    source = Bytes(bytes(data))
    try:
        index = index_tar(source, "test.tar")
    except PipelineError:
        return
    for name, (start, size) in index.members.items():
        assert start >= 512 and start + size <= len(data)
        assert "/" not in name and name not in ("", ".", "..")
    assert source.reads <= 100


@settings(max_examples=200, deadline=2000)
@given(st.binary(max_size=3000))
def test_any_bytes(data: bytes) -> None:
    try:
        index_of(data)
    except PipelineError:
        return
