"""From the topic of alerts into the outbox, with the place in the topic, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import pytest
from sqlalchemy import select

from consumers.alerts import Alert, alerts
from consumers.notify.stage import EARLIER, NotifyStage
from db.engine import reading
from db.notify.outbox import Outbox
from db.notify.sink import OutboxSink
from db.notify.tables import deliveries
from db.positions import load
from model.bundles.reasons import Reason
from tests.db.scored import batch_of
from tests.notify.receivers import ALL_ALERTS, config_of, hook
from tests.profile.test_currency_fields import load as load_currencies
from tests.profile.test_tokens import account, changed
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Batch, Position, TopicPartition
from tidegate.errors import Fenced
from tidegate.messages.ciphertext import MAGIC
from tidegate.messages.documents import encode
from tidegate.messages.frame_column import FrameColumn
from tidegate.messages.texts import Texts
from tidegate.pipeline import ALERTS, DLQ
from tidegate.profile import load_profile
from tidegate.stream.dead_letters import KEY
from tidegate.stream.stage import NoState

SOURCE = TopicPartition(ALERTS, 0)
CARD = load_profile("card")


def message(number: int, **changes: object) -> bytes:
    """An alert as score writes it."""
    made = Alert(
        f"t{number}",
        f"u{number}",
        "card",
        1_767_225_600_000_000,
        123_450,
        "block",
        0.9712,
        [Reason("amount", 1234.5, 2.25, "amount is 1,234.5, usually 20")],
        "00aa11bb22cc33dd",
        1,
    )
    return encode(msgspec.structs.replace(made, **changes))


def keyed(records: list[bytes | None], start: int = 0, since_ms: int = 0) -> Batch:
    batch = batch_of(records, SOURCE, start)
    batch.timestamps = [since_ms] * len(records)
    batch.headers = [[(KEY, b"alert/transactions.raw/0/%d" % at)] for at in batch.offsets]
    return batch


def test_an_alert_is_told_with_its_reasons_rules_and_amount() -> None:
    value = msgspec.json.decode(message(1)) | {"rules": ["velocity"]}
    output = NotifyStage(CARD, 0).process(NoState(), keyed([encode(value)]))
    assert isinstance(output.rows, list)
    [event] = output.rows
    assert event.key == "alert/transactions.raw/0/0"
    assert event.subject == "Transaction t1 blocked: score 0.971, 1,234.50"
    assert (event.account, event.decision, event.amount, event.rules) == (
        "u1",
        "block",
        1234.5,
        ("velocity",),
    )
    assert event.data["time"] == "2026-01-01T00:00:00+00:00"
    assert "- amount is 1,234.5, usually 20 (+2.25)" in event.text


def test_what_is_masked_is_not_told(tmp_path: Path) -> None:
    profile = changed(tmp_path, account("personal: true"))
    output = NotifyStage(profile, 0).process(
        NoState(), keyed([message(1, account="secret-account")])
    )
    assert isinstance(output.rows, list)
    [event] = output.rows
    assert event.account == "secret-account", "to group and to erase by"
    assert "secret-account" not in str((event.subject, event.text, event.data))


def test_vectors_have_no_account_and_no_money() -> None:
    output = NotifyStage(load_profile("vector"), 0).process(
        NoState(), keyed([message(1, account=None, amount_minor=0)])
    )
    assert isinstance(output.rows, list)
    [event] = output.rows
    assert event.subject == "Transaction t1 blocked: score 0.971"
    assert "account" not in event.data
    assert "amount" not in event.data


def test_amounts_have_the_decimals_of_their_own_currency(tmp_path: Path) -> None:
    profile = load_currencies(tmp_path)
    payloads = [b'{"currency": "JPY"}', b'{"currency": "KWD"}', MAGIC + b"closed"]
    rows = profile.scored_layout.empty(3)
    rows["decision"], rows["score"], rows["amount_minor"] = 2, 0.5, 1_234_500
    names = Texts.of([b"t1", b"t2", b"t3"])
    frames = FrameColumn.of_rows(rows, (names, names, Texts.of(payloads), Texts.of([b""] * 3)))
    emitted = alerts(profile, rows, frames, np.arange(3), [[], [], []], [[], [], []])
    assert b"currency" not in (emitted.values[2] or b"")
    output = NotifyStage(profile, 0).process(NoState(), keyed(list(emitted.values)))
    assert isinstance(output.rows, list)
    assert [event.subject.partition("0.500")[2] for event in output.rows] == [
        ", 1,234,500 JPY",
        ", 1,234.500 KWD",
        "",
    ]
    assert [event.amount for event in output.rows] == [1_234_500.0, 1_234.5, 0.0]
    assert [event.data.get("amount") for event in output.rows] == [1_234_500.0, 1_234.5, None]


def test_what_is_no_alert_and_what_came_before_the_start() -> None:
    output = NotifyStage(CARD, 5_000_000).process(
        NoState(), keyed([b"{", None, message(1)], since_ms=5_000)
    )
    assert [(reject.index, reject.reason) for reject in output.rejects] == [
        (0, "not_an_alert"),
        (1, "not_an_alert"),
    ]
    earlier = NotifyStage(CARD, 5_000_000).process(
        NoState(), keyed([message(1), message(2)], since_ms=4_999)
    )
    assert (earlier.rows, earlier.passed) == ([], {EARLIER: 2})


@dataclass
class Consuming:
    """The stage and its sink on a database."""

    url: str
    folder: Path
    broker: MemoryBroker = field(default_factory=lambda: MemoryBroker({ALERTS: 1, DLQ: 1}))
    woken: int = 0

    def __post_init__(self) -> None:
        text = f"channels:\n{hook('hook', 'http://127.0.0.1:1/')}{ALL_ALERTS}"
        self.outbox = Outbox(self.url, config_of(self.folder, text), lambda: 7_000_000)
        self.outbox.begin()
        self.sink = OutboxSink(
            self.outbox, self.broker, profile=CARD.hash, clock=lambda: 7, wake=self._wake
        )

    def _wake(self) -> None:
        self.woken += 1

    def at(self) -> int:
        return self.sink.positions([SOURCE]).get(SOURCE, Position(0)).offset

    def take(self, *records: bytes | None, start: int) -> None:
        batch = keyed(list(records), start)
        output = NotifyStage(CARD, 0).process(NoState(), batch)
        self.sink.write([(batch, output)], {SOURCE: Position(start + len(records))})

    def stored(self) -> list[str]:
        with reading(self.url) as connection:
            return list(connection.scalars(select(deliveries.c.key).order_by(deliveries.c.key)))

    def close(self) -> None:
        self.sink.close()
        self.outbox.close()


@pytest.fixture
def consuming(url: str, tmp_path: Path) -> Iterator[Consuming]:
    made = Consuming(url, tmp_path)
    yield made
    made.close()


def test_deliveries_and_the_place_in_the_topic_are_written_together(consuming: Consuming) -> None:
    assert consuming.at() == 0
    consuming.take(message(1), b"{", message(2), start=0)
    assert consuming.at() == 3
    assert consuming.stored() == ["alert/transactions.raw/0/0", "alert/transactions.raw/0/2"]
    assert consuming.woken == 1
    letters = consuming.broker.consumer(None)
    letters.assign({TopicPartition(DLQ, 0): 0})
    [batch] = letters.poll(10, 1.0)
    assert batch.values == [b"{"]
    letters.close()


def test_who_was_overtaken_writes_nothing(consuming: Consuming, tmp_path: Path) -> None:
    consuming.at()
    zombie = Consuming(consuming.url, tmp_path, consuming.broker)
    assert zombie.at() == 0
    consuming.take(message(1), start=0)
    with pytest.raises(Fenced):
        zombie.take(message(1), message(2), start=0)
    zombie.close()
    assert consuming.stored() == ["alert/transactions.raw/0/0"]


def test_persists_place_is_another_table(consuming: Consuming) -> None:
    consuming.at()
    consuming.take(message(1), start=0)
    origin = consuming.sink._cursor._identified()
    with reading(consuming.url) as connection:
        assert load(connection, origin, [SOURCE]) == {}
