"""People: passwords, sessions, roles, and what a page of another site cannot do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import dashboard.app
from dashboard import sign_in
from db.keys import revoke
from db.migrate import migrate
from db.store import Store
from db.users import add, all_users, remove, set_password
from tests.access.web import applications, bearer, key, requests
from tests.producers.running_api import TOPICS
from tidegate.access import users as people
from tidegate.access.scopes import DASHBOARD, OPEN
from tidegate.access.users import ROLES, Throttle, User, hashed, is_password
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.clock import now_us
from tidegate.errors import ConfigError
from tidegate.profile import load_profile
from tidegate.settings import Settings

PASSWORD = "correct horse battery"  # noqa: S105 - what is tested
HTML = {"Accept": "text/html"}
HTTPS = "https://fraud.example"


@pytest.fixture(autouse=True)
def untried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "throttle", Throttle(clock=lambda: 0.0))


def user(home: Path, name: str, role: str = "analyst") -> None:
    add(Settings(home=home).db_url, User(name, hashed(PASSWORD), role, now_us()))


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Flask]:
    """Beyond loopback, with a user for each role."""
    with applications(tmp_path, host="0.0.0.0") as (_, app):  # noqa: S104 - what is tested
        for role in ROLES:
            user(tmp_path, role, role)
        yield app


def token(client: FlaskClient, base: str = HTTPS) -> str:
    page = client.get("/sign-in", base_url=base).get_data(as_text=True)
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found
    return found[1]


def enter(
    client: FlaskClient, name: str, password: str = PASSWORD, back: str = "", base: str = HTTPS
) -> TestResponse:
    form = {"csrf_token": token(client, base), "name": name, "password": password}
    return client.post(
        "/sign-in",
        query_string={"back": back},
        data=form,
        base_url=base,
        headers={"Referer": f"{base}/sign-in"},
    )


def test_who_is_not_signed_in_is_led_to_the_form_and_back(pages: Flask) -> None:
    client = pages.test_client()
    led = client.get("/transactions/t-1?x=1", base_url=HTTPS, headers=HTML)
    assert (led.status_code, led.headers["Location"]) == (
        303,
        "/sign-in?back=/transactions/t-1?x%3D1",
    )
    assert client.get("/rows", base_url=HTTPS, headers={"Accept": "*/*"}).status_code == 401
    assert client.post("/transactions/t-1/verdict", base_url=HTTPS).status_code == 401
    entered = enter(client, "analyst", back="/transactions/t-1?x=1")
    assert entered.headers["Location"] == "/transactions/t-1?x=1"
    assert client.get("/", base_url=HTTPS).status_code == 200


@pytest.mark.parametrize("back", ["//evil.example", "https://evil.example", "/\\evil", "x", ""])
def test_the_way_back_is_never_to_another_site(pages: Flask, back: str) -> None:
    assert enter(pages.test_client(), "viewer", back=back).headers["Location"] == "/"


def test_each_role_may_do_what_its_scopes_say(
    pages: Flask, record_property: Callable[[str, object], None]
) -> None:
    asked = 0
    for role, scopes in ROLES.items():
        client = pages.test_client()
        assert enter(client, role).status_code == 303
        for endpoint, method, path in requests(pages):
            if endpoint.startswith(("sign_in.", "oidc.")):
                continue
            needed = DASHBOARD[endpoint]
            answer = client.open(path, method=method, base_url=HTTPS)
            may = needed == OPEN or needed in scopes
            assert (answer.status_code != 403) == may, (role, endpoint)
            assert answer.status_code != 401
            answer.close()
            asked += 1
    record_property("requests", asked)
    assert asked >= len(ROLES) * 10


def test_the_cookie_is_for_this_site_alone_and_for_no_script(pages: Flask) -> None:
    cookie = enter(pages.test_client(), "viewer").headers["Set-Cookie"]
    assert cookie.startswith("tidegate_session=")
    assert {"Secure", "HttpOnly", "SameSite=Lax"} <= {part.strip() for part in cookie.split(";")}


def test_a_forged_or_an_old_session_is_none(pages: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    client = pages.test_client()
    forged = pages.test_client()
    forged.set_cookie(
        "tidegate_session", "eyJ1c2VyIjoiYWRtaW4ifQ.aaaa.bbbb", domain="fraud.example"
    )
    assert forged.get("/rows", base_url=HTTPS).status_code == 401
    enter(client, "viewer")
    assert client.get("/rows", base_url=HTTPS).status_code == 200
    monkeypatch.setattr("dashboard.access.now_us", lambda: now_us() + 12 * 3_600_000_000 + 1)
    assert client.get("/rows", base_url=HTTPS).status_code == 401


@pytest.mark.parametrize("end", ["password", "removed", "signed out"])
def test_a_session_ends(
    pages: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    url, client = Settings(home=tmp_path).db_url, pages.test_client()
    enter(client, "viewer")
    if end == "password":
        set_password(url, "viewer", hashed(PASSWORD + "2"), now_us())
    elif end == "removed":
        remove(url, "viewer")
    else:
        form = {"csrf_token": token(client)}
        client.post("/sign-out", data=form, base_url=HTTPS, headers={"Referer": HTTPS})
    monkeypatch.setattr(pages.extensions["tidegate"].users, "_tried", float("-inf"))
    assert client.get("/rows", base_url=HTTPS).status_code == 401


def test_passwords_are_tried_ever_more_slowly(pages: Flask) -> None:
    client = pages.test_client()
    tries = [enter(client, "viewer", "wrong password") for _ in range(6)]
    assert [answer.status_code for answer in tries] == [422] * 5 + [429]
    assert tries[-1].headers["Retry-After"] == "1"
    right = enter(client, "viewer")
    assert right.status_code == 429, "also the right one has to wait"
    assert enter(client, "analyst").status_code == 303, "others do not"


def test_a_throttle_forgets_and_forgives() -> None:
    now = [0.0]
    throttle = Throttle(clock=lambda: now[0], most=2)
    assert [throttle.begin("ann") for _ in range(6)] == [0] * 5 + [1]
    waits = []
    for _ in range(9):
        now[0] += 1000
        assert throttle.begin("ann") == 0
        waits.append(throttle.begin("ann"))
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60, 60]
    throttle.succeeded("ann")
    assert [throttle.begin("ann") for _ in range(5)] == [0] * 5
    for name in ("b", "c"):
        throttle.begin(name)
    assert throttle.begin("ann") == 0, "no more names than fit"


def test_every_change_needs_the_token_of_its_page(pages: Flask) -> None:
    client = pages.test_client()
    enter(client, "analyst")
    verdict = "/transactions/t-1/verdict"
    form = {"verdict": "fraud"}
    refused = client.post(verdict, data=form, base_url=HTTPS, headers={"Referer": HTTPS})
    assert refused.status_code == 400
    form["csrf_token"] = token(client)
    elsewhere = client.post(
        verdict, data=form, base_url=HTTPS, headers={"Referer": "https://evil.example/"}
    )
    assert elsewhere.status_code == 400
    taken = client.post(verdict, data=form, base_url=HTTPS, headers={"Referer": f"{HTTPS}/x"})
    assert (taken.status_code, taken.headers["Location"][-10:]) == (303, "said=fraud")
    stranger = pages.test_client()
    posted = stranger.post("/sign-in", data={"name": "viewer"}, base_url=HTTPS)
    assert posted.status_code == 400, "nobody is signed in from elsewhere"


def test_a_script_with_a_key_needs_no_token(pages: Flask, tmp_path: Path) -> None:
    own = bearer(key(tmp_path, "bot", "review"))
    answer = pages.test_client().post(
        "/transactions/t-1/verdict", data={"verdict": "fraud"}, headers=own
    )
    assert answer.status_code == 303


def test_on_loopback_only_users_make_one_sign_in(tmp_path: Path) -> None:
    here = "http://127.0.0.1:5001"
    with applications(tmp_path) as (api, pages):
        client = pages.test_client()
        assert client.get("/rows", base_url=here).status_code == 200
        form = {"verdict": "fraud"}
        assert client.post("/transactions/t/verdict", data=form, base_url=here).status_code == 400
        form["csrf_token"] = token(client, here)
        assert client.post("/transactions/t/verdict", data=form, base_url=here).status_code == 303
        user(tmp_path, "ann")
        pages.extensions["tidegate"].users._tried = float("-inf")
        assert client.get("/rows", base_url=here).status_code == 401
        assert enter(client, "ann", base=here).status_code == 303
        assert client.get("/rows", base_url=here).status_code == 200
        assert api.test_client().get("/v1/transactions").status_code == 200


def test_users_in_both_databases(url: str) -> None:
    ann = User("ann", hashed(PASSWORD), "viewer", 1)
    add(url, ann)
    with pytest.raises(ConfigError, match="there is a user ann"):
        add(url, ann)
    set_password(url, "ann", hashed("another password"), 5)
    (changed,) = all_users(url)
    assert (changed.name, changed.role, changed.changed_us) == ("ann", "viewer", 5)
    assert [is_password(changed, word) for word in (PASSWORD, "another password")] == [False, True]
    remove(url, "ann")
    with pytest.raises(ConfigError, match="there is no user ann"):
        remove(url, "ann")
    assert all_users(url) == []


def test_passwords_are_kept_by_argon2id_and_nobody_has_none() -> None:
    kept = hashed(PASSWORD)
    assert kept.startswith("$argon2id$")
    assert PASSWORD not in kept
    assert not is_password(None, PASSWORD)
    assert not is_password(User("x", "damaged", "admin", 0), PASSWORD)
    assert not is_password(None, "the password of a user who is not there")
    assert people.User("x", kept, "unheard", 0).principal().scopes == frozenset()


def test_an_open_live_page_ends_with_who_may_not_come_in_any_more(
    pages: Flask, tmp_path: Path
) -> None:
    url, client = Settings(home=tmp_path).db_url, pages.test_client()
    enter(client, "viewer")
    script = pages.test_client()
    own = bearer(key(tmp_path, "bot", "read"))
    streams = [
        client.get("/events", base_url=HTTPS, buffered=False).iter_encoded(),
        script.get("/events", headers=own, buffered=False).iter_encoded(),
    ]
    for stream in streams:
        assert next(stream).startswith(b"retry")
        assert next(stream).startswith(b"data")
    remove(url, "viewer")
    revoke(url, "bot", now_us())
    context = pages.extensions["tidegate"]
    context.users._tried = context.door._ring._keys._tried = float("-inf")
    for stream in streams:
        assert list(stream) == []


def test_a_database_that_there_is_not_is_no_fault_of_the_page(
    tmp_path: Path, postgres: str
) -> None:
    profile, broker = load_profile("card"), MemoryBroker(TOPICS)
    migrate(Settings(home=tmp_path).db_url)
    store = Store(Settings(home=tmp_path).db_url, profile)
    missing = Settings(home=tmp_path, auth="keys", db=f"{postgres}_missing")
    pages = dashboard.app.build_app(missing, broker, store, profile)
    client = pages.test_client()
    healthy = client.get("/healthz", base_url=HTTPS)
    away = client.get("/sign-in", base_url=HTTPS)
    dashboard.app.close_app(pages)
    store.close()
    assert (healthy.status_code, away.status_code) == (200, 503)
    assert "_missing" in away.text
