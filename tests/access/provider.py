"""A small OpenID provider over HTTP: real codes, real PKCE, id tokens signed by a real key."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.access.issuer import jwks, token
from tests.support import answering

CLIENT, SECRET = "results", "s3cr$et#x"
BASIC = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()


class OpenId:
    """`claims` are put into the id tokens that it gives; `told` into what it says about itself."""

    def __init__(self) -> None:
        self.address = ""
        self.claims: dict[str, object] = {"sub": "4711", "roles": ["analyst", "staff"]}
        self.told: dict[str, str] = {}
        self.algorithm = "RS256"
        self._codes: dict[str, dict[str, str]] = {}

    def about(self) -> dict[str, str]:
        places = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        found = {place: f"{self.address}/{place}" for place in places}
        return {"issuer": self.address, **found, **self.told}

    def authorize(self, asked: dict[str, str]) -> str:
        """Where somebody who has typed his password is sent back to."""
        assert (asked["client_id"], asked["response_type"]) == (CLIENT, "code")
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe()
        self._codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def exchange(self, sent: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        asked = self._codes.pop(sent.get("code", ""), None)
        verifier = hashlib.sha256(sent.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode()
        if (
            asked is None
            or authorization != BASIC
            or asked["code_challenge"] != challenge
            or asked["redirect_uri"] != sent["redirect_uri"]
        ):
            return 400, {"error": "invalid_grant"}
        claims = {"iss": self.address, "aud": CLIENT, "nonce": asked["nonce"], "scope": ...}
        signed = token(self.algorithm, **claims | self.claims)
        return 200, {"access_token": "unused", "token_type": "Bearer", "id_token": signed}


@contextmanager
def provider() -> Iterator[OpenId]:
    """A running one."""
    openid = OpenId()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/.well-known/openid-configuration":
                self._answer(200, openid.about())
            elif parts.path == "/jwks_uri":
                self._answer(200, json.loads(jwks("RS256", "ES256")))
            else:
                self.send_response(302)
                self.send_header("Location", openid.authorize(_flat(parts.query)))
                self.end_headers()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._answer(*openid.exchange(_flat(body), self.headers.get("Authorization", "")))

        def _answer(self, status: int, document: object) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with answering(Handler) as openid.address:
        yield openid


def sent_back(url: str) -> str:
    """What a browser is told that goes to this address of a provider and signs in there."""
    parts = urlsplit(url)
    link = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        link.request("GET", f"{parts.path}?{parts.query}")
        return link.getresponse().getheader("Location", "")
    finally:
        link.close()


def _flat(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items()}
