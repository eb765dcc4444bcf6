"""Who did what: every act is there, none can be changed, and what is changed is found."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from db.audit import START, Act, AuditLog, append, export, record, verify
from db.engine import open_database, writing
from db.keys import create, revoke, rotate
from db.migrate import migrate
from db.users import add, remove, set_password
from tests.access.web import applications, bearer, key
from tidegate.access.users import User
from tidegate.settings import Settings


def acts(url: str) -> list[tuple[str, str, str]]:
    return [(entry.who, entry.what, entry.about) for entry in export(url)]


def run(url: str, *statements: str) -> None:
    database = open_database(url)
    try:
        with database.engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))
    finally:
        database.close()


def unguarded(url: str, statement: str) -> None:
    """As an intruder who may do everything with the database."""
    drops = (
        ("DROP TRIGGER audit_no_UPDATE", "DROP TRIGGER audit_no_DELETE")
        if url.startswith("sqlite")
        else ("DROP TRIGGER audit_no_change ON audit",)
    )
    run(url, *drops, statement)


def filled(url: str, count: int = 5) -> None:
    log = AuditLog(url)
    for number in range(count):
        log.add(Act("ann", "model promoted", f"b{number}", {"n": number, "ä": "ß"}))
    log.close()


def test_entries_are_a_chain(url: str) -> None:
    assert verify(url) == (0, START, None)
    filled(url)
    entries = list(export(url))
    assert [entry.seq for entry in entries] == [1, 2, 3, 4, 5]
    assert json.loads(entries[3].detail) == {"n": 3, "ä": "ß"}
    assert verify(url) == (5, entries[-1].hash, None)
    assert verify(url, [(3, entries[2].hash)]).wrong is None
    assert [entry.seq for entry in export(url, entries[2].at_us)][-3:] == [3, 4, 5]


@pytest.mark.parametrize("what", ["UPDATE audit SET who = 'bob'", "DELETE FROM audit"])
def test_the_database_itself_refuses_a_change(url: str, what: str) -> None:
    filled(url)
    with pytest.raises(DBAPIError, match="only ever added to"):
        run(url, what)
    assert verify(url).entries == 5


@pytest.mark.parametrize(
    ("statement", "wrong"),
    [
        ("UPDATE audit SET who = 'bob' WHERE seq = 2", 2),
        ("UPDATE audit SET what = 'nothing' WHERE seq = 5", 5),
        ("UPDATE audit SET detail = '{}' WHERE seq = 1", 1),
        ("UPDATE audit SET at_us = at_us + 1 WHERE seq = 3", 3),
        ("UPDATE audit SET seq = 9 WHERE seq = 5", 5),
        ("DELETE FROM audit WHERE seq = 3", 3),
        ("DELETE FROM audit WHERE seq = 1", 1),
    ],
)
def test_what_an_intruder_changed_is_found(url: str, statement: str, wrong: int) -> None:
    filled(url)
    unguarded(url, statement)
    assert verify(url).wrong == wrong


def test_a_known_head_finds_what_was_cut_off_or_made_anew(url: str) -> None:
    filled(url)
    entries, head, _ = verify(url)
    unguarded(url, "DELETE FROM audit WHERE seq > 3")
    assert verify(url).wrong is None, "the rest is a chain"
    assert verify(url, [(entries, head)]).wrong == 4
    filled(url, 2)
    assert verify(url).entries == 5
    assert verify(url, [(entries, head)]).wrong == 5


def test_many_at_once_make_one_chain(url: str) -> None:
    threads = [threading.Thread(target=filled, args=(url, 10)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verify(url)[::2] == (40, None)


def test_keys_and_users_are_told_in_the_transaction_that_makes_them(url: str) -> None:
    _, text = create(url, "shop", ["ingest"], 1, by="ann")
    rotate(url, "shop", 2, 5, by="ann")
    revoke(url, "shop", 3, by="bob")
    add(url, User("eve", "hash", "viewer", 1), by="ann")
    set_password(url, "eve", "hash2", 2, by="eve")
    remove(url, "eve", by="bob")
    assert acts(url) == [
        ("ann", "key created", "shop"),
        ("ann", "key rotated", "shop"),
        ("bob", "key revoked", "shop"),
        ("ann", "user added", "eve"),
        ("eve", "password changed", "eve"),
        ("bob", "user removed", "eve"),
    ]
    assert text not in str(list(export(url)))
    assert "hash2" not in str(list(export(url)))


def test_a_crash_of_the_server_takes_no_entry_back(postgres_url: str) -> None:
    migrate(postgres_url)
    with writing(postgres_url) as connection:
        append(connection, Act("ann", "x", "y"))
        assert connection.scalar(text("SHOW synchronous_commit")) == "on"


def test_without_a_table_there_is_nothing_to_tell(empty: str) -> None:
    assert not record(empty, Act("ann", "x", "y"))
    assert verify(empty) == (0, START, None)


def test_what_is_done_by_http_is_told(tmp_path: Path) -> None:
    url = Settings(home=tmp_path).db_url
    with applications(tmp_path) as (api, pages):
        own = bearer(key(tmp_path, "ops", "admin"))
        client = api.test_client()
        assert (
            client.delete("/v1/models/shadow", json={"by": "eve"}, headers=own).status_code == 202
        )
        assert client.delete("/v1/models/canary", json={"by": "ann"}).status_code == 202
        verdicts = [{"transaction_id": f"t-{n}", "verdict": "fraud"} for n in range(2)]
        for given in (verdicts[0], verdicts, verdicts * 11):
            assert client.post("/v1/feedback", json=given, headers=own).status_code == 202
        assert client.post("/v1/feedback", json=verdicts).status_code == 202
        form = {"verdict": "legitimate"}
        pages.test_client().post("/transactions/t-1/verdict", data=form, headers=own)
    assert acts(url)[1:] == [
        ("ops", "shadow set", ""),
        ("ann", "canary set", ""),
        ("ops", "verdict given", "t-0"),
        ("ops", "verdicts given", "2 transactions"),
        ("ops", "verdicts given", "22 transactions"),
        ("ops", "verdict given", "t-1"),
    ]
    details = [json.loads(entry.detail) for entry in export(url)][3:]
    assert [detail["verdicts"] and len(detail["verdicts"]) for detail in details] == [1, 2, None, 1]
    assert [len(detail["sha256"]) for detail in details] == [64] * 4
    assert verify(url).wrong is None


def test_what_cannot_be_told_is_not_done(tmp_path: Path) -> None:
    with applications(tmp_path) as (api, _):
        client = api.test_client()
        api.extensions["tidegate"].audit.close()
        api.extensions["tidegate"].audit = AuditLog("sqlite:////nowhere/there/tidegate.db")
        answer = client.delete("/v1/models/shadow", json={})
        assert (answer.status_code, answer.get_json()["type"]) == (503, "/docs#database_away")
