"""What a failed request to the store means for the person at the terminal. Never shows a key."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from botocore import exceptions as boto  # type: ignore[import-untyped]
from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]

from pipeline.errors import PipelineError

LICENCE_PAGE = "https://ego4ddataset.com/egoexo-license/"
KEY_DAYS = 14
UNKNOWN_KEY_CODES = (
    "InvalidAccessKeyId", "ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired",
    "InvalidClientTokenId", "UnrecognizedClientException",
)  # fmt: skip
WRONG_SECRET_CODES = ("SignatureDoesNotMatch", "InvalidSecurity")
REFUSED_CODES = ("AccessDenied", "AllAccessDisabled", "AccountProblem", "403", "401", "Forbidden")
GONE_CODES = ("NoSuchKey", "404", "NotFound")
CLOCK_CODES = ("RequestTimeTooSkewed", "RequestExpired")
NETWORK_ERRORS = (boto.HTTPClientError, boto.ConnectionError, boto.IncompleteReadError, ConnectionError)
"""The network's fault, or that of a machine on the way; the last one is Python's own."""
RENEW = (
    f"renew them: fill in {LICENCE_PAGE} again with the same name and e-mail address, then `aws configure` with the "
    "keys that arrive by mail"
)


@dataclass(frozen=True)
class Asked:
    """What was asked for when the request failed."""

    profile: str
    what: str
    """In words: `the list of part takes`, `s3://bucket/key`."""


def credentials_file() -> Path:
    """Where the AWS client looks for keys."""
    return Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")).expanduser()


def own_endpoint() -> tuple[str, str] | None:
    """Name and value of the variable that puts another store in Amazon's place, if one is set."""
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        if os.environ.get(name):
            return name, os.environ[name]
    return None


def error_code(error: Exception) -> str:
    """The store's own word for what is wrong; empty when it has not answered at all."""
    if not isinstance(error, boto.ClientError):
        return ""
    return str(error.response.get("Error", {}).get("Code", ""))


def explain(error: Exception, asked: Asked) -> PipelineError:
    """The error to show for one failed request; anything unknown is raised again as the bug it is."""
    if isinstance(error, boto.ClientError):
        return _explain_answer(error, asked)
    if isinstance(error, boto.ProfileNotFound):
        return _explain_profile(asked)
    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError | boto.CredentialRetrievalError):
        return PipelineError(
            f"the AWS profile {asked.profile!r} holds no complete pair of keys",
            f"aws configure --profile {asked.profile} writes both keys, or mend {credentials_file()}",
        )
    if isinstance(error, boto.ConfigParseError | boto.ConfigNotFound):
        return PipelineError(
            f"the AWS settings cannot be read: {error}",
            f"aws configure --profile {asked.profile} writes them anew, or mend {credentials_file()}",
        )
    if isinstance(error, NETWORK_ERRORS):
        return _explain_network(error, asked)
    if isinstance(error, ResponseParserError):
        return _not_s3(asked, "an answer that no S3 store gives")
    endpoint = own_endpoint()
    if isinstance(error, ValueError) and endpoint and "endpoint" in str(error).lower():
        return PipelineError(
            f"{endpoint[0]} is {endpoint[1]!r}, which is no address",
            "expected http://host:port or https://host; unset it to use Amazon's own store",
        )
    raise error


def cut_connection(what: str, tries: int) -> PipelineError:
    """The transfer of a file broke off each time."""
    return PipelineError(
        f"the connection was cut {tries} times while {what} was fetched",
        "run again: files that are whole are kept, the rest is fetched",
    )


def disk_full(place: Path) -> PipelineError:
    """No room was left while a file was written."""
    return PipelineError(
        f"the disk is full ({place})",
        "free some space, set MAX_VIDEOS_GB=, or move DATA= to another disk, and run again: whole files are kept",
    )


def _explain_profile(asked: Asked) -> PipelineError:
    file = credentials_file()
    if not file.exists():
        in_environment = "AWS_ACCESS_KEY_ID" in os.environ
        extra = " (keys in the environment alone are not enough for the egoexo client)" if in_environment else ""
        return PipelineError(
            f"there are no AWS keys for Ego-Exo4D: {file} does not exist{extra}",
            f"sign the licence on {LICENCE_PAGE} (about two days), then `aws configure` with the keys that arrive",
        )
    return PipelineError(
        f"the AWS profile {asked.profile!r} is not in {file}",
        f"aws configure --profile {asked.profile}, or name the profile that holds the keys: AWS_PROFILE=",
    )


def _explain_answer(error: boto.ClientError, asked: Asked) -> PipelineError:
    code = error_code(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in UNKNOWN_KEY_CODES:
        return PipelineError(
            f"the store does not know the AWS keys of profile {asked.profile!r} (any more): {code}; keys for Ego-Exo4D "
            f"expire after {KEY_DAYS} days",
            RENEW,
        )
    if code in WRONG_SECRET_CODES:
        return PipelineError(
            f"the secret key of AWS profile {asked.profile!r} does not belong to its access key ({code})",
            f"aws configure --profile {asked.profile}, and copy both keys whole from the mail",
        )
    if code in CLOCK_CODES:
        return PipelineError(
            f"the store refuses requests of this machine because of its clock ({code})", "set the time (ntp) and retry"
        )
    if code == "NoSuchBucket":
        return _not_s3(asked, "that it has no such bucket")
    if code in GONE_CODES:
        return PipelineError(f"{asked.what} is not in the store", "check --release-version (v2) and the part's name")
    if code in REFUSED_CODES:
        return PipelineError(
            f"the keys of AWS profile {asked.profile!r} may not read {asked.what} ({code})",
            f"they must come from the licence of Ego-Exo4D, not of Ego4D; if they are older than {KEY_DAYS} days, "
            f"{RENEW}",
        )
    return PipelineError(
        f"the store answered {code or status} when {asked.what} was asked for", "run again later: what is whole is kept"
    )


def _explain_network(error: Exception, asked: Asked) -> PipelineError:
    kind, endpoint = type(error).__name__, own_endpoint()
    if isinstance(error, boto.SSLError):
        return PipelineError(
            f"the store's certificate is not trusted while {asked.what} is asked for ({kind})",
            "a proxy may be in between: set AWS_CA_BUNDLE to its certificate, or use another network",
        )
    if isinstance(error, boto.ProxyConnectionError):
        return PipelineError(
            f"no connection to the proxy while {asked.what} is asked for ({kind})",
            "check HTTPS_PROXY and NO_PROXY, and run again",
        )
    if endpoint:
        return PipelineError(
            f"no answer from {urlsplit(endpoint[1]).netloc or endpoint[1]}, to which {endpoint[0]} sends all requests "
            f"({kind})",
            f"is that store running? unset {endpoint[0]} to use Amazon's own",
        )
    return PipelineError(
        f"no connection to Amazon S3 while {asked.what} was asked for ({kind})",
        "check the network, the firewall and HTTPS_PROXY, and run again: what is whole is kept; from some countries "
        "only a VPN gets through",
    )


def _not_s3(asked: Asked, answer: str) -> PipelineError:
    endpoint = own_endpoint()
    where = f"the store at {endpoint[1]} ({endpoint[0]})" if endpoint else "what answers in place of Amazon S3"
    return PipelineError(
        f"{where} gave {answer} when {asked.what} was asked for",
        f"check {endpoint[0]}, or unset it to use Amazon's own store" if endpoint else "check proxy and network login",
    )
