"""`probe`: what a file holds, and one clear error for everything that is no video."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import PipelineError
from pipeline.ops.video.nal import TEMPORAL_SHIFT, Kind, NalFormat, picture_kind
from pipeline.ops.video.packet_table import NO_TIME
from pipeline.ops.video.packets import scan
from pipeline.ops.video.probe import describe, probe
from tests.videos import Recipe, encode, overwrite_packet


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(Recipe("video"), tmp_path_factory.mktemp("video") / "video.mp4")


def test_facts_of_a_regular_video(video: Path) -> None:
    facts = probe(video)
    assert (facts.codec, facts.size_wh, facts.pixel_format) == ("hevc", (192, 128), "yuv420p")
    assert (facts.frames, facts.declared_frames, facts.keyframes) == (90, 90, 3)
    assert (facts.time_base, facts.start_s, facts.duration_s) == (Fraction(1, 15360), 0.0, 3.0)
    assert facts.average_fps == pytest.approx(30) and facts.keyframe_interval_s == pytest.approx(1)
    assert not facts.variable_frame_rate and not facts.truncated and facts.gaps_s == () and facts.read_errors == ()
    assert facts.packets_without_time == facts.packets_damaged == facts.packets_hidden == facts.repeated_times == 0


def test_start_and_duration_count_from_the_first_shown_frame(tmp_path: Path) -> None:
    late = probe(encode(Recipe("late", shift=3 * 15360), tmp_path / "late.mp4"))
    assert (late.start_s, late.duration_s) == (3.0, 3.0)
    hidden = (("avoid_negative_ts", "disabled"),)
    edited = probe(encode(Recipe("edited", shift=-512 * 10, container=hidden), tmp_path / "edited.mp4"))
    assert (edited.frames, edited.packets_hidden) == (80, 10)
    assert edited.duration_s == pytest.approx(80 / 30)


def test_uneven_steps_and_gaps_are_seen(tmp_path: Path) -> None:
    steps = [512] * 20 + [768] * 10 + [15360 * 4] + [512] * 10
    facts = probe(encode(Recipe("uneven", pts=tuple(np.cumsum([0, *steps]).tolist())), tmp_path / "uneven.mp4"))
    assert facts.variable_frame_rate and facts.frames == 42
    begin_s = (20 * 512 + 10 * 768) / 15360
    assert facts.gaps_s == ((pytest.approx(begin_s), pytest.approx(begin_s + 4)),)


def test_milliseconds_are_no_variable_frame_rate(tmp_path: Path) -> None:
    """Matroska rounds 1/30 s to 33 or 34 ms."""
    regular = Recipe("video", suffix="mkv", time_base=Fraction(1, 15360))
    facts = probe(encode(regular, tmp_path / "video.mkv"))
    assert facts.time_base == Fraction(1, 1000) and not facts.variable_frame_rate


def test_a_cut_or_overwritten_file_is_told_apart(tmp_path: Path) -> None:
    path = encode(Recipe("video", container=(("movflags", "faststart"),)), tmp_path / "video.mp4")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4])
    cut = probe(path)
    assert cut.truncated and cut.packets_damaged == 1 and cut.frames < cut.declared_frames == 90
    path.write_bytes(content)
    overwrite_packet(path, 7, lambda packet: packet.__setitem__(slice(None), bytes(len(packet))))
    overwritten = probe(path)
    assert not overwritten.truncated and overwritten.packets_damaged == 1 and overwritten.frames == 90


def test_missing_and_repeated_times_are_counted(video: Path) -> None:
    table = scan(video)
    pts = table.pts.copy()
    pts[table.shown[10]] = NO_TIME
    pts[table.shown[20]] = pts[table.shown[21]]
    facts = describe(replace(table, pts=pts))
    assert (facts.packets_without_time, facts.repeated_times, facts.frames) == (1, 1, 89)


def test_the_second_stream_and_a_cover_picture_do_not_matter(video: Path, tmp_path: Path) -> None:
    path = tmp_path / "with_sound.mp4"
    with av.open(str(video)) as source, av.open(str(path), "w") as output:
        sound = output.add_stream("aac", rate=16000)
        pictures = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = pictures
                output.mux(packet)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        output.mux([*sound.encode(frame), *sound.encode(None)])
    assert replace(probe(path), read_errors=()) == probe(video)


def test_what_is_no_video_is_one_clear_error(tmp_path: Path, video: Path) -> None:
    def write(name: str, content: bytes) -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    content = video.read_bytes()
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{video}\n#EXT-X-ENDLIST\n".encode()
    cases = {
        "does not exist": tmp_path / "nowhere.mp4",
        "is not a file": tmp_path,
        "is empty": write("empty.mp4", b""),
        "cannot be opened": write("text.mp4", b"no video at all\n" * 50),
        "be opened as a video": write("noise.mp4", np.random.default_rng(0).bytes(5000)),
        "opened as a video": write("head.mp4", content[:1000]),
        "opened as": write("list.m3u8", playlist),
    }
    for problem, path in cases.items():
        with pytest.raises(PipelineError, match=problem) as caught:
            probe(path)
        assert str(path) in caught.value.problem and caught.value.fix


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "sound.mp4"), "w") as output:
        sound = output.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        output.mux([*sound.encode(frame), *sound.encode(None)])
    with pytest.raises(PipelineError, match="no video stream"):
        probe(tmp_path / "sound.mp4")


def test_a_bare_stream_without_times_is_refused(tmp_path: Path) -> None:
    bare = Recipe("bare", suffix="hevc", frames=10)
    with pytest.raises(PipelineError, match="none with a timestamp"):
        probe(encode(bare, tmp_path / "bare.hevc"))


def test_a_giant_picture_is_refused(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.ops.video.packets.MAX_PIXELS", 192 * 128 - 1)
    with pytest.raises(PipelineError, match="192×128"):
        probe(video)


def test_only_the_highest_temporal_layer_may_be_left_out(video: Path) -> None:
    """Pictures of a higher layer may be predicted from a "non-reference" picture of a lower one."""
    table = scan(video)
    kind = np.zeros_like(table.kind)
    kind[3], kind[4], kind[5] = Kind.NON_REFERENCE, Kind.NON_REFERENCE | 1 << TEMPORAL_SHIFT, 1 << TEMPORAL_SHIFT
    assert np.flatnonzero(replace(table, kind=kind).can_be_left_out).tolist() == [4]
    kind[6] = Kind.LAYERED
    assert not replace(table, kind=kind).can_be_left_out.any()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_one_clear_error(video: Path, tmp_path: Path) -> None:
    path = tmp_path / "locked.mp4"
    path.write_bytes(video.read_bytes())
    path.chmod(0)
    with pytest.raises(PipelineError, match="cannot be opened"):
        probe(path)


def with_lengths(*units: bytes) -> bytes:
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)


HEVC, AVC = NalFormat("hevc", 4), NalFormat("h264", 4)
SEI = bytes([39 << 1, 1, 5, 4])


@pytest.mark.parametrize(
    ("nal_type", "layer", "kind"),
    [
        (1, 0, Kind.NONE),
        (0, 0, Kind.NON_REFERENCE),
        (2, 1, Kind.NON_REFERENCE),
        (3, 1, Kind.NONE),
        (8, 0, Kind.NON_REFERENCE | Kind.SKIPPED_LEADING),
        (9, 0, Kind.SKIPPED_LEADING),
        (19, 0, Kind.RANDOM_ACCESS),
        (21, 0, Kind.RANDOM_ACCESS),
        (24, 0, Kind.NONE),
    ],
)
def test_kinds_of_h265_pictures(nal_type: int, layer: int, kind: Kind) -> None:
    picture = bytes([nal_type << 1, layer + 1, 0x80, 7])
    assert picture_kind(with_lengths(SEI, picture), HEVC) == kind | layer << TEMPORAL_SHIFT
    start_codes = b"\0\0\0\1" + SEI + b"\0\0\1" + picture
    assert picture_kind(start_codes, NalFormat("hevc", 0)) == kind | layer << TEMPORAL_SHIFT


def test_kinds_of_h264_pictures() -> None:
    idr, reference, other, prefix = bytes([0x65, 1]), bytes([0x41, 1]), bytes([0x01, 1]), bytes([0x6E, 1])
    assert picture_kind(with_lengths(b"\x06\x05", idr, idr), AVC) == Kind.RANDOM_ACCESS
    assert picture_kind(with_lengths(other, other), AVC) == Kind.NON_REFERENCE
    assert picture_kind(with_lengths(reference), AVC) == Kind.NONE
    assert picture_kind(with_lengths(other, reference), AVC) == Kind.NONE, "one field of two is a reference"
    assert picture_kind(with_lengths(prefix, other), AVC) == Kind.LAYERED


def test_damaged_packets_are_seen() -> None:
    picture = bytes([2, 1, 0x80, 7, 9, 9, 9, 9, 9, 9])
    whole = with_lengths(picture)
    assert picture_kind(whole, HEVC) == Kind.NONE
    padded = with_lengths(picture + bytes(3))
    assert picture_kind(padded, HEVC) == Kind.NONE, "a careless muxer's zeros after the picture are harmless"
    for damaged in (whole[:-1], whole + b"\1", bytes(len(whole)), with_lengths(picture[:5] + bytes(3) + picture[5:])):
        assert picture_kind(damaged, HEVC) == Kind.DAMAGED
    assert picture_kind(with_lengths(picture + bytes(30)), HEVC) == Kind.DAMAGED
    assert picture_kind(b"", HEVC) == Kind.NONE


@given(packet=st.binary(max_size=60), codec=st.sampled_from(["hevc", "h264"]), length_size=st.integers(0, 4))
def test_any_bytes_have_a_kind(packet: bytes, codec: str, length_size: int) -> None:
    assert 0 <= picture_kind(packet, NalFormat(codec, length_size)) <= 255  # type: ignore[arg-type]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_headers_give_facts_or_an_error_in_time(data: st.DataObject, video: Path, tmp_path: Path) -> None:
    content = bytearray(video.read_bytes())
    first = content.index(b"moov") - 4
    for _ in range(data.draw(st.integers(1, 10))):
        place = data.draw(st.integers(first, len(content) - 4))
        content[place : place + 4] = data.draw(st.binary(min_size=4, max_size=4) | st.just(b"\xff\xff\xff\xff"))
    path, begin = tmp_path / "mutated.mp4", time.monotonic()
    path.write_bytes(content)
    try:
        facts = probe(path)
    except PipelineError as error:
        assert error.problem and error.fix
    else:
        assert facts.frames > 0 and facts.duration_s >= 0
    assert time.monotonic() - begin < 5
