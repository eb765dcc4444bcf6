"""The corpus on a real Kafka, every stage a process: byte-identical dead letters, and a redrive
that is repeated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.store import Store
from tests.faults.kill9.cluster import PROFILE, Cluster
from tests.faults.poison.corpus import CORPUS, tx
from tests.support import eventually
from tidegate.broker.records import Headers
from tidegate.dead_letters.letters import DeadLetter, read_all
from tidegate.dead_letters.redrive import redrive
from tidegate.dead_letters.selection import Selection
from tidegate.errors import Aborted
from tidegate.pipeline import CONSUMERS, DLQ, QUARANTINE, RAW

pytestmark = pytest.mark.serial

Sent = tuple[str, bytes | None, bytes | None, Headers | None]
"""Topic, key, value, headers."""
QUICK = [
    poison for poison in CORPUS if poison.reason != "unknown_transaction"
]  # that one waits for half a minute


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(
        tmp_path,
        f"sqlite:///{tmp_path / 'tidegate.db'}",
        CONSUMERS,
    )
    try:
        yield cluster.start()
    finally:
        cluster.close()


def read(cluster: Cluster, topic: str) -> list[DeadLetter]:
    consumer = cluster.broker.consumer(None)
    try:
        return list(read_all(consumer, topic))
    finally:
        consumer.close()


def put(cluster: Cluster, records: list[Sent]) -> None:
    failures: list[Exception | None] = []
    producer = cluster.broker.producer()
    for topic, key, value, headers in records:
        producer.produce(topic, key, value, failures.append, headers)
    producer.flush(20)
    producer.close()
    assert failures == [None] * len(records)


def test_the_corpus(cluster: Cluster) -> None:
    good: list[Sent] = [
        (
            RAW,
            b"u%d" % (i % 9),
            tx(transaction_id=f"n{i}", user_id=f"u{i % 9}"),
            None,
        )
        for i in range(3000)
    ]
    bad: list[Sent] = [
        (poison.topic, poison.key, poison.value, [("from", b"outside")]) for poison in QUICK
    ]
    step = len(good) // len(bad)
    put(
        cluster,
        [
            record
            for i, poison in enumerate(bad)
            for record in [*good[i * step : (i + 1) * step], poison]
        ]
        + good[len(bad) * step :],
    )
    store = Store(cluster.database, PROFILE)
    eventually(lambda: store.count() == 3000, 60, every=0.3)
    eventually(lambda: len(read(cluster, DLQ)) >= len(bad), 30, every=0.5)
    letters = read(cluster, DLQ)
    assert Counter(
        (
            letter.key,
            letter.value,
            letter.told["topic"],
            letter.told["stage"],
            letter.told["reason"],
        )
        for letter in letters
    ) == Counter(
        (poison.key, poison.value, poison.topic, poison.stage, poison.reason) for poison in QUICK
    )
    assert all(("from", b"outside") in letter.headers for letter in letters)
    check_redrive(cluster, len(bad))
    assert store.count() == 3000
    store.close()
    cluster.stop()


def check_redrive(cluster: Cluster, bad: int) -> None:
    """All go back and fail again; a redrive after a killed one, and one after that, change
    nothing.
    """

    def killed() -> None:
        raise Aborted("killed before the commit")

    class Dying:
        """A broker whose transactions never commit."""

        def __getattr__(self, name: str) -> object:
            return getattr(cluster.broker, name)

        def transactional_producer(self, transactional_id: str) -> object:
            producer = cluster.broker.transactional_producer(transactional_id)
            producer.commit = killed  # type: ignore[method-assign]
            return producer

    with pytest.raises(Aborted):
        redrive(Dying(), PROFILE, Selection())  # type: ignore[arg-type]
    assert sum(redrive(cluster.broker, PROFILE, Selection()).redriven.values()) == bad
    eventually(lambda: len(read(cluster, DLQ)) >= 2 * bad, 60, every=0.5)
    letters = read(cluster, DLQ)
    assert Counter(letter.attempt for letter in letters) == {1: bad, 2: bad}
    once = redrive(cluster.broker, PROFILE, Selection(), attempts=2)
    assert (once.quarantined, once.before) == (bad, bad)
    assert redrive(cluster.broker, PROFILE, Selection(), attempts=2).before == 2 * bad
    assert len(read(cluster, QUARANTINE)) == bad
