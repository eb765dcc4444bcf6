"""A keep-alive client of the ingest API that tries again with the same ids."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tidegate.errors import ConfigError, Retry

_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)
_AGAIN = (429, 502, 503, 504)
_DENIED = (401, 403)


class Client:
    """Posts to one address, with a key where there is one. Not thread-safe.

    `patience`: how many seconds a request may fail.
    """

    def __init__(
        self, url: str, *, key: str = "", patience: float = 120.0, timeout: float = 30.0
    ) -> None:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"{url!r} is not an HTTP address, like http://127.0.0.1:5000")
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._connection = kind(parts.hostname, parts.port, timeout=timeout)
        self._base, self._patience, self.url = parts.path.rstrip("/"), patience, url
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.stop = threading.Event()
        """Set it to give up waiting at once."""

    def post(
        self, path: str, body: bytes, content_type: str = "application/json"
    ) -> tuple[int, dict[str, Any]]:
        """Status and document of the answer. Connection losses and 429, 503 are tried again: the
        ids make that safe.

        Raises Retry when nobody answers within the patience, ConfigError for a key that may not.
        """
        deadline, attempt = time.monotonic() + self._patience, 0
        while True:
            trouble = ""
            try:
                status, document = self._once(path, body, content_type)
                if status not in _AGAIN:
                    return status, document
                trouble = f"{status} {document.get('detail', '')}"
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                trouble = f"{type(error).__name__}: {error}"
            if time.monotonic() > deadline or self.stop.wait(
                _PAUSES[min(attempt, len(_PAUSES) - 1)]
            ):
                raise Retry(f"{self.url} does not take transactions: {trouble}")
            attempt += 1

    def post_lines(self, path: str, lines: Sequence[bytes]) -> tuple[int, dict[str, Any]]:
        """Post JSON lines."""
        return self.post(path, b"\n".join(lines), "application/x-ndjson")

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status and document of a GET; tried once.

        Raises Retry when nobody answers, ConfigError for a key that may not.
        """
        try:
            self._connection.request("GET", self._base + path, headers=self._headers)
            return self._answer()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Retry(f"{self.url}{path}: {type(error).__name__}: {error}") from error

    def close(self) -> None:
        self._connection.close()

    def _once(self, path: str, body: bytes, content_type: str) -> tuple[int, dict[str, Any]]:
        headers = {"Content-Type": content_type, **self._headers}
        self._connection.request("POST", self._base + path, body, headers)
        return self._answer()

    def _answer(self) -> tuple[int, dict[str, Any]]:
        response = self._connection.getresponse()
        raw = response.read()
        try:
            document = msgspec.json.decode(raw)
        except msgspec.DecodeError:
            document = {"detail": raw[:200].decode("utf-8", "replace")}
        if response.status in _DENIED:
            detail = document.get("detail", "") if isinstance(document, dict) else ""
            raise ConfigError(f"{self.url}: {detail} (TIDEGATE_KEY or --key-file gives it a key)")
        return response.status, document if isinstance(document, dict) else {"items": document}
