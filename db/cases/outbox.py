"""What people say on the page for review is kept in table `reviews` until it is a label.

held ─► leaving ─► told ─► counted
  └► taken back       └► missing

A verdict is durable when the page comes back, and held for some seconds, in which it can be taken
back without a trace: no message says "no verdict after all". Then it leaves for the topic, by its
label id at most one label however often that is tried. It is counted once its label is a row; where
none comes it is missing, because its source had given too many or its row is gone, and its case is
open again.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, literal_column, select, text, update

from db.cases.tables import reviews
from db.engine import Database, make_durable, parts, retrying
from tidegate.broker.ports import Producer
from tidegate.errors import Retry
from tidegate.messages.documents import Verdict, encode
from tidegate.pipeline import FEEDBACK

HOLD_US = 8_000_000
"""How long a verdict can be taken back without a trace."""
MISSING_US = 600_000_000
"""How long a verdict that was told may take to become a label."""
_AT_ONCE = 500
_DELIVERY_SECONDS = 30.0
HELD, LEAVING, TOLD, COUNTED = "held", "leaving", "told", "counted"
UNDER_WAY = (HELD, LEAVING, TOLD)
_LEAVE = text(
    "UPDATE reviews SET state = 'leaving' "
    "WHERE state IN ('held', 'leaving') AND due_us <= :now AND label_id = :label_id"
)
_REOPEN = text(
    "UPDATE cases SET open = true WHERE transaction_id IN (SELECT r.transaction_id FROM reviews r "
    "WHERE r.state = 'told' AND r.due_us <= :now "
    "AND NOT EXISTS (SELECT 1 FROM reviews n WHERE n.transaction_id = r.transaction_id "
    "AND n.given_us > r.given_us) "
    "AND NOT EXISTS (SELECT 1 FROM verdicts v WHERE v.transaction_id = r.transaction_id "
    "AND v.given_us > r.given_us AND v.weight > 0))"
)
"""Where nothing newer was said, by whomever."""
_MISS = text("UPDATE reviews SET state = 'missing' WHERE state = 'told' AND due_us <= :now")


def publish_due(database: Database, reader: Database, producer: Producer, now_us: int) -> int:
    """Write the verdicts that were held long enough to the topic; how many. `reader` only reads.

    Raises Retry, also when Kafka does not take them: they leave again the next time.
    """
    due = _due(reader, now_us)
    if not due:
        return 0
    ids = [row.label_id for row in due]
    with retrying(database), database.engine.begin() as connection:
        make_durable(connection)
        connection.execute(_LEAVE, [{"now": now_us, "label_id": name} for name in ids])
    leaving = _leaving(reader, ids)
    _deliver(producer, leaving)
    with retrying(database), database.engine.begin() as connection:
        for some in parts(row.label_id for row in leaving):
            told = {"state": TOLD, "due_us": now_us + MISSING_US}
            wanted = reviews.c.label_id.in_(some) & (reviews.c.state == LEAVING)
            connection.execute(update(reviews).where(wanted).values(told))
    return len(leaving)


def _due(database: Database, now_us: int) -> Sequence[Row[Any]]:
    query = (
        select(reviews.c.label_id)
        .where(
            reviews.c.state.in_((HELD, LEAVING)),
            reviews.c.state != literal_column("'counted'"),  # as the index has it
            reviews.c.due_us <= now_us,
        )
        .order_by(reviews.c.given_us)
        .limit(_AT_ONCE)
    )
    with retrying(database), database.engine.connect() as connection:
        return connection.execute(query).all()


def _leaving(database: Database, ids: Sequence[str]) -> list[Row[Any]]:
    """Those of these that nobody has taken back in between."""
    wanted = reviews.c.label_id.in_(ids) & (reviews.c.state == LEAVING)
    with retrying(database), database.engine.connect() as connection:
        return list(connection.execute(select(reviews).where(wanted)))


def _deliver(producer: Producer, leaving: Sequence[Row[Any]]) -> None:
    failures: list[Exception] = []
    done = threading.Semaphore(0)

    def delivered(error: Exception | None) -> None:
        if error is not None:
            failures.append(error)
        done.release()

    for row in leaving:
        verdict = Verdict(
            row.transaction_id,
            "fraud" if row.fraud else "legitimate",
            label_id=row.label_id,
            source=row.source,
            given_us=row.given_us,
        )
        producer.produce(FEEDBACK, row.transaction_id.encode(), encode(verdict), delivered)
    producer.flush(_DELIVERY_SECONDS)
    for _ in leaving:
        if not done.acquire(timeout=_DELIVERY_SECONDS):
            raise Retry(f"verdicts not durable within {_DELIVERY_SECONDS:g} s")
    if failures:
        raise Retry(f"verdicts: {failures[0]}")


def count_labels(connection: Connection, label_ids: Sequence[str]) -> None:
    """These have become labels, in the transaction that makes rows of them."""
    for some in parts(label_ids):
        wanted = reviews.c.label_id.in_(some)
        connection.execute(update(reviews).where(wanted).values(state=COUNTED))


def miss(database: Database, now_us: int) -> int:
    """Open the cases again whose verdicts were told long ago and became no label; how many."""
    with retrying(database), database.engine.begin() as connection:
        connection.execute(_REOPEN, {"now": now_us})
        return connection.execute(_MISS, {"now": now_us}).rowcount
