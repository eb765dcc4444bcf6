"""JSON Web Tokens in place of keys: which hold, and what those are told that do not."""

from __future__ import annotations

import base64
import hmac
import json
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as some

from cli.running.first_key import check_keys
from tests.access.issuer import AUDIENCE, ISSUER, jwks, private, public, token
from tests.access.web import applications, bearer, key, requests
from tests.support import answering
from tidegate.access.issuer import keys_in, read_keys
from tidegate.access.scopes import API, OPEN, SCOPES
from tidegate.access.tokens import ALGORITHMS, LEEWAY, BadToken, Tokens
from tidegate.errors import ConfigError, Retry
from tidegate.settings import Settings

LATER = time.time() + 3600


def tokens() -> Tokens:
    return Tokens(ISSUER, AUDIENCE, lambda: keys_in(jwks(*ALGORITHMS), "a test"))


def settings(home: Path, file: bytes = b"") -> dict[str, str]:
    where = home / "jwks.json"
    where.write_bytes(file or jwks(*ALGORITHMS))
    return {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwt_keys": str(where), "auth": "keys"}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_says_who_asks_and_what_he_may(algorithm: str) -> None:
    principal = tokens().find(token(algorithm))
    assert (principal.name, principal.scopes) == ("jwt/shop", {"ingest"})


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"sub": ..., "client_id": "till"}, "jwt/till"),
        ({"sub": "auth0|ann@x.example"}, "jwt/auth0|ann@x.example"),
        ({"sub": "system:till/ü"}, "jwt/system%3Atill%2F%C3%BC"),
        ({"aud": ["another", AUDIENCE]}, "jwt/shop"),
    ],
    ids=str,
)
def test_names_are_never_those_of_keys(claims: dict[str, object], name: str) -> None:
    assert tokens().find(token(**claims)).name == name


def test_clocks_may_differ_by_seconds() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tidegate.access.tokens.LEEWAY", 3000.0)
        assert tokens().find(token(exp=time.time() - 1000, nbf=time.time() + 1000)).name
    assert 0 < LEEWAY < 60


