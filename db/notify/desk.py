"""The outbox as the page on alerts shows it, and what people do there; each act is in the audit."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from db.audit import Act, append
from db.engine import open_database, retrying
from db.notify.facts import CONFIGURATION, fact
from db.notify.rows import values_of
from db.notify.tables import WAITS, deliveries, mutes
from tidegate.notify.events import TEST, Event
from tidegate.notify.plan import Placed, delivery_id

_DAY_US = 86_400_000_000
_WAITING = ("pending", "held")
"""As `WAITS`, where it is denied."""
_MEMBERS = 100
"""So many events of a digest are listed."""
Rows = Sequence[Row[Any]]


class Figures(NamedTuple):
    """A channel in the last 24 hours: messages by state, and of what waits all."""

    counts: Mapping[str, int]
    sent_us: int | None
    oldest_us: int | None
    """When the oldest message that waits to be sent was made."""
    error: str
    """Why the newest message that was not taken was not; "" when there is none."""


class Desk:
    """Reads and acts for the pages. Thread-safe; every method raises Retry."""

    def __init__(self, url: str) -> None:
        self._reader, self._writer = open_database(url, "read"), open_database(url)

    def configuration(self) -> dict[str, Any] | None:
        """Channels and routes in use, without secrets; None while the stage has never run."""
        with retrying(self._reader), self._reader.engine.connect() as connection:
            found = fact(connection, CONFIGURATION)
        return found if isinstance(found, dict) else None

    def figures(self, channels: Sequence[str], now_us: int) -> dict[str, Figures]:
        """Of each of these channels."""
        with retrying(self._reader), self._reader.engine.connect() as connection:
            return {name: _figures(connection, name, now_us - _DAY_US) for name in channels}

    def muted(self, now_us: int) -> dict[str, Row[Any]]:
        """What is muted now: until when and by whom, by `channel/NAME` or `kind/NAME`."""
        query = select(mutes).where(mutes.c.until_us > now_us).order_by(mutes.c.what)
        return {row.what: row for row in self._rows(query)}

    def page(
        self, filters: Mapping[str, str], before: tuple[int, str] | None, most: int
    ) -> tuple[Rows, tuple[int, str] | None]:
        """Deliveries, newest first, and where the next page begins; None: there is none.

        `filters`: any of channel, state, kind.
        """
        place = tuple_(deliveries.c.created_us, deliveries.c.id)
        query = select(deliveries).where(
            *(deliveries.c[name] == value for name, value in filters.items())
        )
        if before is not None:
            query = query.where(place < before)
        order = deliveries.c.created_us.desc(), deliveries.c.id.desc()
        rows = self._rows(query.order_by(*order).limit(most + 1))
        last = rows[most - 1] if len(rows) > most else None
        return rows[:most], (last.created_us, last.id) if last else None

    def one(self, delivery: str) -> Row[Any] | None:
        """A delivery; None when there is none of that id."""
        rows = self._rows(select(deliveries).where(deliveries.c.id == delivery))
        return rows[0] if rows else None

    def members(self, digest: str) -> Rows:
        """The first events that are told within a message."""
        query = select(deliveries).where(deliveries.c.digest == digest)
        order = deliveries.c.created_us, deliveries.c.id
        return self._rows(query.order_by(*order).limit(_MEMBERS))

    def test(self, channel: str, who: str, now_us: int) -> str:
        """Let the stage send a message that says that it is a test; its id."""
        key = f"{TEST}/{uuid.uuid4()}"
        subject = f"Tidegate: a test of the channel {channel}"
        text = f"{who} tries whether messages arrive. Nothing has happened."
        event = Event(key, TEST, subject, text, now_us, {"channel": channel, "by": who})
        placed = Placed(delivery_id(channel, key), channel, event, "pending", 0, "", urgent=True)
        with self._acting(Act(who, "channel tested", channel)) as connection:
            connection.execute(insert(deliveries), [values_of(placed, now_us)])
        return placed.id

    def resend(self, delivery: str, who: str, now_us: int) -> bool:
        """Let the stage try again what has failed, with the same id, also in quiet hours.

        False: it has not failed, or its channel is no longer there.
        """
        again = (
            update(deliveries)
            .where(deliveries.c.id == delivery, deliveries.c.state == "failed")
            .values(state="pending", attempts=0, urgent=1, next_try_us=now_us, created_us=now_us)
        )
        failed = self.one(delivery)
        if failed is None or failed.state != "failed" or failed.last_error == "erased":
            return False
        if failed.channel not in channel_names(self.configuration()):
            return False
        with self._acting(Act(who, "message sent again", delivery)) as connection:
            return bool(connection.execute(again).rowcount)

    def mute(self, what: str, until_us: int, who: str) -> None:
        """Tell nothing by `channel/NAME`, or of `kind/NAME`, until then."""
        made = postgresql.insert if self._writer.file is None else sqlite.insert
        values = {"until_us": until_us, "who": who}
        statement = made(mutes).values(what=what, **values)
        with self._acting(Act(who, "notifications muted", what, {"until_us": until_us})) as to:
            to.execute(statement.on_conflict_do_update(index_elements=[mutes.c.what], set_=values))

    def unmute(self, what: str, who: str) -> None:
        """Tell it again."""
        with self._acting(Act(who, "notifications unmuted", what)) as connection:
            connection.execute(delete(mutes).where(mutes.c.what == what))

    def close(self) -> None:
        self._reader.close()
        self._writer.close()

    @contextmanager
    def _acting(self, act: Act) -> Iterator[Connection]:
        """One transaction, whose act is in the audit with it."""
        with retrying(self._writer), self._writer.engine.begin() as connection:
            append(connection, act)
            yield connection

    def _rows(self, query: Select[Any]) -> Rows:
        with retrying(self._reader), self._reader.engine.connect() as connection:
            return connection.execute(query).all()


def channel_names(configuration: Mapping[str, Any] | None) -> list[str]:
    """Of the configuration in use."""
    return [channel["name"] for channel in (configuration or {"channels": []})["channels"]]


def _figures(connection: Connection, channel: str, since_us: int) -> Figures:
    of_channel = deliveries.c.channel == channel
    recent = of_channel & (deliveries.c.created_us >= since_us)
    newest = deliveries.c.created_us.desc()
    by_state = select(deliveries.c.state, func.count().label("messages")).group_by(
        deliveries.c.state
    )
    waiting = connection.execute(by_state.where(of_channel, WAITS))
    counts = {row.state: row.messages for row in waiting}
    done = connection.execute(by_state.where(recent, deliveries.c.state.not_in(_WAITING)))
    counts |= {row.state: row.messages for row in done}
    sent = select(func.max(deliveries.c.sent_us)).where(recent)
    oldest = select(func.min(deliveries.c.created_us)).where(
        of_channel, WAITS, deliveries.c.state == "pending"
    )
    error = select(deliveries.c.last_error).where(
        recent, deliveries.c.state.in_(("pending", "failed")), deliveries.c.last_error != ""
    )
    return Figures(
        counts,
        connection.scalar(sent),
        connection.scalar(oldest),
        connection.scalar(error.order_by(newest).limit(1)) or "",
    )
