"""Rows of `deliveries`: made of events, told by themselves or in a digest, erased."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, insert, select, update

from db.engine import parts
from db.notify.tables import WAITS, deliveries
from tidegate.notify.events import DIGEST, Event, Message
from tidegate.notify.plan import Placed, delivery_id

_SHOWN = 20
"""Of a digest's events so many are named."""


def values_of(placed: Placed, now_us: int) -> dict[str, Any]:
    """The row of what was just placed."""
    event = placed.event
    return {
        "id": placed.id,
        "channel": placed.channel,
        "kind": event.kind,
        "key": event.key,
        "state": placed.state,
        "urgent": int(placed.urgent),
        "subject": event.subject,
        "text": event.text,
        "data": msgspec.json.encode(event.data).decode(),
        "account": event.account or None,
        "together": placed.group,
        "digest": None,
        "due_us": placed.due_us,
        "next_try_us": now_us,
        "attempts": 0,
        "last_error": placed.why,
        "at_us": event.at_us,
        "created_us": now_us,
        "sent_us": None,
    }


def tell(connection: Connection, channel: str, ids: Sequence[str], now_us: int) -> bool:
    """Let these be told: one by itself, several within a digest; whether there is a message.

    What is no longer held, since its account was erased meanwhile or another process tells it, is
    left as it is.
    """
    held = deliveries.c.state == "held"
    if len(ids) == 1:
        one = update(deliveries).where(deliveries.c.id == ids[0], held)
        told = one.values(state="pending", next_try_us=now_us, last_error="")
        return bool(connection.execute(told).rowcount)
    key = f"{DIGEST}/{ids[0]}/{now_us}"
    digest = delivery_id(channel, key)
    for some in parts(ids):
        connection.execute(
            update(deliveries)
            .where(deliveries.c.id.in_(some), held)
            .values(state="grouped", digest=digest, last_error="")
        )
    within = select(func.max(deliveries.c.urgent)).where(deliveries.c.digest == digest)
    urgent = connection.scalar(within)
    if urgent is None:
        return False
    event = Event(key, DIGEST, "", "", now_us)
    placed = Placed(digest, channel, event, "pending", 0, "", urgent=bool(urgent))
    connection.execute(insert(deliveries), [values_of(placed, now_us)])
    return True


def message_of(connection: Connection, row: Row[Any]) -> Message:
    """What a row says; a digest says what its events do by now, since one may have been erased."""
    if row.kind != DIGEST:
        return Message(row.id, row.kind, row.subject, row.text, row.at_us, row.data.encode())
    of_digest = deliveries.c.digest == row.id
    counts = connection.execute(
        select(deliveries.c.kind, func.count().label("events"))
        .where(of_digest)
        .group_by(deliveries.c.kind)
        .order_by(deliveries.c.kind)
    ).all()
    told = connection.execute(
        select(deliveries.c.kind, deliveries.c.subject, deliveries.c.data)
        .where(of_digest, deliveries.c.subject != "")
        .order_by(deliveries.c.created_us, deliveries.c.id)
        .limit(_SHOWN)
    ).all()
    total = sum(count.events for count in counts)
    kinds = ", ".join(f"{count.events} {count.kind}" for count in counts)
    lines = [one.subject for one in told]
    if total > len(lines):
        lines.append(f"and {total - len(lines)} more")
    data = {
        "events": total,
        "kinds": {count.kind: count.events for count in counts},
        "first": [{"type": one.kind, "data": msgspec.Raw(one.data.encode())} for one in told],
    }
    return Message(
        row.id,
        DIGEST,
        f"Tidegate: {total} events ({kinds})",
        "\n".join(lines),
        row.at_us,
        msgspec.json.encode(data),
    )


def erase_deliveries(connection: Connection, account: str) -> int:
    """Delete what was said of an account, in the open transaction; of how many deliveries.

    What waits is not told any more. Digests are made of what is left.
    """
    of_account = deliveries.c.account == account
    connection.execute(update(deliveries).where(of_account, WAITS).values(state="suppressed"))
    erased = (
        update(deliveries)
        .where(of_account)
        .values(subject="", text="", data="{}", account=None, together="", key=deliveries.c.id)
    )
    return connection.execute(
        erased.values(last_error="erased"), execution_options={"preserve_rowcount": True}
    ).rowcount
