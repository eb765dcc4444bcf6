"""One HTTP request to somebody else's server."""

from __future__ import annotations

import http.client
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from tidegate.errors import ConfigError, Retry

_SECONDS = 10.0


class Answer(NamedTuple):
    """Status and body."""

    status: int
    body: bytes


def ask(
    setting: str, method: str, url: str, body: bytes = b"", kind: str = "application/json"
) -> Answer:
    """Send a request.

    Raises ConfigError naming `setting` for what is no HTTP address, Retry when nobody answers.
    """
    parts = check_address(setting, url)
    link = (http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection)(
        parts.hostname or "", parts.port, timeout=_SECONDS
    )
    try:
        link.request(
            method,
            parts._replace(scheme="", netloc="").geturl() or "/",
            body,
            {"Content-Type": kind},
        )
        answer = link.getresponse()
        return Answer(answer.status, answer.read())
    except (OSError, http.client.HTTPException) as error:
        raise Retry(f"{setting}: nobody answers at {parts.hostname}: {error}") from error
    finally:
        link.close()


def check_address(setting: str, url: str) -> SplitResult:
    """The parts of an HTTP address. Raises ConfigError naming `setting` for anything else."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{setting} is not an HTTP address, like https://host.example/path")
    return parts
