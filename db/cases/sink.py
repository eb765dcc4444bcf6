"""The sink of the stage `cases`: verdicts and next offsets in one SQL transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain

from db.cases.verdicts import VerdictRows, insert_verdicts, lock
from db.engine import open_database, retrying
from db.positions import Cursor
from tidegate.broker.ports import Broker
from tidegate.broker.records import Batch, Position, TopicPartition
from tidegate.messages.documents import Label
from tidegate.pipeline import LABELS
from tidegate.stream.stage import Output

Erased = Callable[[Sequence[str]], Collection[str]]
"""Those of these transactions that were erased; may raise Retry."""


class CasesSink:
    """Implements `tidegate.stream.sink.Sink` for a stage whose `Output.rows` are `VerdictRows`.

    What is said of `erased` transactions becomes no row. Raises ConfigError for a wrong URL.
    """

    def __init__(self, url: str, broker: Broker, erased: Erased) -> None:
        self._database = open_database(url)
        self._cursor = Cursor(broker, LABELS)
        self._erased = erased

    def settle(self) -> None:
        """A failed write has rolled back."""

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
            insert_verdicts(connection, self._without_erased(labels))
        self._cursor.committed(positions)

    def close(self) -> None:
        self._database.close()

    def _without_erased(self, labels: list[tuple[int, Label]]) -> list[tuple[int, Label]]:
        """Asked under the lock, which whoever erases takes as well."""
        gone = self._erased([label.transaction_id for _, label in labels]) if labels else ()
        return [each for each in labels if each[1].transaction_id not in gone]


def _labels(output: Output) -> Sequence[tuple[int, Label]]:
    return output.rows.labels if isinstance(output.rows, VerdictRows) else ()
