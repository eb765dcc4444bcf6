"""The sink of the stage `notify`: deliveries and next offsets in one SQL transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from db.notify.outbox import Outbox
from db.notify.tables import delivery_offsets
from db.positions import Cursor
from tidegate import metrics
from tidegate.broker.ports import Broker
from tidegate.broker.records import Batch, Position, TopicPartition
from tidegate.pipeline import ALERTS
from tidegate.stream.dead_letters import dead_letters, deliver
from tidegate.stream.stage import Output

_DELIVERY_SECONDS = 30.0


class OutboxSink:
    """Implements `tidegate.stream.sink.Sink` for a stage whose `Output.rows` are lists of events.

    `wake` is called when something new is committed; `profile` is the profile's hash, for the dead
    letters; `clock` gives us.
    """

    def __init__(
        self,
        outbox: Outbox,
        broker: Broker,
        *,
        profile: bytes,
        clock: Callable[[], int],
        wake: Callable[[], None],
    ) -> None:
        self._outbox, self._profile, self._clock, self._wake = outbox, profile, clock, wake
        self._cursor = Cursor(broker, ALERTS, delivery_offsets)
        self._producer = broker.producer()

    def settle(self) -> None:
        """A failed write has rolled back."""

    def positions(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Position]:
        """From the database. Raises Retry, Stop."""
        self._cursor.identify()
        with self._outbox.transaction() as connection:
            return self._cursor.load(connection, partitions)

    def write(
        self,
        results: list[tuple[Batch, Output]],
        positions: Mapping[TopicPartition, Position],
    ) -> None:
        """One SQL transaction; the dead letters are durable before it is committed. Raises Retry,
        Fenced.
        """
        events = [
            event for _, output in results if isinstance(output.rows, list) for event in output.rows
        ]
        with self._outbox.transaction() as connection:
            self._cursor.advance(connection, positions)
            placed = self._outbox.place(connection, events)
            self._bury(results)
        self._cursor.committed(positions)
        for one in placed:
            if one.state == "suppressed":
                metrics.NOTIFICATIONS.labels(one.channel, "suppressed").inc()
        self._wake()

    def _bury(self, results: list[tuple[Batch, Output]]) -> None:
        for batch, output in results:
            if output.rejects:
                letters = dead_letters(
                    "notify", self._profile, batch, output.rejects, self._clock()
                )
                deliver(self._producer, letters, _DELIVERY_SECONDS)

    def close(self) -> None:
        self._producer.close()
