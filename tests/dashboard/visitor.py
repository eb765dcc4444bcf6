"""A browser without a screen: it keeps its cookie, and sends the token of its forms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlencode

from tests.web import Answer, Server

_FORM = "application/x-www-form-urlencoded"


class Visitor:
    """Posts forms as a person's browser does."""

    def __init__(self, server: Server, language: str = "en") -> None:
        self._server, self._language = server, language
        answer = server.get("/sign-in")
        self._cookie = answer.headers["set-cookie"].partition(";")[0]
        found = re.search(r'name="csrf_token" value="([^"]+)"', answer.body.decode())
        assert found
        self.token = found[1]

    def post(self, path: str, fields: Mapping[str, str]) -> Answer:
        """Send a form."""
        return self.send(path, urlencode(fields | {"csrf_token": self.token}).encode(), _FORM)

    def send(self, path: str, body: bytes, kind: str) -> Answer:
        """Send anything."""
        headers = {
            "Cookie": self._cookie,
            "X-CSRFToken": self.token,
            "Accept-Language": self._language,
        }
        return self._server.ask("POST", path, body, kind, headers)

    def upload(self, path: str, name: str, content: bytes) -> Answer:
        """Send a file, as the form of a page does."""
        line = "tidegate-test-boundary"
        part = f"--{line}\r\nContent-Disposition: form-data; name="
        token = f'{part}"csrf_token"\r\n\r\n{self.token}\r\n'
        file = f'{part}"file"; filename="{name}"\r\n\r\n'
        body = f"{token}{file}".encode() + content + f"\r\n--{line}--\r\n".encode()
        return self.send(path, body, f"multipart/form-data; boundary={line}")
