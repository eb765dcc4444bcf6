"""Every endpoint of both applications, for everyone: who is let in, what the others are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.access.web import applications, bearer, key, requests
from tidegate.access.keys import new_key
from tidegate.access.scopes import API, DASHBOARD, OPEN, SCOPES
from tidegate.clock import now_us

TABLES = {"producers": API, "dashboard": DASHBOARD}
STRANGERS = {
    "no key": {},
    "forged": bearer(new_key()),
    "empty": bearer(""),
    "not ASCII": bearer("ключ"),
    "Basic": {"Authorization": "Basic dGlkZWdhdGU6eA=="},
    "alg none": bearer("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsInNjb3BlIjoiYWRtaW4ifQ."),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("access")


@pytest.fixture(scope="module")
def apps(home: Path) -> Iterator[tuple[Flask, Flask]]:
    with applications(home, auth="keys") as both:
        yield both


@pytest.fixture(scope="module")
def keys(apps: tuple[Flask, Flask], home: Path) -> dict[str, str]:
    """A key for each scope, by the scope."""
    assert apps, "they have made the tables"
    return {scope: key(home, f"only-{scope}", scope) for scope in SCOPES}


def test_every_endpoint_has_a_scope_and_every_scope_is_one(apps: tuple[Flask, Flask]) -> None:
    for app in apps:
        assert {endpoint for endpoint, _, _ in requests(app)} == TABLES[app.name].keys()
        assert set(TABLES[app.name].values()) <= SCOPES.keys() | {OPEN}


def test_every_scope_is_asked_for_somewhere() -> None:
    asked = {scope for table in TABLES.values() for scope in table.values()}
    assert asked - {OPEN} == SCOPES.keys() - {"admin"}


def test_who_may_do_what(
    apps: tuple[Flask, Flask],
    keys: dict[str, str],
    record_property: Callable[[str, object], None],
) -> None:
    asked = 0
    for app in apps:
        for endpoint, method, path in requests(app):
            needed = TABLES[app.name][endpoint]
            for scope, own in keys.items():
                answer = app.test_client().open(path, method=method, headers=bearer(own))
                may = needed in (OPEN, scope) or scope == "admin"
                assert (answer.status_code != 403) == may, (endpoint, scope, answer.data)
                assert answer.status_code != 401
                if not may:
                    assert f'scope="{needed}"' in answer.headers["WWW-Authenticate"]
                    assert f"needs the scope {needed}".encode() in answer.data
                answer.close()
                asked += 1
    record_property("requests", asked)  # in the file of --junitxml
    assert asked == len(SCOPES) * sum(len(requests(app)) for app in apps)


@pytest.mark.parametrize("stranger", STRANGERS)
def test_strangers_meet_a_closed_door(apps: tuple[Flask, Flask], stranger: str) -> None:
    for app in apps:
        for endpoint, method, path in requests(app):
            answer = app.test_client().open(path, method=method, headers=STRANGERS[stranger])
            closed = TABLES[app.name][endpoint] != OPEN
            assert (answer.status_code == 401) == closed, (endpoint, answer.data)
            assert answer.headers.get("WWW-Authenticate", "").startswith("Bearer") == closed
            answer.close()


def test_expired_and_foreign_keys_do_not_hold(
    apps: tuple[Flask, Flask], home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with applications(elsewhere, auth="keys") as others:
        assert others
        foreign = key(elsewhere, "admin", "admin")
    expired = key(home, "old", "admin", expires_us=now_us() - 1)
    for app, path in zip(apps, ("/v1/transactions", "/rows"), strict=True):
        for wrong in (foreign, expired):
            answer = app.test_client().get(path, headers=bearer(wrong))
            assert answer.status_code == 401
            assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_a_transaction_with_its_verdict_needs_both_scopes(
    apps: tuple[Flask, Flask], keys: dict[str, str]
) -> None:
    verdict = {"verdict": "fraud", "transaction": {"transaction_id": "x"}}
    answer = (
        apps[0].test_client().post("/v1/feedback", json=verdict, headers=bearer(keys["review"]))
    )
    assert answer.status_code == 403
    assert "ingest" in answer.get_json()["detail"]
