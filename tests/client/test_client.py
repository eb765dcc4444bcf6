"""What the client promises: nothing twice, nothing lost, and errors that say what to do."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from db.keys import create
from tests.producers.running_api import TOPICS, Api, serve
from tests.support import answering, eventually
from tests.web import produce, scored, transaction
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import TopicPartition
from tidegate.client import (
    Client,
    ConfigError,
    Decision,
    DecisionsLost,
    Refused,
    Retry,
    Undecided,
)
from tidegate.clock import now_us
from tidegate.pipeline import FEEDBACK, RAW, SCORED
from tidegate.profile import load_profile

CARD = load_profile("card")


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with serve(CARD, tmp_path, MemoryBroker(TOPICS | {SCORED: 1})) as running:
        yield running


@pytest.fixture
def client(api: Api) -> Iterator[Client]:
    with Client(api.url, patience=20) as connected:
        yield connected


def recorded(api: Api, topic: str = RAW) -> list[str]:
    """The ids on a topic."""
    values = [record.value for _, _, record in api.broker.committed_records(topic)]
    return [json.loads(value)["transaction_id"] for value in values if value]


def decide(api: Api, name: str, decision: str = "review") -> None:
    produce(api.broker, SCORED, scored(CARD, transaction(name), decision, 0.5))


def test_many_are_sent_and_each_bad_one_is_told(api: Api, client: Client) -> None:
    made = (transaction(f"t-{place}", amount=-1 if place == 7 else 5) for place in range(25))
    sent = client.send(made, batch=10)
    assert sent.accepted == 24
    assert [(one.index, one.id) for one in sent.refused] == [(7, "t-7")]
    assert "amount" in sent.refused[0].problem["detail"]
    assert sorted(recorded(api)) == sorted(f"t-{place}" for place in range(25) if place != 7)


def test_nothing_but_bad_ones_is_told_as_well(client: Client) -> None:
    sent = client.send([{"amount": 1}])
    assert (sent.accepted, [one.index for one in sent.refused]) == (0, [0])


@pytest.mark.parametrize("fault", ["503", "drop before", "drop after"])
def test_what_is_sent_again_keeps_its_id(api: Api, client: Client, fault: str) -> None:
    """Also where the transactions have none, and the first try was durable."""
    api.faults = [fault]
    sent = client.send([transaction(None, transaction_id=...) for _ in range(3)])
    assert sent.accepted == 3
    assert api.posts == 2
    assert set(recorded(api)) == set(sent.generated_ids.values())
    assert sent.generated_ids.keys() == {0, 1, 2}


def test_a_decision_is_waited_for(api: Api, client: Client) -> None:
    def once_posted() -> None:
        eventually(lambda: "t-1" in recorded(api))
        decide(api, "t-1", "block")

    other = threading.Thread(target=once_posted)
    other.start()
    decision = client.decide(transaction("t-1"), seconds=8)
    other.join()
    assert (decision.transaction_id, decision.decision, decision.score) == ("t-1", "block", 0.5)
    assert set(decision.scores) == set(CARD.models.names)


def test_a_decision_that_does_not_come_in_time_is_told_from_one(api: Api, client: Client) -> None:
    with pytest.raises(Undecided, match="accepted and not decided") as caught:
        client.decide(transaction("t-1"), seconds=0.1)
    assert caught.value.transaction_id == "t-1"
    assert recorded(api) == ["t-1"]


def test_a_bad_transaction_is_refused_with_its_fields(client: Client) -> None:
    with pytest.raises(Refused, match="422 invalid: amount") as caught:
        client.decide(transaction("t-1", amount=-1))
    assert (caught.value.status, caught.value.kind) == (422, "invalid")
    assert [error["field"] for error in caught.value.errors] == ["amount"]


def test_a_verdict_counts_once(api: Api, client: Client) -> None:
    api.faults = ["drop after"]
    label = client.feedback("t-1", "fraud", note="chargeback")
    assert label
    assert client.feedback("t-1", "fraud", label_id="cb-7") == "cb-7"
    assert recorded(api, FEEDBACK)
    labels = {
        json.loads(record.value or b"")["label_id"]
        for _, _, record in api.broker.committed_records(FEEDBACK)
    }
    assert labels == {label, "cb-7"}


def test_a_verdict_of_another_word_is_refused(client: Client) -> None:
    with pytest.raises(Refused, match="422"):
        client.feedback("t-1", "maybe")  # type: ignore[arg-type] # which is what is tested


def read(client: Client, count: int, **wanted: str) -> tuple[threading.Thread, list[Decision]]:
    """A thread that reads so many decisions."""
    found: list[Decision] = []

    def run() -> None:
        found.extend(itertools.islice(client.decisions(**wanted), count))  # type: ignore[arg-type]

    thread = threading.Thread(target=run)
    thread.start()
    return thread, found


def test_decisions_are_read_along_and_gone_on_with(api: Api, client: Client) -> None:
    thread, found = read(client, 2, decision="block")
    names = (f"t-{number}" for number in itertools.count())
    while thread.is_alive():  # the reader has to begin before something can be new to him
        decide(api, next(names), "block")
        thread.join(0.2)
    first, second = found
    assert (first.decision, first.account) == ("block", "u-17")
    again, found = read(client, 1, after=first.cursor)
    again.join()
    assert found == [second]


def test_a_reader_outlives_the_api(tmp_path: Path) -> None:
    """Cut off behind an event, he goes on behind it: none is told twice, none is left out."""
    broker = MemoryBroker(TOPICS)
    for number in range(6):
        decide(Api("", broker, ""), f"t-{number}")
    start, asked = f"id-of-{SCORED}~0", list[str]()

    class Cut(BaseHTTPRequestHandler):
        """The answers of the real API, of which only two events arrive."""

        def do_GET(self) -> None:
            place = self.headers["Last-Event-ID"]
            asked.append(place)
            with Client(api.url).reading(self.path, {"Last-Event-ID": place}) as answer:
                self.send_response(200)
                self.end_headers()
                events = 0
                while events < 2:
                    line = answer.readline()
                    events += line.startswith(b"data: ")
                    self.wfile.write(line)
                self.wfile.write(answer.readline())

        def log_message(self, *_said: object) -> None: ...

    with serve(CARD, tmp_path, broker) as api:
        with answering(Cut) as url, Client(url, patience=20) as client:
            told = client.decisions(after=start)
            names = [one.transaction_id for one in itertools.islice(told, 6)]
            told.close()  # type: ignore[attr-defined] # a generator, whose connection ends here
        assert names == [f"t-{number}" for number in range(6)]
        assert len(asked) == 3


def test_what_the_log_has_lost_is_told(api: Api, client: Client) -> None:
    for number in range(4):
        decide(api, f"t-{number}")
    api.broker.expire(TopicPartition(SCORED, 0), 3)
    with pytest.raises(DecisionsLost) as caught:
        next(client.decisions(after=f"id-of-{SCORED}~1"))
    assert caught.value.missed == 2
    assert next(client.decisions(after=caught.value.cursor)).transaction_id == "t-3"


def test_a_cursor_of_another_log_is_refused(client: Client) -> None:
    with pytest.raises(Refused, match="Last-Event-ID"):
        next(client.decisions(after="other~1"))


TIMES: list[float] = []


class Busy(BaseHTTPRequestHandler):
    """Asks to come again in a second, and then answers."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        TIMES.append(time.monotonic())
        body = b'{"accepted": 1}'
        self.send_response(429 if len(TIMES) == 1 else 202)
        self.send_header("Retry-After", "1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_said: object) -> None: ...


def test_it_comes_again_when_it_is_told_to() -> None:
    with answering(Busy) as url:
        with Client(url) as client:
            assert client.send([{"a": 1}]).accepted == 1
        first, second = TIMES
        assert second - first >= 1
        TIMES.clear()
        with Client(url, patience=0.5) as client, pytest.raises(Retry, match="429"):
            client.send([{"a": 1}])
        assert len(TIMES) == 1


def test_who_may_not_is_told_by_which_key(tmp_path: Path) -> None:
    with serve(CARD, tmp_path, auth="keys") as api:
        key = create(api.database, "shop", ["ingest"], now_us())[1]
        with Client(api.url) as nobody, pytest.raises(ConfigError, match="needs a key"):
            nobody.send([transaction("t-1")])
        with Client(api.url, key=key) as shop:
            assert shop.send([transaction("t-1")]).accepted == 1
            with pytest.raises(ConfigError, match="needs the scope read"):
                next(shop.decisions())


def test_an_address_that_is_none_is_told() -> None:
    with pytest.raises(ConfigError, match="not an HTTP address"):
        Client("ftp://127.0.0.1")
    with Client("http://127.0.0.1:9", patience=0.2) as client, pytest.raises(Retry):
        client.send([{"a": 1}])
