"""The hub's access token: where it is looked for, and how children get to see it."""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path

from pipeline.errors import PipelineError

TOKEN_NAMES = ("HF_TOKEN", "HF_KEY")
"""In this order; huggingface_hub itself knows only the first."""
DOTENV = Path(__file__).resolve().parents[3] / ".env"
"""In the project folder; ignored by git."""


def load_token(environment: MutableMapping[str, str], dotenv: Path = DOTENV) -> str | None:
    """Find the token in the environment, else in `.env`, and export it as HF_TOKEN so that children see it.

    Args:
        environment: usually os.environ; HF_TOKEN is set in it when a token was found.
        dotenv: file with lines `NAME=value`; may be absent.

    Returns:
        The token, or None where there is none.

    Raises:
        PipelineError: what was found cannot be a token, or `.env` cannot be read.
    """
    sources = ((name, environment.get(name, "")) for name in TOKEN_NAMES)
    name, token = next(((name, value.strip()) for name, value in sources if value.strip()), ("", ""))
    if not token:
        lines = read_dotenv(dotenv)
        name = next((name for name in TOKEN_NAMES if lines.get(name)), "")
        token = lines.get(name, "")
    if not token:
        return None
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise PipelineError(
            f"{name} is not a token: it holds spaces or signs that no token has ({len(token)} characters)",
            "copy it again from https://huggingface.co/settings/tokens; it is one word that begins with hf_",
        )
    environment["HF_TOKEN"] = token
    return token


def read_dotenv(path: Path) -> dict[str, str]:
    """Names and values of a `.env` file: `export` in front, quotes around and comments behind a value are taken off.

    Lines that are no assignment are passed over. A missing file is an empty one.

    Raises:
        PipelineError: the file is there but cannot be read as text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise PipelineError(
            f"{path} cannot be read ({type(error).__name__})",
            "make it a text file with lines like HF_TOKEN=hf_…, or remove it",
        ) from None
    values: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if not equals or name.startswith("#"):
            continue
        values[name.strip()] = _unquote(value.strip())
    return values


def _unquote(value: str) -> str:
    for quote in ("'", '"'):
        if value.startswith(quote):
            return value[1:].partition(quote)[0].strip()
    return "" if value.startswith("#") else value.partition(" #")[0].strip()
