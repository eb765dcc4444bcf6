"""The stream of decisions on the real server and a real Kafka."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from producers.api.feed import MAX_READERS
from tests.producers.api.test_post import fresh
from tests.support import eventually
from tests.web import Server, produce, scored, transaction
from tidegate.broker.kafka import KafkaBroker
from tidegate.client import Client
from tidegate.client.events import Event, EventReader
from tidegate.pipeline import SCORED
from tidegate.profile import Profile


@contextmanager
def reading(api: Server, account: str, after: str = "") -> Iterator[Iterator[Event] | None]:
    """The events of a reader; None where no place is left."""
    headers = {"Last-Event-ID": after} if after else {}
    with (
        Client(f"http://127.0.0.1:{api.port}") as client,
        client.reading(f"/v1/decisions/stream?account={account}", headers) as answer,
    ):
        if answer.status == 503:
            yield None
            return
        assert answer.readline() == b"retry: 1000\n"
        yield EventReader().read(answer)


def names(events: Iterator[Event] | None, count: int) -> list[tuple[str, str]]:
    assert events is not None
    return [
        (json.loads(event.data)["transaction_id"], event.id)
        for event in itertools.islice(events, count)
    ]


def test_a_reader_resumes_behind_what_he_was_told(
    api: Server, broker: KafkaBroker, card: Profile
) -> None:
    account, wanted = fresh(), [fresh() for _ in range(6)]
    frames = [scored(card, transaction(name, user_id=account)) for name in wanted]
    with reading(api, account) as events:
        produce(broker, SCORED, *frames[:4])
        told = names(events, 3)
    produce(broker, SCORED, *frames[4:])
    with reading(api, account, told[-1][1]) as events:
        told += names(events, 3)
    assert [name for name, _ in told] == wanted


def test_readers_hold_up_nobody_and_leave_their_places(api: Server) -> None:
    with ExitStack() as readers:
        for _ in range(MAX_READERS):  # those of another test may be free a little later
            eventually(lambda: readers.enter_context(reading(api, "nobody")), 30)
        with reading(api, "nobody") as events:
            assert events is None
        for _ in range(20):
            assert api.post("/v1/transactions", transaction(fresh())).status == 202
        assert api.post("/v1/transactions?wait_ms=1", transaction(fresh())).status == 202

    def let_in() -> bool:
        with reading(api, "nobody") as events:
            return events is not None

    eventually(let_in, 30)


def test_a_question_about_the_stream_takes_no_place(api: Server) -> None:
    for _ in range(MAX_READERS + 1):
        eventually(lambda: api.ask("HEAD", "/v1/decisions/stream").status == 200, 30)
