"""A keep-alive connection to the API that tries again with the same ids."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self
from urllib.parse import SplitResult, urlsplit

import msgspec

from tidegate.errors import ConfigError, Retry

PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds between tries; the last one from then on, or what Retry-After asks for if it is more."""
AGAIN = (429, 502, 503, 504)
_DENIED = (401, 403)
_LONGEST_PAUSE = 3600.0
JSON, NDJSON = "application/json", "application/x-ndjson"


class Connection:
    """Posts to one address, with a key where there is one. Not thread-safe.

    `patience`: how many seconds a request may fail; `timeout`: how many it may be silent.
    """

    def __init__(
        self, url: str, *, key: str = "", patience: float = 120.0, timeout: float = 30.0
    ) -> None:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"{url!r} is not an HTTP address, like http://127.0.0.1:5000")
        self._parts, self._timeout = parts, timeout
        self._connection = _connection(parts, timeout)
        self._base, self._patience, self.url = parts.path.rstrip("/"), patience, url
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.stop = threading.Event()
        """Set it to give up waiting at once."""

    def post(
        self,
        path: str,
        body: bytes,
        content_type: str = JSON,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """Status and document of the answer. Connection losses and 429, 503 are tried again: the
        ids make that safe.

        Raises Retry when nobody answers within the patience, ConfigError for a key that may not.
        """
        patience = Patience(self)
        all_headers = {"Content-Type": content_type, **(headers or {})}
        while True:
            try:
                status, document, later = self._ask("POST", path, body, all_headers)
                if status not in AGAIN:
                    return status, document
                trouble = f"{status} {document.get('detail', '')}"
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                trouble, later = f"{type(error).__name__}: {error}", 0.0
            patience.wait(f"does not take transactions: {trouble}", later)

    def post_lines(self, path: str, lines: Sequence[bytes]) -> tuple[int, dict[str, Any]]:
        """Post JSON lines."""
        return self.post(path, b"\n".join(lines), NDJSON)

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status and document of a GET; tried once.

        Raises Retry when nobody answers, ConfigError for a key that may not.
        """
        try:
            status, document, _later = self._ask("GET", path, None, {})
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Retry(f"{self.url}{path}: {type(error).__name__}: {error}") from error
        return status, document

    @contextmanager
    def reading(self, path: str, headers: Mapping[str, str]) -> Iterator[http.client.HTTPResponse]:
        """An answer to be read bit by bit, on a connection of its own that ends with it.

        Raises OSError or HTTPException when nobody answers.
        """
        link = _connection(self._parts, self._timeout)
        try:
            link.request("GET", self._base + path, headers={**self._headers, **headers})
            with link.getresponse() as answer:
                yield answer
        finally:
            link.close()

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _ask(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, Any], float]:
        self._connection.request(method, self._base + path, body, {**headers, **self._headers})
        response = self._connection.getresponse()
        document = self.document(response)
        return response.status, document, retry_after(response)

    def document(self, response: http.client.HTTPResponse) -> dict[str, Any]:
        """The document in an answer. Raises ConfigError for a key that may not."""
        raw = response.read()
        try:
            document = msgspec.json.decode(raw)
        except msgspec.DecodeError:
            document = {"detail": raw[:200].decode("utf-8", "replace")}
        if response.status in _DENIED:
            detail = document.get("detail", "") if isinstance(document, dict) else ""
            raise ConfigError(f"{self.url}: {detail} (TIDEGATE_KEY or --key-file gives it a key)")
        return document if isinstance(document, dict) else {"items": document}


class Patience:
    """How long something may go on failing, and how long to wait before the next try."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._tries = connection, 0
        self._deadline = time.monotonic() + connection._patience

    def wait(self, trouble: str, later: float = 0.0) -> None:
        """Before the next try, at least `later` s. Raises Retry when there is to be none."""
        pause = max(later, PAUSES[min(self._tries, len(PAUSES) - 1)])
        self._tries += 1
        over = time.monotonic() + later > self._deadline
        if over or self._connection.stop.wait(pause):
            raise Retry(f"{self._connection.url} {trouble}")


def retry_after(response: http.client.HTTPResponse) -> float:
    """Seconds that the answer asks to wait; 0 where it does not say."""
    text = response.headers.get("Retry-After", "")
    return min(float(text), _LONGEST_PAUSE) if text.isascii() and text.isdigit() else 0.0


def _connection(parts: SplitResult, timeout: float) -> http.client.HTTPConnection:
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=timeout)
