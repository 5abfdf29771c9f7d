"""The store of the release, as far as it is only read: manifests of parts, sizes of objects, reasons of failures.

The files themselves are fetched by the real client; see client.py.
"""

from __future__ import annotations

import difflib
import functools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import Any, TypeVar

import boto3  # type: ignore[import-untyped]
from botocore import exceptions as boto  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from pydantic import ValidationError

from pipeline.errors import PipelineError
from pipeline.ops.s3.errors import GONE_CODES, NETWORK_ERRORS, REFUSED_CODES, Asked, error_code, explain
from pipeline.ops.s3.part import Part, sort_entries
from pipeline.schema.egoexo_release import MANIFEST, ManifestEntry

BASE = "s3://ego4d-consortium-sharing/egoexo-public/"
DEFAULT_PARTS = ("metadata", "annotations", "captures", "takes", "take_trajectory", "take_vrs_noimagestream")
"""What the client fetches when no part is named: 12 TB."""
ALL_PARTS = (
    *DEFAULT_PARTS, "take_eye_gaze", "take_point_cloud", "take_vrs", "take_audio", "take_transcription",
    "capture_trajectory", "capture_eye_gaze", "capture_point_cloud", "downscaled_takes/448", "features/omnivore_video",
    "features/maws_clip_2b", "ego_pose_pseudo_gt", "expert_commentary",
)  # fmt: skip
"""Parts of release v2, 38 TB; others may be asked for by name."""
UNCHANGED_CODES = ("304", "NotModified")
CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 60
TRIES = 3
WORKERS = 16

Answer = TypeVar("Answer")


class Store:
    """One release in one store. Safe to use from several threads.

    Args:
        profile: name in the AWS credentials file.
        release_version: like v2.
    """

    def __init__(self, profile: str, release_version: str, base: str = BASE) -> None:
        self.profile, self.release_version, self.base = profile, release_version, base
        self._client: Any = None
        self._parts: dict[str, tuple[str, Part]] = {}
        self._lock = threading.RLock()

    @property
    def place(self) -> str:
        """Address of the release."""
        return f"{self.base}{self.release_version}/"

    def part(self, name: str) -> Part:
        """All files of a part. Each call asks the store, which sends the list again only when it has changed.

        Raises:
            PipelineError: no such part; no keys, expired keys, no network; not a manifest.
        """
        with self._lock:
            etag, part = self._parts.get(name, ("", Part()))
            source = f"{self.place}{name}/manifest.json"
            try:
                answer = self._ask(lambda client: _read(client, source, {"IfNoneMatch": etag} if etag else {}))
            except boto.ClientError as error:
                if error_code(error) in UNCHANGED_CODES:
                    return part
                raise self._explain_part(error, name) from None
            except Exception as error:  # noqa: BLE001 — explain() raises what it does not know again
                raise explain(error, self._asked(f"the list of part {name}")) from None
            part = sort_entries(_entries(answer["Body"], source))
            self._parts[name] = (answer["ETag"], part)
            return part

    def sizes(self, sources: Sequence[str]) -> dict[str, int | None]:
        """Bytes of each object (`s3://bucket/key`); None for one that is not there.

        Raises:
            PipelineError: no keys, expired keys, no network.
        """
        if not sources:
            return {}
        with ThreadPoolExecutor(WORKERS) as pool:
            return dict(zip(sources, pool.map(self._size, sources), strict=True))

    def check_readable(self, source: str) -> None:
        """Ask for one byte of an object.

        Raises:
            PipelineError: why it may not be read.
        """
        try:
            self._ask(lambda client: client.get_object(**_where(source), Range="bytes=0-0")["Body"].close())
        except Exception as error:  # noqa: BLE001 — explain() raises what it does not know again
            raise explain(error, self._asked(source)) from None

    def _size(self, source: str) -> int | None:
        try:
            return int(self._ask(lambda client: client.head_object(**_where(source)))["ContentLength"])
        except boto.ClientError as error:
            if error_code(error) in GONE_CODES:
                return None
            raise self._explain_object(error, source) from None
        except Exception as error:  # noqa: BLE001 — explain() raises what it does not know again
            raise explain(error, self._asked(source)) from None

    def _explain_object(self, error: boto.ClientError, source: str) -> PipelineError:
        """Only the answer to GET says why; the one to HEAD is a bare number."""
        try:
            self.check_readable(source)
        except PipelineError as reason:
            return reason
        return explain(error, self._asked(source))

    def _explain_part(self, error: boto.ClientError, part: str) -> PipelineError:
        """No such part, or a refusal; a store that hides its listing refuses what it does not have."""
        code = error_code(error)
        if code in REFUSED_CODES and part != "metadata" and part not in ALL_PARTS:
            try:
                self.part("metadata")
                code = GONE_CODES[0]
            except PipelineError as other:
                return other
        if code not in GONE_CODES:
            return explain(error, self._asked(f"the list of part {part}"))
        close = difflib.get_close_matches(part, [*ALL_PARTS, "default"], 1, 0.4)
        meant = f"did you mean PARTS={close[0]}? " if close and close[0] != part else ""
        return PipelineError(
            f"release {self.release_version} at {self.base} has no part {part!r}",
            f"{meant}parts of v2: default, {', '.join(ALL_PARTS)}; the release's version is --release-version",
        )

    def _ask(self, question: Callable[[Any], Answer]) -> Answer:
        with self._lock:
            if self._client is None:
                config = Config(
                    connect_timeout=CONNECT_TIMEOUT_S,
                    read_timeout=READ_TIMEOUT_S,
                    max_pool_connections=WORKERS,
                    retries={"mode": "standard", "max_attempts": TRIES},
                )
                self._client = boto3.Session(profile_name=self.profile).client("s3", config=config)
            client = self._client
        try:
            return question(client)
        except boto.ClientError as error:
            if error_code(error) not in (*GONE_CODES, *UNCHANGED_CODES):
                self._client = None  # keys that were renewed meanwhile are read anew
            raise

    def _asked(self, what: str) -> Asked:
        return Asked(self.profile, what)


