"""Table `deliveries`, as the stage `notify` writes it.

consumed ─► place: one row a channel ─► due: held ones become one message ─► claim ─► sent or again

A claim keeps a message from being sent by two at once. Who claimed it and died has not marked it,
so it is sent again when the claim has run out, with the same id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select, update

from db.engine import open_database, parts, retrying
from db.notify.facts import CONFIGURATION, SINCE, fact, keep_fact
from db.notify.rows import message_of, tell, values_of
from db.notify.tables import WAITS, deliveries, mutes
from tidegate.notify.config import Channel, Config
from tidegate.notify.described import described
from tidegate.notify.events import TEST, Event, Message
from tidegate.notify.plan import (
    Past,
    Placed,
    Waiting,
    delivery_id,
    digests,
    plan,
    quiet_until,
    span_start,
)

CLAIM_US = 60_000_000
"""Longer than any attempt to send takes."""
GIVE_UP_US = 3 * 86_400_000_000
"""A message that was not taken for so long has failed."""
_AT_ONCE = 2_000
_DAY_US = 86_400_000_000
_COUNTS = ("pending", "sent", "failed")


class Outbox:
    """The deliveries of one configuration. Thread-safe; every method raises Retry. `clock` gives
    us.
    """

    def __init__(self, url: str, config: Config, clock: Callable[[], int]) -> None:
        self._config, self._clock = config, clock
        self._writer, self._reader = open_database(url), open_database(url, "read")

    def begin(self) -> int:
        """Note the configuration in use; since when events are told, in us.

        What waits for a channel that is no longer there has failed.
        """
        orphans = (
            update(deliveries)
            .where(
                WAITS,
                deliveries.c.channel.not_in(list(self._config.channels)),
            )
            .values(state="failed", last_error="the channel is no longer in notify.yaml")
        )
        with self.transaction() as connection:
            since_us = fact(connection, SINCE) or self._clock()
            keep_fact(connection, SINCE, since_us)
            keep_fact(connection, CONFIGURATION, described(self._config))
            connection.execute(orphans)
        return int(since_us)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One write. Raises Retry."""
        with retrying(self._writer), self._writer.engine.begin() as connection:
            yield connection

    def place(self, connection: Connection, events: Iterable[Event]) -> list[Placed]:
        """Write what becomes of these events, in the open transaction; what was written, without
        those that were there.
        """
        known = list({event.key: event for event in events}.values())
        if not known:
            return []
        now = self._clock()
        new = self._new(connection, known)
        placed = plan(self._config, self._past(connection, now), new, now)
        # later by a us each, so that they are sent and listed in the order of the events
        rows = [values_of(one, now) | {"created_us": now + at} for at, one in enumerate(placed)]
        if rows:
            connection.execute(insert(deliveries), rows)
        return placed

    def add(self, events: Iterable[Event]) -> list[Placed]:
        """As `place`, in a transaction of its own."""
        with self.transaction() as connection:
            return self.place(connection, events)

    def _new(self, connection: Connection, events: Sequence[Event]) -> list[Event]:
        """Those that no channel has been told of."""
        ids = {
            delivery_id(channel, event.key): event.key
            for event in events
            for channel in self._config.channels
        }
        seen = set[str]()
        for some in parts(ids):
            query = select(deliveries.c.id).where(deliveries.c.id.in_(some))
            seen |= {ids[name] for name in connection.scalars(query)}
        return [event for event in events if event.key not in seen]

    def _past(self, connection: Connection, now_us: int) -> Past:
        used = {
            channel.name: self._used(connection, channel, now_us)
            for channel in self._config.channels.values()
        }
        muted = connection.execute(select(mutes.c.what, mutes.c.until_us))
        return Past(used, {row.what: row.until_us for row in muted})

    @staticmethod
    def _used(connection: Connection, channel: Channel, now_us: int) -> int:
        """Messages of the channel in the present span of its throttle."""
        query = select(func.count()).where(
            deliveries.c.channel == channel.name,
            deliveries.c.created_us >= span_start(channel.throttle, now_us),
            deliveries.c.state.in_(_COUNTS),
            deliveries.c.kind != TEST,
        )
        return int(connection.scalar(query) or 0)

    def gather(self, channel: Channel) -> int:
        """Make messages of what is held and due; how many."""
        now = self._clock()
        query = (
            select(deliveries.c.id, deliveries.c.together)
            .where(
                deliveries.c.channel == channel.name,
                WAITS,
                deliveries.c.state == "held",
                deliveries.c.due_us <= now,
            )
            .order_by(deliveries.c.created_us, deliveries.c.id)
        )
        if not self._any(query):
            return 0
        with self.transaction() as connection:
            held = [Waiting(row.id, row.together) for row in connection.execute(query)]
            room = channel.throttle.most - self._used(connection, channel, now)
            made = digests(held, room)
            return sum(tell(connection, channel.name, ids, now) for ids in made)

    def claim(self, channel: Channel) -> Message | None:
        """The oldest message that is due, for this caller alone; None: there is none.

        In the channel's quiet hours what is not urgent waits, also when it was tried before them.
        """
        now = self._clock()
        least_urgent = 1 if quiet_until(channel.quiet, now) else 0
        query = (
            select(deliveries)
            .where(
                deliveries.c.channel == channel.name,
                WAITS,
                deliveries.c.state == "pending",
                deliveries.c.next_try_us <= now,
                deliveries.c.urgent >= least_urgent,
            )
            .order_by(deliveries.c.created_us, deliveries.c.id)
            .limit(1)
        )
        if not self._any(query):
            return None
        with self.transaction() as connection:
            row = connection.execute(query).one_or_none()
            if row is None:
                return None
            claimed = (
                update(deliveries)
                .where(deliveries.c.id == row.id, deliveries.c.next_try_us == row.next_try_us)
                .values(next_try_us=now + CLAIM_US)
            )
            if not connection.execute(claimed).rowcount:
                return None
            return message_of(connection, row)

    def attempts(self, message_id: str) -> tuple[int, int]:
        """How often it was tried in vain, and when it was made (us)."""
        query = select(deliveries.c.attempts, deliveries.c.created_us).where(
            deliveries.c.id == message_id
        )
        with retrying(self._reader), self._reader.engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return (row.attempts, row.created_us) if row else (0, self._clock())

    def sent(self, message_id: str) -> None:
        """The receiver has it."""
        self._mark(message_id, state="sent", sent_us=self._clock(), last_error="")

    def again(self, message_id: str, why: str, at_us: int) -> None:
        """It was not taken; try again then."""
        self._mark(message_id, next_try_us=at_us, last_error=why)

    def failed(self, message_id: str, why: str) -> None:
        """It was not taken, and no further attempt is made."""
        self._mark(message_id, state="failed", last_error=why)

    def _mark(self, message_id: str, **values: object) -> None:
        statement = (
            update(deliveries)
            .where(deliveries.c.id == message_id, deliveries.c.state == "pending")
            .values(attempts=deliveries.c.attempts + 1, **values)
        )
        with self.transaction() as connection:
            connection.execute(statement)

    def expire(self) -> int:
        """Delete some of what was made too long ago and waits for nothing; how many."""
        old = self._clock() - self._config.keep_days * _DAY_US
        query = (
            select(deliveries.c.id)
            .where(deliveries.c.created_us < old, deliveries.c.state.not_in(("pending", "held")))
            .order_by(deliveries.c.created_us)
            .limit(_AT_ONCE)
        )
        with self.transaction() as connection:
            ids = connection.scalars(query).all()
            for some in parts(ids):
                connection.execute(delete(deliveries).where(deliveries.c.id.in_(some)))
        return len(ids)

    def oldest_pending_us(self) -> dict[str, int]:
        """When the oldest message that waits was made, by channel, where there is one."""
        query = (
            select(deliveries.c.channel, func.min(deliveries.c.created_us).label("oldest"))
            .where(WAITS, deliveries.c.state == "pending")
            .group_by(deliveries.c.channel)
        )
        with retrying(self._reader), self._reader.engine.connect() as connection:
            return {row.channel: row.oldest for row in connection.execute(query)}

    def fact(self, name: str) -> Any:  # noqa: ANN401 - JSON
        """What was noted under a name; None for nothing."""
        with retrying(self._reader), self._reader.engine.connect() as connection:
            return fact(connection, name)

    def keep(self, name: str, value: object) -> None:
        """Note it."""
        with self.transaction() as connection:
            keep_fact(connection, name, value)

    def close(self) -> None:
        self._writer.close()
        self._reader.close()

    def _any(self, query: Select[Any]) -> bool:
        """Whether a query finds anything: a look costs no lock of the one writer of SQLite."""
        with retrying(self._reader), self._reader.engine.connect() as connection:
            return connection.execute(query.limit(1)).first() is not None
