"""The sink of the stage `cases`: verdicts, closed cases and next offsets in one SQL transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain

from db.cases.locking import lock
from db.cases.opening import apply_verdicts
from db.cases.outbox import MISSING_US, count_labels, miss, publish_due
from db.cases.sample import trim_sample
from db.cases.verdicts import VerdictRows, insert_verdicts
from db.engine import open_database, retrying
from db.positions import Cursor
from tidegate.broker.ports import Broker
from tidegate.broker.records import Batch, Position, TopicPartition
from tidegate.messages.documents import Label
from tidegate.pipeline import LABELS
from tidegate.stream.stage import Output

Erased = Callable[[Sequence[str]], Collection[str]]
"""Those of these transactions that were erased; may raise Retry."""
_LOG = logging.getLogger(__name__)
_LOOK_US, _TIDY_US = 500_000, 30_000_000


class CasesSink:
    """Implements `tidegate.stream.sink.Sink` for a stage whose `Output.rows` are `VerdictRows`.

    What is said of `erased` transactions becomes no row. Between batches it publishes what people
    have said on the page for review, and keeps the day's sample to `daily` cases. `clock` gives
    us. Raises ConfigError for a wrong URL.
    """

    def __init__(
        self,
        url: str,
        broker: Broker,
        erased: Erased,
        *,
        clock: Callable[[], int],
        daily: int,
    ) -> None:
        self._database, self._reader = open_database(url), open_database(url, "read")
        self._cursor = Cursor(broker, LABELS)
        self._producer = broker.producer()
        self._erased, self._clock, self._daily = erased, clock, daily
        self._look_us = self._tidy_us = 0
        self._miss_us = clock() + MISSING_US  # labels may have come meanwhile: they are read first

    def settle(self) -> None:
        """Twice a second: publish what is due. Raises Retry."""
        now = self._clock()
        if now >= self._look_us:
            self._look_us = now + _LOOK_US
            publish_due(self._database, self._reader, self._producer, now)
        if now >= self._tidy_us:
            self._tidy_us = now + _TIDY_US
            self._tidy(now)

    def _tidy(self, now_us: int) -> None:
        missing = miss(self._database, now_us) if now_us >= self._miss_us else 0
        if missing:
            _LOG.warning("%d verdicts of the page for review became no label", missing)
        with retrying(self._database), self._database.engine.begin() as connection:
            trim_sample(connection, self._daily, now_us)

    def positions(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Position]:
        """From the database. Raises Retry, and Stop when they count another log."""
        self._cursor.identify()
        with retrying(self._database), self._database.engine.begin() as connection:
            return self._cursor.load(connection, partitions)

    def write(
        self,
        results: list[tuple[Batch, Output]],
        positions: Mapping[TopicPartition, Position],
    ) -> None:
        """One SQL transaction. Raises Retry (nothing was written, or `positions` knows better) or
        Fenced.
        """
        labels = list(chain.from_iterable(_labels(output) for _, output in results))
        with retrying(self._database), self._database.engine.begin() as connection:
            lock(connection)
            self._cursor.advance(connection, positions)
            kept = self._without_erased(labels)
            insert_verdicts(connection, kept)
            apply_verdicts(connection, sorted({label.transaction_id for _, label in kept}))
            count_labels(connection, [label.label_id for _, label in labels])
        self._cursor.committed(positions)

    def close(self) -> None:
        self._producer.close()
        self._database.close()
        self._reader.close()

    def _without_erased(self, labels: list[tuple[int, Label]]) -> list[tuple[int, Label]]:
        """Asked under the lock, which whoever erases takes as well."""
        gone = self._erased([label.transaction_id for _, label in labels]) if labels else ()
        return [each for each in labels if each[1].transaction_id not in gone]


def _labels(output: Output) -> Sequence[tuple[int, Label]]:
    return output.rows.labels if isinstance(output.rows, VerdictRows) else ()
