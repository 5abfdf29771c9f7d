"""What a failed request to the hub means for the person at the terminal. Never shows a token or a signed link."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from pipeline.errors import PipelineError

PASSING_STATUS = (408, 425, 429, 500, 502, 503, 504)
"""Answers that a second try may turn into a good one."""
TOKENS_PAGE = "https://huggingface.co/settings/tokens"


@dataclass(frozen=True)
class Asked:
    """What was asked for when the request failed."""

    endpoint: str
    repo: str
    revision: str
    path: str
    """File or folder in the repository; empty: the repository itself."""
    has_token: bool
    tries: int
    timeout_s: float

    @property
    def host(self) -> str:
        """Name of the hub's machine."""
        return urlsplit(self.endpoint).netloc

    @property
    def what(self) -> str:
        """What to call the thing asked for."""
        return self.path or self.repo


def page_of(endpoint: str, repo: str) -> str:
    """Where people read about a data set and accept its terms."""
    return f"{endpoint}/datasets/{repo}"


def explain(error: Exception, asked: Asked) -> PipelineError:
    """The error to show for one failed request; anything unknown is raised again as the bug it is."""
    host, what = asked.host, asked.what
    if isinstance(error, OfflineModeIsEnabled):
        return PipelineError(f"{what} is needed from {host}, but HF_HUB_OFFLINE is set", "unset HF_HUB_OFFLINE")
    if isinstance(error, httpx2.TimeoutException):
        return PipelineError(
            f"{host} sent nothing for {asked.timeout_s:g} s while {what} was asked for ({asked.tries} tries)",
            "run again later: what has arrived is kept; HF_HUB_DOWNLOAD_TIMEOUT=60 waits longer",
        )
    if isinstance(error, httpx2.ConnectError | httpx2.ProxyError | httpx2.UnsupportedProtocol):
        return PipelineError(
            f"no connection to {host} ({type(error).__name__})",
            "check the network, the proxy variables and HF_ENDPOINT, and run again",
        )
    if isinstance(error, httpx2.TransportError):
        return PipelineError(
            f"the connection was cut {asked.tries} times while {what} was fetched from {host}",
            "run again: what has arrived is kept and the rest is fetched",
        )
    if isinstance(error, HfHubHTTPError):
        return _explain_status(error, asked)
    raise error


def _explain_status(error: HfHubHTTPError, asked: Asked) -> PipelineError:
    status, page = error.response.status_code, page_of(asked.endpoint, asked.repo)
    if isinstance(error, RevisionNotFoundError):
        return PipelineError(
            f"{asked.repo} has no revision {asked.revision!r}", f"use main, or a commit listed on {page}"
        )
    if isinstance(error, GatedRepoError) or status in (401, 403):
        return _explain_refusal(status, asked, page)
    if isinstance(error, RepositoryNotFoundError) or status == 404:
        return PipelineError(
            f"{asked.host} has no data set {asked.repo}, or this token may not see it",
            "check REPO= (like builddotai/Egocentric-100K)",
        )
    tries = f" ({asked.tries} tries)" if status in PASSING_STATUS else ""
    return PipelineError(
        f"{asked.host} answered {status} when {asked.what} was asked for{tries}",
        "run again later: what has arrived is kept",
    )


def _explain_refusal(status: int, asked: Asked, page: str) -> PipelineError:
    if not asked.has_token:
        return PipelineError(
            f"{asked.repo} is only for people who accepted its terms, and no token was given",
            f"accept the terms on {page}, make a token on {TOKENS_PAGE}, and give it as HF_TOKEN=… in the environment "
            "or in a file .env in the project folder",
        )
    if status == 401:
        return PipelineError(
            "the hub does not know this token (wrong, expired or revoked)",
            f"make a new one on {TOKENS_PAGE} and give it as HF_TOKEN=…",
        )
    return PipelineError(
        f"the terms of {asked.repo} are not accepted yet by the owner of this token",
        f"log in and accept them on {page}; a fine-grained token also needs read access to gated repositories",
    )
