"""Requests that come again, and clients whose ids are their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text

from db.answers import KEPT_US, Answers, FirstAnswer, forget, naming
from db.engine import open_database
from db.erasing import erase
from tests.access.web import applications, bearer, key
from tests.web import persist, scored, transaction
from tidegate.profile import load_profile

FIRST = FirstAnswer(b"r", 202, b"{}", "/v1/transactions/x")


def test_the_first_answer_is_kept_for_a_day(url: str) -> None:
    answers = Answers(url)
    try:
        assert answers.get(b"k", 0) is None
        answers.keep(b"k", FIRST, 1000)
        answers.keep(b"k", FIRST._replace(status=422), 2000)
        assert answers.get(b"k", 1000 + KEPT_US - 1) == FIRST
        assert answers.get(b"k", 1000 + KEPT_US) is None
        answers.keep(b"k", FIRST._replace(status=422), 1000 + KEPT_US)
        assert answers.get(b"k", 1000 + KEPT_US) == FIRST._replace(status=422)
    finally:
        answers.close()


def test_old_answers_are_deleted(url: str) -> None:
    for at in (1000, 1000 + 3 * KEPT_US):
        answers = Answers(url)
        answers.keep(b"k%d" % at, FIRST, at)
        answers.close()
    database = open_database(url, "read")
    with database.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM answers")).scalar_one() == 1
    database.close()


def test_few_answers_are_deleted_when_they_are_too_old(url: str) -> None:
    """Not only every thousandth one looks."""
    answers = Answers(url)
    for day in range(10):
        answers.keep(b"k%d" % day, FIRST, 1000 + day * KEPT_US)
    answers.close()
    database = open_database(url, "read")
    with database.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM answers")).scalar_one() == 2
    database.close()


@contextmanager
def per_client(home: Path) -> Iterator[Flask]:
    profile = home / "card.yaml"
    profile.write_text(load_profile("card").path.read_text() + "\nids: per_client\n")
    with applications(home, auth="keys", profile=str(profile)) as (api, _):
        yield api


def test_a_repeat_gets_the_first_answer_also_from_another_worker(tmp_path: Path) -> None:
    bad = transaction(None, amount=-1)
    asked = [
        ("/v1/transactions", transaction(None)),
        ("/v1/transactions?wait_ms=0", transaction("own")),
        ("/v1/transactions", bad),
        ("/v1/transactions/batch", [transaction(None), bad]),
        ("/v1/transactions/batch", [bad]),
        ("/v1/feedback", {"transaction_id": "t", "verdict": "fraud"}),
    ]
    first = []
    for again in (False, True):
        with applications(tmp_path) as (api, _):
            for number, (path, body) in enumerate(asked):
                headers = {"Idempotency-Key": f"k-{number}"}
                answer = api.test_client().post(path, json=body, headers=headers)
                told = answer.status_code, answer.data, answer.content_type
                if not again:
                    first.append((*told, answer.headers.get("Location")))
                assert (*told, answer.headers.get("Location")) == first[number]
                assert answer.headers.get("Idempotency-Replayed") == ("true" if again else None)
    assert [status for status, *_ in first] == [202, 202, 422, 202, 422, 202]


@pytest.mark.parametrize("change", [{"amount": 13}, {"transaction_id": "another"}])
def test_a_key_with_another_body_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    headers, body = {"Idempotency-Key": "k"}, transaction(None)
    with applications(tmp_path) as (api, _):
        assert api.test_client().post("/v1/transactions", json=body, headers=headers)
        answer = api.test_client().post("/v1/transactions", json=body | change, headers=headers)
        assert (answer.status_code, answer.get_json()["type"]) == (409, "/docs#conflicting_key")
        long = api.test_client().post(
            "/v1/transactions", json=body, headers={"Idempotency-Key": "k" * 256}
        )
        assert long.status_code == 422


def test_clients_with_ids_of_their_own_never_meet(tmp_path: Path) -> None:
    with per_client(tmp_path) as api:
        clients = [bearer(key(tmp_path, name, "ingest", "review")) for name in ("shop", "bank")]
        found = []
        for number, own in enumerate(clients):
            post, body = api.test_client().post, transaction("t-1", amount=10 + number)
            one = post("/v1/transactions", json=body, headers=own).get_json()
            both = post("/v1/transactions/batch", json=[body], headers=own)
            derived = post(
                "/v1/transactions",
                json=transaction(None, amount=number + 1),
                headers=own | {"Idempotency-Key": "k"},
            )
            assert (both.status_code, derived.status_code) == (202, 202)
            assert one["transaction_id"] == both.get_json()["id_prefix"] + "t-1"
            verdict = {"verdict": "fraud", "transaction": body}
            given = post("/v1/feedback", json=verdict, headers=own | {"Idempotency-Key": "k"})
            assert given.get_json()["transaction_ids"] == [one["transaction_id"]]
            found += [one, derived.get_json(), {"transaction_id": given.get_json()["label_ids"][0]}]
        ids = [one["transaction_id"] for one in found]
        assert len(set(ids)) == 6
        assert (ids[0], ids[3]) == ("shop:t-1", "bank:t-1")


def test_an_id_that_is_too_long_with_the_clients_name(tmp_path: Path) -> None:
    with per_client(tmp_path) as api:
        own = bearer(key(tmp_path, "shop", "ingest"))
        for length, status in ((123, 202), (124, 422)):
            body = transaction("t" * length)
            answer = api.test_client().post("/v1/transactions", json=body, headers=own)
            assert answer.status_code == status
        assert answer.get_json()["errors"][0]["field"] == "transaction_id"


def test_whose_ids_are_whose_changes_no_state(tmp_path: Path) -> None:
    card = load_profile("card")
    (tmp_path / "card.yaml").write_text(card.path.read_text() + "\nids: per_client\n")
    assert load_profile(str(tmp_path / "card.yaml")).hash == card.hash


def test_what_is_erased_is_no_first_answer_any_more(tmp_path: Path) -> None:
    bodies: list[object] = [
        transaction("gone/1", user_id="u-1"),
        transaction("kept", user_id="u-2"),
        [transaction(None, user_id="u-1"), transaction("kept-2", user_id="u-2")],
    ]
    with applications(tmp_path) as (api, _):
        for number, body in enumerate(bodies):
            path = "/v1/transactions" + ("/batch" if isinstance(body, list) else "")
            answer = api.test_client().post(
                path, json=body, headers={"Idempotency-Key": f"k-{number}"}
            )
            assert answer.status_code == 202
        [made] = answer.get_json()["generated_ids"].values()
        settings = api.extensions["tidegate"].settings
        card = load_profile("card")
        frames = [
            scored(card, transaction(name, user_id=user))
            for name, user in (("gone/1", "u-1"), (made, "u-1"), ("kept", "u-2"))
        ]
        persist(settings.db_url, api.extensions["tidegate"].broker, card, frames)
        assert erase(settings.db_url, "u-1", "ann").rows == 2
    database = open_database(settings.db_url, "read")
    with database.engine.connect() as connection:
        left = connection.execute(text("SELECT location, body FROM answers")).all()
    database.close()
    assert [row.location for row in left] == ["/v1/transactions/kept"]


def test_every_form_of_an_answer_names_its_transactions(url: str) -> None:
    answers = Answers(url)
    told = {
        b"address": FirstAnswer(b"r", 200, b'{"is_anomaly":true}', "/v1/transactions/a%2Fb"),
        b"query": FirstAnswer(b"r", 202, b"{}", "/v1/transactions?id=."),
        b"inside": FirstAnswer(b"r", 200, b'{"predictions":[{"transaction_id":"c"}]}', ""),
        b"without": FirstAnswer(b"r", 200, b"", ""),
    }
    for key_, answer in told.items():
        answers.keep(key_, answer, 1000)
    answers.close()
    database = open_database(url)
    found = [naming(database, ids) for ids in (["a/b"], ["."], ["c", "x"], ["d"], [])]
    with database.engine.begin() as connection:
        forget(connection, [b"address", b"query"])
        assert connection.execute(text("SELECT count(*) FROM answers")).scalar_one() == 2
    database.close()
    assert found == [[b"address"], [b"query"], [b"inside"], [], []]
