"""Two clips by byte ranges against the whole archive: bytes that the server's sockets sent, every request included."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from benchmarks.table import Row
from pipeline.config import DownloadKnobs
from pipeline.factory import download
from tests.hub_server import HubServer
from tests.shard_maker import Shown, archive_path, clip_name, make_repo, members_of, run_phase, write_tar

REPO = "builddotai/Egocentric-100K"
CLIPS = 77
"""In part000.tar of the published set: 77 clips of 12.3 MB on average."""
PUBLISHED_CLIP_BYTES = 12_300_000


def run(clip_bytes: int = PUBLISHED_CLIP_BYTES // 8) -> list[Row]:
    """Measured on a shard of the published shape with clips of an eighth of their size; the rest is computed.

    What is read beside the clips (headers, listing, links) does not depend on the clips' size, so the published ratio
    is the clips plus the same number of other bytes.
    """
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ):
        root = Path(folder)
        sizes = _sizes(clip_bytes)
        make_repo(root / "hub")
        held = write_tar(
            root / "hub" / archive_path("100K"), members_of([clip_name("100K", i) for i in range(CLIPS)], sizes)
        )
        wanted = [clip_name("100K", index) for index in (0, 1)]
        clips = sum(len(held[f"{clip}{suffix}"]) for clip in wanted for suffix in (".mp4", ".json"))
        archive = (root / "hub" / archive_path("100K")).stat().st_size
        os.environ.pop("HF_HUB_OFFLINE", None)
        with HubServer({REPO: root / "hub"}) as server:
            os.environ["HF_ENDPOINT"] = server.endpoint
            counts = {}
            for name, knobs in {"ranges": DownloadKnobs(), "whole": DownloadKnobs(whole_archive=True)}.items():
                server.reset()
                for clip in wanted:
                    run_phase(download, clip, root / name, knobs, Shown())
                counts[name] = server.bytes_sent + server.bytes_received
                requests = len(server.requests)
                if name == "ranges":
                    range_requests = requests
    beside = counts["ranges"] - clips
    published = 2 * PUBLISHED_CLIP_BYTES
    return [
        Row(
            claim=f"two clips of {clip_bytes / 1e6:.1f} MB by range: bytes on the wire over bytes of the clips",
            baseline=f"{clips / 1e6:.2f} MB of clips",
            measured=f"{counts['ranges'] / 1e6:.2f} MB in {range_requests} requests",
            ratio=counts["ranges"] / clips,
            required=1.1,
            at_most=True,
        ),
        Row(
            claim="the same at the published 12.3 MB a clip (the bytes beside the clips stay as measured)",
            baseline=f"{published / 1e6:.2f} MB of clips",
            measured=f"{(published + beside) / 1e6:.2f} MB",
            ratio=(published + beside) / published,
            required=1.1,
            at_most=True,
        ),
        Row(
            claim="whole archive over ranges: bytes on the wire",
            baseline=f"{counts['whole'] / 1e6:.1f} MB (archive {archive / 1e6:.1f} MB)",
            measured=f"{counts['ranges'] / 1e6:.2f} MB",
            ratio=counts["whole"] / counts["ranges"],
        ),
    ]


def _sizes(clip_bytes: int) -> Callable[[int], int]:
    rng = random.Random(0)
    sizes = [clip_bytes, clip_bytes] + [int(clip_bytes * rng.uniform(0.4, 1.6)) for _ in range(CLIPS - 2)]
    return lambda number: sizes[number]
