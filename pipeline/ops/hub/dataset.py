"""A data set on the Hugging Face hub: its revision, its folders, and how patiently it is asked."""

from __future__ import annotations

import itertools
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, TypeVar
from urllib.parse import quote

import httpx2
from huggingface_hub import HfApi, constants, get_session, get_token
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
)
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]
from pydantic import Field, TypeAdapter, ValidationError

from pipeline.errors import PipelineError
from pipeline.ops.hub.errors import PASSING_STATUS, Asked, explain, page_of
from pipeline.ops.hub.token import load_token
from pipeline.schema.base import ForeignModel

Result = TypeVar("Result")
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Patience:
    """How long a silent or failing server is waited for."""

    attempts: int = 5
    """Tries after the first, as long as they bring nothing."""
    first_wait_s: float = 1.0
    longest_wait_s: float = 30.0
    timeout_s: float = float(constants.HF_HUB_DOWNLOAD_TIMEOUT)
    """Seconds without a single byte after which a connection counts as dead."""

    def wait(self, failures: int, response: httpx2.Response | None = None) -> None:
        """Sleep before the next try: what the server asks for, else doubling, never longer than `longest_wait_s`."""
        asked = response.headers.get("Retry-After", "") if response is not None else ""
        seconds = float(asked) if asked.isascii() and asked.isdigit() else self.first_wait_s * 2 ** (failures - 1)
        time.sleep(min(seconds, self.longest_wait_s))


PATIENCE = Patience()


class _Lfs(ForeignModel):
    oid: str


class Entry(ForeignModel):
    """One line of a folder's listing on the hub."""

    type: str
    path: str
    size: int = Field(default=0, ge=0)
    oid: str
    lfs: _Lfs | None = None

    @property
    def etag(self) -> str:
        """The hub's name for exactly these bytes."""
        return self.lfs.oid if self.lfs else self.oid

    @property
    def sha256(self) -> str | None:
        """SHA-256 of the bytes, known for large files."""
        return self.lfs.oid if self.lfs and re.fullmatch(r"[0-9a-f]{64}", self.lfs.oid) else None


_LISTING = TypeAdapter(list[Entry])


class Hub:
    """One data set at one pinned commit.

    Args:
        repo: `owner/name`.
        revision: branch, tag or commit; resolved to a commit once, which everything after is read at.
        endpoint: address of the hub; None: HF_ENDPOINT, else huggingface.co.
        token: None: from HF_TOKEN, HF_KEY, `.env`, or what `hf auth login` stored.

    Raises:
        PipelineError: the hub cannot be reached, or refuses, with the reason.
    """

    def __init__(
        self,
        repo: str,
        revision: str = "main",
        *,
        endpoint: str | None = None,
        token: str | None = None,
        patience: Patience | None = None,
    ) -> None:
        # huggingface_hub reads HF_ENDPOINT when it is first imported, which may be long ago.
        self.endpoint = (endpoint or os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")
        self.token = token or load_token(os.environ) or get_token()
        self.repo, self.revision = repo, revision
        self.patience = patience or PATIENCE
        self.commit = revision if COMMIT.fullmatch(revision) else self._resolve()

    @property
    def page(self) -> str:
        """Where people read about the data set and accept its terms."""
        return page_of(self.endpoint, self.repo)

    def headers(self) -> dict[str, str]:
        """Request headers with the token: for the hub itself only, never for another host."""
        return build_hf_headers(token=self.token or False, headers={"Accept-Encoding": "identity"})

    def list_folder(self, folder: str) -> list[Entry]:
        """Files and folders directly below one folder of the repository (empty: the root).

        Raises:
            FileNotFoundError: there is no such folder.
            PipelineError: the hub cannot be reached or refuses.
        """
        path = f"/{quote(folder, safe='')}" if folder else ""
        url: str | None = (
            f"{self.endpoint}/api/datasets/{self.repo}/tree/{self.commit}{path}?recursive=false&expand=false"
        )
        entries: list[Entry] = []
        while url:
            # HfApi.list_repo_tree asks the same, but without a timeout: a stalled connection would hang for ever.
            response = self.ask(lambda url=url: self._get(url), folder)  # type: ignore[misc]
            try:
                entries += _LISTING.validate_json(response.content)
            except ValidationError as error:
                self._not_a_hub(f"{error.error_count()} faults in the listing of {folder or 'the root'}")
            url = response.links.get("next", {}).get("url")
        return entries

    def ask(self, action: Callable[[], Result], path: str) -> Result:
        """Run one request, again after passing faults, and turn what remains into a PipelineError.

        Raises:
            FileNotFoundError: `path` is not in the repository.
            PipelineError: all else.
        """
        for failures in itertools.count(1):
            try:
                return action()
            except EntryNotFoundError:
                raise FileNotFoundError(path) from None
            except (HfHubHTTPError, httpx2.TransportError, OfflineModeIsEnabled) as error:
                response = error.response if isinstance(error, HfHubHTTPError) else None
                passing = isinstance(error, httpx2.TransportError) or (
                    response is not None and response.status_code in PASSING_STATUS
                )
                # A refused or unknown host is no hiccup: saying so at once beats a minute of silence.
                patience = 1 if isinstance(error, httpx2.ConnectError) else self.patience.attempts
                if not passing or failures > patience:
                    raise self.explain(error, path) from None
                self.patience.wait(failures, response)
        raise AssertionError("unreachable")

    def explain(self, error: Exception, path: str) -> PipelineError:
        """What one failed request means; see hub_errors."""
        asked = Asked(
            self.endpoint, self.repo, self.revision, path, self.token is not None,
            self.patience.attempts + 1, self.patience.timeout_s,
        )  # fmt: skip
        return explain(error, asked)

    def _get(self, url: str) -> httpx2.Response:
        response = get_session().get(url, headers=self.headers(), timeout=self.patience.timeout_s)
        hf_raise_for_status(response)
        return response

    def _resolve(self) -> str:
        api = HfApi(endpoint=self.endpoint, token=self.token or False)
        try:
            # Without `expand` the answer lists every file of the data set: megabytes.
            info = self.ask(
                lambda: api.dataset_info(
                    self.repo, revision=self.revision, timeout=self.patience.timeout_s, expand=["sha"]
                ),
                "",
            )
        except HFValidationError:
            raise PipelineError(f"{self.repo!r} is no name of a data set", "write REPO=owner/name") from None
        except FileNotFoundError:
            raise PipelineError(f"{self.repo} has no revision {self.revision!r}", "use main, or a commit") from None
        except (ValueError, KeyError, TypeError):
            self._not_a_hub("its answer about the data set is not what a hub sends")
        if not info.sha or not COMMIT.fullmatch(info.sha):
            self._not_a_hub(f"the commit of {self.revision} is {info.sha!r}")
        return info.sha

    def _not_a_hub(self, why: str) -> NoReturn:
        raise PipelineError(
            f"{self.endpoint} does not answer like a Hugging Face hub: {why}",
            "check HF_ENDPOINT and the proxy settings",
        ) from None
