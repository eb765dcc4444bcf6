"""The stage `cases` is killed again and again: each label is a row once, each verdict a message."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select

from db.cases.tables import cases, reviews, verdicts
from db.engine import open_database
from tests.db.cases.desks import label
from tests.faults.kill9.cluster import Cluster
from tests.support import eventually
from tests.web import produce
from tidegate.clock import now_us
from tidegate.messages.documents import Verdict, decode_verdict
from tidegate.pipeline import FEEDBACK, LABELS
from tidegate.stream.side_topic import read_range

pytestmark = [pytest.mark.processes, pytest.mark.serial]
LABELLED, REVIEWED = 400, 60


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path, f"sqlite:///{tmp_path / 'tidegate.db'}", ("cases",))
    yield made.start()
    made.close()


def case(number: int) -> dict[str, object]:
    of_row = {"decision": "review", "event_us": 1, "ingested_us": 1, "amount_minor": 1}
    return of_row | {"transaction_id": f"t-{number}", "score": 0.5, "risk": 0.5, "open": True}


def review(number: int) -> dict[str, object]:
    now = now_us()
    return {
        "label_id": f"said of t-{number}",
        "transaction_id": f"t-{number}",
        "fraud": number % 2 == 0,
        "source": "ann",
        "claim": "browser",
        "claimed_us": now,
        "given_us": now,
        "due_us": now + 200_000 * number,
        "state": "held",
    }


def told(cluster: Cluster) -> list[Verdict]:
    """What was published, again where a kill came between Kafka's answer and its note."""
    consumer = cluster.broker.consumer(None)
    found = [
        decode_verdict(value or b"")
        for source in consumer.partitions(FEEDBACK)
        for batch in read_range(consumer, source, *consumer.bounds(source), 1000)
        for value in batch.values
    ]
    consumer.close()
    return found


def test_labels_and_verdicts_while_it_is_killed(cluster: Cluster) -> None:
    database = open_database(cluster.database)
    with database.engine.begin() as connection:
        connection.execute(insert(cases), [case(number) for number in range(LABELLED)])
        connection.execute(insert(reviews), [review(number) for number in range(REVIEWED)])
    chance = random.Random(4)
    for start in range(0, LABELLED, 50):
        if start:
            # it starts, reads, writes or publishes; the last one is left to finish
            threading.Event().wait(chance.uniform(0.0, 2.5))
            cluster.kill("cases")
        numbers = range(start, start + 50)
        produce(
            cluster.broker,
            LABELS,
            *(label(f"t-{number}", fraud=number % 3 == 0, given_us=number) for number in numbers),
        )

    def count(table: object, *conditions: object) -> int:
        with database.engine.connect() as connection:
            query = select(func.count()).select_from(table).where(*conditions)  # type: ignore[arg-type]
            return connection.scalar(query) or 0

    eventually(lambda: count(verdicts) == LABELLED, 60)
    eventually(lambda: count(reviews, reviews.c.state == "told") == REVIEWED, 60)
    with database.engine.connect() as connection:
        rows = connection.execute(select(verdicts).order_by(verdicts.c.label_offset)).all()
        closed = connection.execute(select(cases).where(~cases.c.open)).all()
    database.close()
    assert [(row.transaction_id, row.fraud) for row in rows] == [
        (f"t-{number}", number % 3 == 0) for number in range(LABELLED)
    ]
    assert {row.transaction_id: row.fraud for row in closed} == {
        f"t-{number}": number % 3 == 0 for number in range(LABELLED)
    }
    assert {(each.label_id, each.transaction_id, each.verdict) for each in told(cluster)} == {
        (f"said of t-{n}", f"t-{n}", "legitimate" if n % 2 else "fraud") for n in range(REVIEWED)
    }
    cluster.stop()
