"""The parts of the check at the door: the ring of keys, names, and when a key is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from db.keys import KeyStore, all_keys, create, revoke, rotate
from tests.access.web import applications, bearer, key
from tidegate.access.door import Denied, Door, asks_keys
from tidegate.access.hosts import Names
from tidegate.access.keys import Key, KeyRing, digest, new_key
from tidegate.access.recent import SECONDS, Recent
from tidegate.errors import ConfigError, Retry
from tidegate.settings import Settings

DAY_US = 86_400_000_000


class Table:
    """Keys that a ring reads, how often it did, and whether the database is away."""

    def __init__(self) -> None:
        self.keys: list[Key] = []
        self.reads, self.away = 0, False

    def add(self, name: str, **changes: int) -> str:
        text = new_key()
        self.keys.append(Key(name, name, digest(text), ("read",), 0, **changes))
        return text

    def read(self) -> list[Key]:
        self.reads += 1
        if self.away:
            raise Retry("the database is away")
        return list(self.keys)


def test_a_ring_reads_every_few_seconds_whatever_is_asked() -> None:
    table, now = Table(), [100.0]
    ring = KeyRing(table.read, clock=lambda: now[0])
    known = table.add("shop")
    for _ in range(1000):
        assert ring.find(known)
    assert table.reads == 1
    for _ in range(1000):
        assert ring.find(new_key()) is None, "guessed"
    assert table.reads == 1, "a guess does not reach the database more often than twice a second"
    fresh = table.add("new")
    now[0] += 0.6
    assert ring.find(fresh)
    table.keys.clear()
    assert ring.find(known), "for some seconds"
    now[0] += SECONDS + 0.1
    assert ring.find(known) is None


def test_what_is_read_seldom_is_tried_soon_again_until_it_is_known() -> None:
    """As the keys of a token's issuer: every five minutes, but not only then after a failure."""
    table, now = Table(), [0.0]
    seldom = Recent(table.read, clock=lambda: now[0])
    table.away = True
    with pytest.raises(Retry):
        seldom.get(300.0)
    table.away = False
    now[0] += 1
    assert seldom.get(300.0) == []
    table.add("shop")
    now[0] += 200
    assert (seldom.get(300.0), table.reads) == ([], 2)


def test_a_key_with_a_scope_that_is_no_more_holds_and_is_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = [0.0]
    old = Key("k1", "ops", digest("secret"), ("read", "redrive"), 0)
    ring = KeyRing(lambda: [old], clock=lambda: clock[0])
    for _ in range(3):
        found = ring.find("secret")
        assert found is not None
        assert found.scopes == {"read"}
        clock[0] += 60
    [said] = [record.getMessage() for record in caplog.records]
    assert said == "the key ops (k1) has scopes that open nothing: redrive"


def test_known_keys_hold_while_the_database_is_away() -> None:
    table, now = Table(), [0.0]
    ring = KeyRing(table.read, clock=lambda: now[0], wall_us=lambda: int(now[0] * 1e6))
    table.away = True
    with pytest.raises(Retry):
        ring.find(new_key())
    table.away = False
    now[0] += SECONDS + 1
    lasting, ending = table.add("lasting"), table.add("ending", expires_us=60_000_000)
    assert ring.find(lasting)
    assert ring.find(ending)
    table.away = True
    now[0] += 3600
    assert ring.find(lasting)
    assert ring.find(ending) is None, "an end that was known holds"


def test_keys_in_both_databases(url: str) -> None:
    key, text = create(url, "shop", ["ingest", "read"], 10, 10 + 5 * DAY_US)
    assert (digest(text), key.scopes) == (key.hash, ("ingest", "read"))
    with pytest.raises(ConfigError, match="there is a key shop"):
        create(url, "shop", ["admin"], 20)
    second, _ = rotate(url, "shop", 2 * DAY_US, DAY_US)
    assert second.expires_us == 2 * DAY_US + 5 * DAY_US
    first = next(one for one in all_keys(url) if one.id == key.id)
    assert first.expires_us == 3 * DAY_US
    assert [one.id for one in revoke(url, second.id, 2 * DAY_US)] == [second.id]
    assert [one.id for one in revoke(url, "shop", 2 * DAY_US)] == [key.id]
    for change in (revoke, lambda *arguments: rotate(*arguments, 0)):
        with pytest.raises(ConfigError, match="no key shop holds"):
            change(url, "shop", 2 * DAY_US)
    store = KeyStore(url)
    assert store.read() == []
    store.close()
    assert create(url, "shop", ["read"], 30)[0].name == "shop", "the name is free again"
    assert text not in str(all_keys(url))