def forged() -> str:
    """Signed by what everybody knows, as if the public key were a shared secret."""
    head = {"alg": "HS256", "kid": "RS256"}
    claims = jwt.decode(token(), options={"verify_signature": False})
    signed = f"{encoded(head)}.{encoded(claims)}"
    mac = hmac.digest(jwks("RS256"), signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def encoded(part: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def unsigned() -> str:
    head = encoded({"alg": "none", "kid": "ES256"})
    return f"{head}.{encoded({'sub': 'admin', 'scope': 'admin'})}."


REFUSED = {
    "expired": (lambda: token(exp=time.time() - 60), "expired"),
    "not yet": (lambda: token(nbf=LATER), "not valid yet"),
    "made later": (lambda: token(iat=LATER), "not valid yet"),
    "foreign issuer": (lambda: token(iss="https://evil.example/"), f"issuer than {ISSUER}"),
    "foreign audience": (lambda: token(aud="shop"), "audience than tidegate"),
    "endless": (lambda: token(exp=...), "no claim exp"),
    "nobody's": (lambda: token(iss=...), "no claim iss"),
    "for nobody": (lambda: token(aud=...), "no claim aud"),
    "of nobody": (lambda: token(sub=...), "sub or client_id"),
    "of an empty name": (lambda: token(sub=""), "sub or client_id"),
    "of a long name": (lambda: token(sub="x" * 129), "sub or client_id"),
    "a list of scopes": (lambda: token(scope=["ingest"]), "claim scope"),
    "unknown kid": (lambda: token(kid="another"), "no key with the kid"),
    "no kid": (lambda: token(kid=""), "no key with the kid"),
    "another's key": (
        lambda: token("RS256", rsa.generate_private_key(65537, 2048)),
        "signature of this token does not hold",
    ),
    "another key's kid": (lambda: token("ES256", kid="RS256"), "another algorithm"),
    "changed": (lambda: token()[:-10] + "AAAAAAAAAA", "signature of this token does not hold"),
    "HS256": (forged, "not signed by one of RS256"),
    "PS256": (lambda: token("PS256", private("RS256"), "RS256"), "not signed by one of RS256"),
    "none": (unsigned, "not signed by one of RS256"),
    "nonsense": (lambda: "a.b.c", "no token that can be read"),
}


@pytest.mark.parametrize("which", REFUSED)
def test_what_does_not_hold_is_401_and_says_why(which: str) -> None:
    make, why = REFUSED[which]
    with pytest.raises(BadToken, match=why):
        tokens().find(make())


@given(some.text(alphabet="eyJ.hbGciOiIxMjMifQ-_A09ß", max_size=80))
def test_no_text_is_a_token(text: str) -> None:
    with pytest.raises(BadToken):
        tokens().find(text)


def test_the_api_takes_tokens_beside_keys(tmp_path: Path) -> None:
    with applications(tmp_path, **settings(tmp_path)) as (api, pages):
        client = api.test_client()
        for endpoint, method, path in requests(api):
            for scope in SCOPES:
                own = bearer(token(scope=f"profile {scope} email"))
                answer = client.open(path, method=method, headers=own)
                may = API[endpoint] in (OPEN, scope) or scope == "admin"
                assert (answer.status_code != 403) == may, (endpoint, scope, answer.data)
                assert answer.status_code != 401
                answer.close()
        assert (
            client.get("/v1/models", headers=bearer(key(tmp_path, "bot", "read"))).status_code
            == 200
        )
        assert (
            pages.test_client().get("/rows", headers=bearer(token(scope="read"))).status_code == 200
        )
        for app, path in ((api, "/v1/models"), (pages, "/rows")):
            refused = app.test_client().get(path, headers=bearer(token(exp=time.time() - 60)))
            assert refused.status_code == 401
            assert b"this token has expired" in refused.data
            assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]


def test_without_settings_no_token_is_taken(tmp_path: Path) -> None:
    with applications(tmp_path, auth="keys") as (api, _):
        answer = api.test_client().get("/v1/models", headers=bearer(token(scope="read")))
        assert answer.status_code == 401


def test_while_the_issuers_keys_cannot_be_read_it_is_503(tmp_path: Path) -> None:
    given = settings(tmp_path) | {"jwt_keys": str(tmp_path / "not-there.json")}
    with applications(tmp_path, **given) as (api, pages):
        own = bearer(token(scope="read"))
        answer = api.test_client().get("/v1/models", headers=own)
        assert (answer.status_code, answer.get_json()["type"]) == (503, "/docs#issuer_away")
        assert "Retry-After" in answer.headers
        assert pages.test_client().get("/rows", headers=own).status_code == 503


def test_keys_are_read_again_for_a_kid_that_is_not_known() -> None:
    now, read = [0.0], [jwks("RS256")]
    found = Tokens(ISSUER, AUDIENCE, lambda: keys_in(read[0], "a test"), lambda: now[0])
    found.find(token("RS256"))
    read[0] = jwks("ES256")
    with pytest.raises(BadToken):
        found.find(token("ES256"))
    now[0] += 11
    found.find(token("ES256"))
    with pytest.raises(BadToken):
        found.find(token("RS256"))


def test_keys_come_from_a_file_or_an_address(tmp_path: Path) -> None:
    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/jwks" else 404)
            self.end_headers()
            self.wfile.write(jwks("EdDSA"))

        def log_message(self, *_: object) -> None:
            pass

    (tmp_path / "jwks").write_bytes(jwks("EdDSA"))
    assert list(read_keys("THE_SETTING", str(tmp_path / "jwks"))) == ["EdDSA"]
    with answering(Server) as address:
        assert list(read_keys("THE_SETTING", f"{address}/jwks")) == ["EdDSA"]
        with pytest.raises(Retry, match="HTTP status 404"):
            read_keys("THE_SETTING", f"{address}/elsewhere")


def test_only_public_keys_for_signatures_are_taken() -> None:
    short = json.loads(
        jwt.algorithms.RSAAlgorithm.to_jwk(
            rsa.generate_private_key(65537, 1024).public_key()  # noqa: S505 - what is refused
        )
    )
    shared = {"kty": "oct", "k": "c2VjcmV0", "kid": "shared", "alg": "HS256"}
    wrong = [
        shared,
        short | {"kid": "short"},
        public("RS256", use="enc"),
        public("RS256", alg="PS256"),
        public("ES256", kid=""),
        {"kty": "unheard", "kid": "x"},
        "no key",
    ]
    with pytest.raises(ConfigError, match="there: no key in it"):
        keys_in(json.dumps({"keys": wrong}).encode(), "there")
    good = keys_in(json.dumps({"keys": [*wrong, public("ES256")]}).encode(), "there")
    assert list(good) == ["ES256"]
    for raw in (b"", b"[]", b"{}", b'{"keys": 1}', b"\xff"):
        with pytest.raises(ConfigError, match="there: no"):
            keys_in(raw, "there")


def test_a_start_refuses_settings_that_are_not_whole(tmp_path: Path) -> None:
    whole = settings(tmp_path) | {"home": str(tmp_path), "host": "0.0.0.0"}  # noqa: S104 - what is tested
    check_keys(Settings(**whole))  # no key is needed
    for name in ("jwt_issuer", "jwt_audience", "jwt_keys"):
        with pytest.raises(ConfigError, match=f"tokens need TIDEGATE_{name.upper()} too"):
            check_keys(Settings(**whole | {name: ""}))
    for wrong in ("http://id.example/jwks", "ftp://id.example/jwks"):
        with pytest.raises(ConfigError, match=r"TIDEGATE_JWT_KEYS .*http"):
            check_keys(Settings(**whole | {"jwt_keys": wrong}))
    check_keys(Settings(**whole | {"jwt_keys": "http://localhost:8080/jwks"}))
