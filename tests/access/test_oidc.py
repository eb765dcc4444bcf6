"""People sign in by a provider of identities, which runs beside the page."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cli.running.first_key import check_keys
from dashboard.provider import provider_of
from db.audit import export
from tests.access.provider import CLIENT, SECRET, OpenId, provider, sent_back
from tests.access.web import applications
from tidegate.access.users import ROLES
from tidegate.errors import ConfigError
from tidegate.settings import Settings

PAGE = "https://fraud.example"


def settings(home: Path, openid: OpenId) -> dict[str, str]:
    (home / "secret").write_text(SECRET + "\n")
    return {
        "host": "0.0.0.0",  # noqa: S104 - what is tested
        "oidc_issuer": openid.address,
        "oidc_client": CLIENT,
        "oidc_secret_file": str(home / "secret"),
        "oidc_address": PAGE,
    }


@pytest.fixture
def openid() -> Iterator[OpenId]:
    with provider() as made:
        yield made


@pytest.fixture
def pages(openid: OpenId, tmp_path: Path) -> Iterator[Flask]:
    with applications(tmp_path, **settings(tmp_path, openid)) as (_, app):
        yield app


def begun(client: FlaskClient, back: str = "") -> str:
    """The address at the provider where a browser is sent."""
    led = client.get("/sign-in/oidc", query_string={"back": back}, base_url=PAGE)
    assert led.status_code == 303
    return led.headers["Location"]


def ended(client: FlaskClient, address: str) -> TestResponse:
    assert address.startswith(f"{PAGE}/sign-in/oidc/back?")
    return client.get(address.removeprefix(PAGE), base_url=PAGE)


def enter(client: FlaskClient, back: str = "") -> TestResponse:
    return ended(client, sent_back(begun(client, back)))


def test_who_signs_in_there_has_a_session_here(pages: Flask, tmp_path: Path) -> None:
    client = pages.test_client()
    assert client.get("/rows", base_url=PAGE).status_code == 401
    form = client.get("/sign-in?back=/rows", base_url=PAGE).get_data(as_text=True)
    assert 'href="/sign-in/oidc?back=/rows"' in form
    entered = enter(client, "/rows?decision=block")
    assert (entered.status_code, entered.headers["Location"]) == (303, "/rows?decision=block")
    assert client.get("/rows", base_url=PAGE).status_code == 200
    (entry,) = export(Settings(home=tmp_path).db_url)
    assert (entry.who, entry.what) == ("oidc/4711", "signed in")
    assert json.loads(entry.detail) == {"as": "", "role": "analyst"}


@pytest.mark.parametrize("role", ROLES)
def test_the_claim_gives_the_role(pages: Flask, openid: OpenId, role: str) -> None:
    openid.claims = {"sub": "ann", "roles": ["viewer", role, "unheard"], "email": "a@x.example"}
    client = pages.test_client()
    enter(client)
    verdict = client.post("/transactions/t-1/verdict", base_url=PAGE)
    assert verdict.status_code == (400 if "review" in ROLES[role] else 403), "400: without a token"


@pytest.mark.parametrize("roles", [[], "staff", ["Admin"], None, 7, {"admin": True}], ids=str)
def test_without_a_role_nobody_comes_in(pages: Flask, openid: OpenId, roles: object) -> None:
    openid.claims = {"sub": "ann", "roles": roles}
    refused = enter(client := pages.test_client())
    assert refused.status_code == 403
    assert b"gives you none of viewer, analyst, operator, admin" in refused.data
    assert client.get("/rows", base_url=PAGE).status_code == 401


WRONG: dict[str, Callable[[OpenId], None]] = {
    "has expired": lambda it: it.claims.update(exp=time.time() - 60),
    "another audience": lambda it: it.claims.update(aud="another"),
    "another issuer": lambda it: it.claims.update(iss="https://evil.example"),
    "begun elsewhere": lambda it: it.claims.update(nonce="another"),
    "for another client": lambda it: it.claims.update(azp="another"),
    "who you are": lambda it: it.claims.update(sub=""),
    "no key with the kid": lambda it: setattr(it, "algorithm", "EdDSA"),
}


@pytest.mark.parametrize("why", WRONG)
def test_an_id_token_that_does_not_hold_lets_nobody_in(
    pages: Flask, openid: OpenId, why: str
) -> None:
    WRONG[why](openid)
    refused = enter(client := pages.test_client())
    assert (refused.status_code, why.encode() in refused.data) == (403, True), refused.data
    assert client.get("/rows", base_url=PAGE).status_code == 401


def test_a_sign_in_ends_in_the_browser_that_began_it_and_once(pages: Flask) -> None:
    client, other = pages.test_client(), pages.test_client()
    back = sent_back(begun(client))
    assert ended(other, back).status_code == 422
    begun(other)
    assert ended(other, back).status_code == 403, "another state"
    assert ended(client, back).status_code == 303
    assert ended(client, back).status_code == 422
    begun(client)
    denied = ended(client, f"{PAGE}/sign-in/oidc/back?error=access_denied")
    assert denied.status_code == 403
    assert b"access_denied" in denied.data


def test_a_forged_code_and_a_wrong_secret_let_nobody_in(
    pages: Flask, openid: OpenId, tmp_path: Path
) -> None:
    client = pages.test_client()
    state = urlsplit(begun(client)).query.partition("state=")[2].partition("&")[0]
    assert ended(client, f"{PAGE}/sign-in/oidc/back?code=x&state={state}").status_code == 403
    given = settings(tmp_path, openid)
    (tmp_path / "secret").write_text("another")
    with applications(tmp_path, **given) as (_, app):
        assert enter(app.test_client()).status_code == 403


def test_while_the_provider_is_away_it_is_503(tmp_path: Path, openid: OpenId) -> None:
    given = settings(tmp_path, openid)
    with applications(tmp_path, **given | {"oidc_issuer": f"{openid.address}/x"}) as (_, app):
        assert app.test_client().get("/sign-in/oidc", base_url=PAGE).status_code == 503
    openid.told = {"issuer": "https://another.example"}
    with applications(tmp_path, **given) as (_, app):
        answer = app.test_client().get("/sign-in/oidc", base_url=PAGE)
        assert answer.status_code == 503
        assert b"it calls itself https://another.example" in answer.data


def test_without_a_provider_there_is_no_such_way(tmp_path: Path) -> None:
    with applications(tmp_path) as (_, app):
        client = app.test_client()
        for path in ("/sign-in/oidc", "/sign-in/oidc/back"):
            assert client.get(path, base_url="http://127.0.0.1:5001").status_code == 404


def test_a_session_by_a_provider_ends_with_it(tmp_path: Path, openid: OpenId) -> None:
    with applications(tmp_path, **settings(tmp_path, openid)) as (_, app):
        enter(client := app.test_client())
        assert client.get("/rows", base_url=PAGE).status_code == 200
        app.extensions["tidegate"].provider = None
        assert client.get("/rows", base_url=PAGE).status_code == 401


def test_settings_that_are_not_whole_are_refused(tmp_path: Path, openid: OpenId) -> None:
    whole = settings(tmp_path, openid) | {"home": str(tmp_path)}
    check_keys(Settings(**whole), pages_only=True)
    assert provider_of(Settings(home=tmp_path)) is None
    for name in ("oidc_issuer", "oidc_client", "oidc_secret_file", "oidc_address"):
        with pytest.raises(ConfigError, match=f"TIDEGATE_{name.upper()}"):
            provider_of(Settings(**{key: value for key, value in whole.items() if key != name}))
    for name in ("oidc_issuer", "oidc_address"):
        with pytest.raises(ConfigError, match=r"only an address with https"):
            provider_of(Settings(**whole | {name: "http://id.example"}))
    with pytest.raises(ConfigError, match="TIDEGATE_OIDC_SECRET_FILE"):
        provider_of(Settings(**whole | {"oidc_secret_file": str(tmp_path / "none")}))