def test_where_there_is_no_table_there_is_no_key(empty: str) -> None:
    assert all_keys(empty) == []


@pytest.mark.parametrize(
    ("auth", "host", "asked"),
    [
        ("auto", "127.0.0.1", False),
        ("auto", "::1", False),
        ("auto", "localhost", False),
        ("auto", "0.0.0.0", True),  # noqa: S104 - what is tested
        ("auto", "::", True),
        ("auto", "192.168.1.2", True),
        ("auto", "tidegate.example", True),
        ("keys", "127.0.0.1", True),
        ("off", "0.0.0.0", False),  # noqa: S104
    ],
)
def test_when_a_key_is_asked_for(
    auth: Literal["auto", "keys", "off"], host: str, asked: bool
) -> None:
    assert asks_keys(Settings(auth=auth, host=host)) == asked


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:5000",
        "localhost:5000",
        "LOCALHOST",
        "localhost.:5000",
        "app.localhost",
        "[::1]:5000",
        "",
    ],
)
def test_names_of_this_machine(host: str) -> None:
    assert Names().foreign({"HTTP_HOST": host}) == ""
    assert Names().foreign({"HTTP_HOST": host, "HTTP_ORIGIN": f"http://{host}"}) == ""


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("evil.example:5000", None),
        ("127.0.0.1.evil.example", None),
        ("localhost.evil.example:5000", None),
        ("192.168.1.7:5000", None),
        ("8.8.8.8", None),
        ("[::2]:5000", None),
        ("127.0.0.1:5000", "http://evil.example"),
        ("127.0.0.1:5000", "http://127.0.0.1:3000"),
        ("127.0.0.1:5000", "null"),
        ("", "http://evil.example"),
    ],
)
def test_a_web_page_from_elsewhere_is_turned_away(host: str, origin: str | None) -> None:
    environ = {"HTTP_HOST": host} | ({} if origin is None else {"HTTP_ORIGIN": origin})
    assert Names().foreign(environ)
    door = Door(Settings(), KeyRing(list))
    with pytest.raises(Denied) as denied:
        door.admit(environ, "read")
    assert denied.value.kind == "foreign"


def test_a_proxy_may_have_names_of_its_own() -> None:
    door = Door(Settings(hosts="fraud.example, x"), KeyRing(list))
    assert door.admit({"HTTP_HOST": "fraud.example"}, "read").may("models")
    with pytest.raises(Denied):
        door.admit({"HTTP_HOST": "other.example"}, "read")


def test_rebinding_does_not_reach_either_application(tmp_path: Path) -> None:
    with applications(tmp_path) as (api, pages):
        for app, path in ((api, "/v1/transactions"), (api, "/metrics"), (pages, "/rows")):
            assert app.test_client().get(path).status_code == 200
            refused = app.test_client().get(path, headers={"Host": "evil.example:5000"})
            assert refused.status_code == 403, path
        posted = api.test_client().post(
            "/v1/transactions", json={}, headers={"Origin": "http://evil.example"}
        )
        assert (posted.status_code, posted.get_json()["type"]) == (403, "/docs#foreign")


def test_a_key_that_is_shown_on_loopback_counts(tmp_path: Path) -> None:
    with applications(tmp_path) as (api, _):
        reader = key(tmp_path, "reader", "read")
        client = api.test_client()
        assert client.get("/v1/transactions", headers=bearer(reader)).status_code == 200
        assert client.post("/v1/feedback", json={}, headers=bearer(reader)).status_code == 403
        assert client.get("/v1/transactions", headers=bearer(new_key())).status_code == 401