def _read(client: Any, source: str, known: dict[str, str]) -> dict[str, Any]:
    for left in reversed(range(TRIES)):
        answer = client.get_object(**_where(source), **known)
        try:
            return {"ETag": answer["ETag"], "Body": answer["Body"].read()}
        except NETWORK_ERRORS:  # botocore tries again until the answer begins, not when it breaks off
            if not left:
                raise
    raise AssertionError


def _where(source: str) -> dict[str, str]:
    bucket, _, key = source.removeprefix("s3://").partition("/")
    return {"Bucket": bucket, "Key": key}


def _entries(content: bytes, source: str) -> list[ManifestEntry]:
    """A manifest, checked: nothing may be written outside the release folder, whatever it says."""
    try:
        entries = MANIFEST.validate_json(content)
    except ValidationError as error:
        raise PipelineError(
            f"{source} is no manifest: {error.errors(include_url=False, include_input=False)[0]['msg']}",
            "check AWS_ENDPOINT_URL; behind a network that asks for a login, log in and run again",
        ) from None
    for path in (path for entry in entries for path in entry.paths):
        name = PurePosixPath(path.relative_path)
        if name.is_absolute() or ".." in name.parts or not name.parts or not path.source_path.startswith("s3://"):
            raise PipelineError(
                f"{source} lists {path.source_path!r} as {path.relative_path!r}",
                "expected s3://bucket/key and a path below the release folder; check AWS_ENDPOINT_URL",
            )
    return entries


def open_store(profile: str, release_version: str) -> Store:
    """The store that the environment names now; the same one for the same settings, so that lists are kept."""
    names = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE")
    return _store(profile, release_version, tuple(os.environ.get(name, "") for name in names))


@functools.lru_cache(maxsize=8)
def _store(profile: str, release_version: str, surroundings: tuple[str, ...]) -> Store:
    return Store(profile, release_version)
