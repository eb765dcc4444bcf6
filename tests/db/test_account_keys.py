"""The keys of accounts in both databases: made once, wrapped, destroyed, and no other's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import event, text

from db.account_keys import AccountKeys
from db.engine import open_database
from db.erasing import erase, erased_at
from db.migrate import migrate
from tests.db.scored import Writer, values
from tidegate.errors import ConfigError, Retry
from tidegate.messages.ciphertext import ERASED, key_id
from tidegate.messages.vault import SECONDS, Vault

pytestmark = pytest.mark.processes
SECRET = b"wrapped by thirty-two bytes here"
PLAIN = b'{"account":"tok_a"}'


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_one_key_an_account_whoever_makes_it_first(url: str) -> None:
    accounts = [b"tok_%d" % number for number in range(1_200)]
    stores = [AccountKeys(url, SECRET) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda store: store.of_accounts(accounts), stores))
    ids = [{account: key.id for account, key in keys.items()} for keys in made]
    assert ids[0].keys() == set(accounts)
    assert all(each == ids[0] for each in ids)
    assert len(set(ids[0].values())) == 1_200
    known = stores[0].by_id([*ids[0].values(), b"unknown!"])
    assert known.keys() == set(ids[0].values())
    for store in stores:
        store.close()


def test_what_was_encrypted_is_closed_seconds_after_the_account_is_erased(url: str) -> None:
    clock = Clock()
    store = AccountKeys(url, SECRET)
    vault = Vault(store, clock)
    old, other = vault.encrypt([b"tok_a", b"tok_b"], [PLAIN, PLAIN])
    writer = Writer(url)
    writer.write(*values(["a1", "a2"], account="tok_a"))
    writer.sink.close()
    assert vault.decrypt([old, other, b"{}", None]) == [PLAIN, PLAIN, b"{}", None]
    assert erase(url, "tok_a", "ann", SECRET)[:2] == (2, True)
    clock.now = SECONDS
    assert vault.decrypt([old, other]) == [ERASED, PLAIN]
    [new] = vault.encrypt([b"tok_a"], [PLAIN])
    assert key_id(new) != key_id(old)
    assert vault.decrypt([new, old]) == [PLAIN, ERASED]
    assert erased_at(url, SECRET, ["a1", "a2", "b"]).keys() == {"a1", "a2"}
    assert erased_at(url, SECRET[::-1], ["a1", "a2"]) == {}
    assert erase(url, "tok_a", "ann", SECRET)[:2] == (0, True)
    assert erase(url, "tok_a", "ann", SECRET)[:2] == (0, False)
    store.close()


def test_a_new_key_is_durable_before_it_is_used(url: str) -> None:
    store, said = AccountKeys(url, SECRET), list[str]()
    engine = store._writer.engine
    event.listen(engine, "before_cursor_execute", lambda *told: said.append(told[2]))
    store.of_accounts([b"tok_a"])
    inserted = next(place for place, each in enumerate(said) if each.startswith("INSERT"))
    if store._writer.file is None:
        assert "SET LOCAL synchronous_commit = on" in said[:inserted]
    else:
        with engine.connect() as connection:
            assert connection.scalar(text("PRAGMA synchronous")) == 2, "FULL"
    store.close()


def test_of_a_destroyed_key_nothing_is_left_but_its_id(url: str) -> None:
    store = AccountKeys(url, SECRET)
    key = store.of_accounts([b"tok_a"])[b"tok_a"]
    erase(url, "tok_a", "ann", SECRET)
    database = open_database(url, "read")
    with database.engine.connect() as connection:
        [row] = connection.execute(text("SELECT * FROM account_keys")).all()
    database.close()
    assert (bytes(row.id), row.account, row.wrapped) == (key.id, None, None)
    assert row.destroyed_us > row.created_us
    store.close()


def test_sqlite_overwrites_the_key_in_its_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'tidegate.db'}"
    migrate(url)
    store = AccountKeys(url, SECRET)
    store.of_accounts([b"tok_a"])
    store.close()
    database = open_database(url, "read")
    with database.engine.connect() as connection:
        wrapped = connection.scalar(text("SELECT wrapped FROM account_keys"))
    database.close()
    assert wrapped in b"".join(file.read_bytes() for file in tmp_path.iterdir())
    erase(url, "tok_a", "ann", SECRET)
    assert wrapped not in b"".join(file.read_bytes() for file in tmp_path.iterdir())


def test_a_key_that_this_database_never_had_is_waited_for(url: str) -> None:
    store = AccountKeys(url, SECRET)
    [foreign] = Vault(store).encrypt([b"tok_a"], [PLAIN])
    database = open_database(url)
    with database.engine.begin() as connection:
        connection.execute(text("DELETE FROM account_keys"))
    database.close()
    with pytest.raises(Retry, match=r"which the database .* never had: let TIDEGATE_DB name"):
        Vault(store).decrypt_known([foreign])
    store.close()


def test_a_database_that_is_away_is_waited_for() -> None:
    store = AccountKeys("postgresql://me:secret@127.0.0.1:1/none", SECRET)
    with pytest.raises(Retry, match="is away") as caught:
        Vault(store).encrypt([b"tok_a"], [PLAIN])
    assert "secret" not in str(caught.value)
    store.close()


def test_another_secret_and_another_database_are_told(url: str, tmp_path: Path) -> None:
    store, other = AccountKeys(url, SECRET), AccountKeys(url, SECRET[::-1])
    store.of_accounts([b"tok_a"])
    with pytest.raises(ConfigError, match="TIDEGATE_TOKEN_KEY is not the key by which"):
        other.of_accounts([b"tok_a"])
    empty = AccountKeys(f"sqlite:///{tmp_path / 'empty.db'}", SECRET)
    with pytest.raises(ConfigError, match="has no table account_keys"):
        empty.of_accounts([b"tok_a"])
    for each in (store, other, empty):
        each.close()
