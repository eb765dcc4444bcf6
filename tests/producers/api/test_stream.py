"""Decisions as server-sent events, from any place on."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from db.keys import create, revoke
from producers.api.feed import MAX_READERS, PING_SECONDS, SLOW_SECONDS, Cursor, Feed, Wanted
from producers.api.told import Told
from tests.producers.running_api import TOPICS, Api, serve
from tests.profile.test_tokens import NUMBER, TOKEN, account, changed, keyed
from tests.web import produce, scored, transaction
from tidegate.broker.addresses import offset_of
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import TopicPartition
from tidegate.client.connection import Connection
from tidegate.client.events import Event, EventReader
from tidegate.clock import now_us
from tidegate.pipeline import SCORED
from tidegate.profile import load_profile
from tidegate.profile.personal import MASK

CARD = load_profile("card")
PARTITIONS = 3
MASKED = account("personal: true")
KIND = "device_type: {type: category,", "device_type: {type: category, personal: true,"
__all__ = ["keyed"]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with serve(CARD, tmp_path, MemoryBroker(TOPICS | {SCORED: PARTITIONS})) as running:
        yield running


def decide(api: Api, name: str, decision: str = "review", user: str = "u-1") -> None:
    frame = scored(CARD, transaction(name, user_id=user), decision, 0.5)
    produce(api.broker, SCORED, frame)


@contextmanager
def reading(api: Api, query: str = "", after: str = "", key: str = "") -> Iterator[Iterator[Event]]:
    """The events of a reader that has begun: what is decided from here on, he is told."""
    link = Connection(api.url, key=key)
    headers = {"Last-Event-ID": after} if after else {}
    with link.reading(f"/v1/decisions/stream{query}", headers) as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/event-stream")
        assert answer.readline() == b"retry: 1000\n"
        yield EventReader().read(answer)
    link.close()


def ids(events: Iterator[Event], count: int) -> list[str]:
    return [json.loads(event.data)["transaction_id"] for event in itertools.islice(events, count)]


def refused(api: Api, query: str, after: str = "", key: str = "") -> tuple[int, dict[str, Any]]:
    link = Connection(api.url, key=key)
    headers = {"Last-Event-ID": after} if after else {}
    with link.reading(f"/v1/decisions/stream{query}", headers) as answer:
        return answer.status, json.loads(answer.read()) | dict(answer.headers)


def test_a_reader_is_told_what_is_decided_from_now_on(api: Api) -> None:
    decide(api, "before")
    with reading(api) as events:
        produce(api.broker, SCORED, b"noise")
        decide(api, "t-1", "block")
        [event] = itertools.islice(events, 1)
    told = json.loads(event.data)
    names = ("transaction_id", "decision", "score", "account", "status", "degraded")
    assert [told[name] for name in names] == ["t-1", "block", 0.5, "u-1", "scored", []]
    assert told["event_us"] > 0
    assert event.kind == "decision"


def test_a_reader_resumes_where_he_stood(api: Api) -> None:
    wanted = [f"t-{number}" for number in range(20)]
    with reading(api) as events:
        for name in wanted[:10]:
            decide(api, name)
        first = list(itertools.islice(events, 7))
    for name in wanted[10:]:
        decide(api, name)
    read = [json.loads(event.data)["transaction_id"] for event in first]
    with reading(api, after=first[-1].id) as events:
        assert read + ids(events, 13) == wanted


def test_a_reader_is_told_what_he_asks_for(api: Api) -> None:
    with reading(api, "?decision=block&account=u-2") as events:
        for name, decision, user in (
            ("approved", "approve", "u-2"),
            ("another's", "block", "u-1"),
            ("t-1", "block", "u-2"),
        ):
            decide(api, name, decision, user)
        assert ids(events, 1) == ["t-1"]


@pytest.mark.usefixtures("keyed")
@pytest.mark.parametrize(("field", "shown"), [(MASKED, MASK), (TOKEN, "tok_")])
def test_a_reader_asks_for_an_account_and_is_not_told_it(
    tmp_path: Path, field: tuple[str, str], shown: str
) -> None:
    profile = changed(tmp_path, field, KIND)
    reason = {"feature": "device_type", "value": "pos", "contribution": 0.5}
    with (
        serve(profile, tmp_path, MemoryBroker(TOPICS)) as api,
        reading(api, f"?account={NUMBER}") as events,
    ):
        told = transaction("t-1", user_id=NUMBER)
        produce(api.broker, SCORED, scored(profile, told, reasons=[reason]))
        [event] = itertools.islice(events, 1)
    decision = json.loads(event.data)
    assert decision["account"].startswith(shown)
    assert decision["reasons"] == [{"feature": "device_type", "contribution": 0.5}]


def test_who_hears_nothing_still_learns_where_he_stands(api: Api) -> None:
    feed = fed(api, step=PING_SECONDS)
    chunks = iter(feed)
    begin = next(chunks)
    decide(api, "approved", "approve")
    places = [next(chunks) for _ in range(2)]
    assert all(place.startswith(b"id: ") and b"data" not in place for place in places)
    assert places[-1] not in begin
    feed.close()


def test_what_the_log_no_longer_has_is_said(api: Api) -> None:
    with reading(api) as events:
        decide(api, "t-1")
        [event] = itertools.islice(events, 1)
    cursor = Cursor.read(event.id)
    assert cursor is not None
    for name in ("lost-1", "lost-2", "kept"):
        decide(api, name)
    place = next(at for at, offset in enumerate(cursor.offsets) if offset)
    begins = offset_of(SCORED, cursor.offsets[place]) + 2
    api.broker.expire(TopicPartition(SCORED, place), begins)
    with reading(api, after=event.id) as events:
        gap = next(events)
        assert (gap.kind, json.loads(gap.data)) == ("gap", {"missed": 2})
        assert ids(events, 1) == ["kept"]


@pytest.mark.parametrize("after", ["yes", "other~0.0.0", "1.2.3", "~"])
def test_a_place_in_another_log_is_refused(api: Api, after: str) -> None:
    status, problem = refused(api, "", after)
    assert (status, problem["errors"][0]["field"]) == (422, "Last-Event-ID")


@pytest.mark.parametrize("query", ["?decision=yes", "?acount=u-1"])
def test_an_unknown_filter_is_refused(api: Api, query: str) -> None:
    assert refused(api, query)[0] == 422


def test_more_readers_than_places_are_told_when_to_come_again(api: Api) -> None:
    """And everybody else is answered meanwhile; a reader who goes leaves his place."""
    with ExitStack() as readers:
        for _ in range(MAX_READERS):
            readers.enter_context(reading(api))
        status, problem = refused(api, "")
        assert (status, problem["Retry-After"]) == (503, "1")
        assert problem["type"] == "/docs#too_many_readers"
        link = Connection(api.url)
        assert link.post("/v1/transactions", json.dumps(transaction("t-1")).encode())[0] == 202
        link.close()


def test_who_takes_too_long_is_told_to_resume(api: Api) -> None:
    feed = fed(api, step=SLOW_SECONDS + 1)
    decide(api, "t-1", "block")
    reader = EventReader()
    events = list(reader.read(b"".join(feed).splitlines(keepends=True)))
    assert [event.kind for event in events] == ["decision", "resume"]
    feed.close()
    assert Cursor.read(reader.last_id)


def fed(api: Api, step: float) -> Feed:
    """Blocked transactions, for a reader on whose clock each look is `step` s after the last."""
    clock = itertools.count(0.0, step)
    told = Told(CARD.scored_layout, CARD.models.names, CARD.masks)
    wanted = Wanted("block", None)
    return Feed(
        api.broker,
        SCORED,
        told,
        wanted,
        None,
        still_in=lambda: True,
        leave=lambda: None,
        clock=lambda: next(clock),
    )


def test_a_revoked_key_ends_the_stream(tmp_path: Path) -> None:
    with serve(CARD, tmp_path, auth="keys") as api:
        key = create(api.database, "risk", ["read"], now_us())[1]
        other = create(api.database, "shop", ["ingest"], now_us())[1]
        assert refused(api, "")[0] == 401
        with reading(api, key=key) as events:
            revoke(api.database, "risk", now_us())
            assert list(events) == []
        assert refused(api, "", key=other)[0] == 403


def test_a_cursor_is_read_as_it_was_written() -> None:
    cursor = Cursor("4hnPAi9GQw6Di+ttgN/ufw==", (0, 2**63 - 1, 7))
    assert Cursor.read(str(cursor)) == cursor
    assert Cursor.read(f"{cursor}.") is None


def test_server_sent_events_as_the_standard_has_them() -> None:
    reader = EventReader("0")
    lines = (
        b": a comment\n\nid: 1\n\nevent: decision\ndata: one\ndata:  two\nid: 2\n\n"
        b"data: three\nid: 3\n"
    )
    assert list(reader.read(lines.splitlines(keepends=True))) == [
        Event("2", "decision", "one\n two")
    ]
    assert reader.last_id == "2"
