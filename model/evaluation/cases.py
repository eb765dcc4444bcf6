"""Past transactions to decide again, from a file or from the raw topic."""

from __future__ import annotations

import time
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from model.evaluation.decide_again import Cases
from model.features.intake import Intake, take
from model.history.fold import Log, fold_columns
from model.history.verdict_files import read_labels
from tidegate.errors import ConfigError, Retry
from tidegate.pipeline import RAW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from model.progress import Progress
    from tidegate.broker.ports import Broker, Consumer
    from tidegate.broker.records import Batch, TopicPartition
    from tidegate.profile import Profile

_ROWS = 10_000
_SECONDS = 30.0
_READ = 0.6
"""Share of the work before deciding that reading is; the rest is computing features."""


class Span(NamedTuple):
    """The rows to decide: `since_us` <= event time < `until_us`; None leaves that end open."""

    since_us: int | None = None
    until_us: int | None = None

    def rows(self, times: NDArray[np.int64]) -> slice:
        """Those of a log whose times i8[n] never fall."""
        first = 0 if self.since_us is None else int(np.searchsorted(times, self.since_us))
        stop = len(times) if self.until_us is None else int(np.searchsorted(times, self.until_us))
        return slice(first, max(first, stop))


class _Columns:
    """Transactions as columns, batch by batch; `order` is what the log is sorted by."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self.ids: list[str] = []
        self.accounts: list[str] = []
        self.read = 0
        self.rejected = 0
        numbers = np.empty(0, np.int64)
        hashes = np.empty((0, len(profile.hashed)), np.uint64)
        values = np.empty((0, len(profile.values)))
        self._batches = [(numbers, numbers, numbers, numbers, hashes, values)]

    def add(
        self,
        intake: Intake,
        row: NDArray[np.int64],
        order: NDArray[np.int64],
        place: Callable[[int], str],
    ) -> None:
        """Take a batch of messages.

        `row` and `order` i8[messages] are their numbers in the source and in the log; `place` names
        a message without an id.
        """
        names = map(attrgetter(self._profile.id_field), intake.txs)
        self.ids += [
            place(index) if name is None else str(name)
            for index, name in zip(intake.at, names, strict=True)
        ]
        columns = intake.columns
        if self._profile.account:
            self.accounts += [text.decode() for text in columns.texts[self._profile.account]]
        self.read += len(row)
        self.rejected += len(intake.rejects)
        self._batches.append(
            (
                row[intake.at],
                order[intake.at],
                columns.times,
                columns.amounts,
                columns.hashes,
                columns.values,
            )
        )

    def cases(
        self,
        labels: Callable[[list[str], NDArray[np.int64]], NDArray[np.int8]],
        span: Span,
        source: str,
        progress: Progress,
    ) -> Cases:
        """In the order of the log, with features; of several with the same id the first."""
        rows, order, times, amounts, hashes, values = map(
            np.concatenate, zip(*self._batches, strict=True)
        )
        self._batches.clear()
        kept = np.argsort(order, kind="stable")
        kept = kept[~pd.Series(self.ids).iloc[kept].duplicated().to_numpy()]
        if not np.array_equal(kept, np.arange(len(order))):
            rows, times, amounts, hashes, values = (
                column[kept] for column in (rows, times, amounts, hashes, values)
            )
        ids = [self.ids[index] for index in kept]
        accounts = [self.accounts[index] for index in kept] if self.accounts else []
        known = labels(ids, rows)
        fold_columns(
            self._profile,
            times,
            hashes,
            values,
            known,
            lambda share: progress(
                _READ + (1 - _READ) * share, f"features of {len(ids):,} transactions"
            ),
        )
        log = Log(values, known, np.maximum.accumulate(times))
        return Cases(
            ids,
            accounts,
            amounts,
            log,
            span.rows(log.times),
            source,
            self.read,
            self.rejected,
            len(order) - len(kept),
        )


def from_file(profile: Profile, path: Path, label: str, span: Span, progress: Progress) -> Cases:
    """The rows of a file that the API would take, by event time, through the serving operator.

    Rows outside the span fill windows. Raises ConfigError when the file cannot be read, or lacks a
    column.
    """
    from model.history.readers import Source

    labels = read_labels(profile, path, label)
    columns = _Columns(profile)
    for chunk in Source(path, profile).chunks(0, _ROWS):
        intake = take(profile, chunk.lines, np.zeros(len(chunk.lines), np.int64))
        row = chunk.first + np.arange(len(chunk.lines))
        order = np.zeros(len(row), np.int64)
        order[intake.at] = intake.columns.times
        columns.add(intake, row, order, lambda index, chunk=chunk: chunk.ids[index])  # type: ignore[misc] # bound early
        progress(_READ * columns.read / max(1, len(labels)), f"reading, {columns.read:,} so far")
    if columns.read != len(labels):
        raise ConfigError(
            f"{path}: {columns.read} transactions and {len(labels)} verdicts: is there a broken "
            "line?"
        )
    return columns.cases(lambda _ids, rows: labels[rows], span, str(path), progress)


def from_topic(profile: Profile, broker: Broker, span: Span, progress: Progress) -> Cases:
    """What the raw topic still holds, in the records' order of time, with the newest verdicts.

    Joins no group. Raises Retry when it cannot be read.
    """
    from model.bundles.published import labels_of, verdicts

    columns = _Columns(profile)
    for batch, share in _records(broker):
        received = np.array(batch.timestamps, np.int64) * 1000
        intake = take(profile, [value or b"" for value in batch.values], received, batch.headers)
        columns.add(
            intake,
            np.array(batch.offsets),
            received,
            lambda index, batch=batch: (  # type: ignore[misc] # bound early
                f"{batch.source.topic}-{batch.source.partition}-{batch.offsets[index]}"
            ),
        )
        progress(_READ * share, f"reading, {columns.read:,} so far")
    frauds = verdicts(broker)
    return columns.cases(lambda ids, _rows: labels_of(ids, frauds), span, f"topic {RAW}", progress)


def _records(broker: Broker) -> Iterator[tuple[Batch, float]]:
    """All records of the raw topic up to its present end, and the share that is read.

    Raises Retry.
    """
    consumer = broker.consumer(None)
    try:
        bounds = {source: consumer.bounds(source) for source in consumer.partitions(RAW)}
        whole = max(1, sum(end - first for first, end in bounds.values()))
        consumer.assign({source: first for source, (first, _) in bounds.items()})
        deadline = time.monotonic() + _SECONDS
        while left := _left(consumer, bounds):
            for batch in consumer.poll(_ROWS, 0.2):
                deadline = time.monotonic() + _SECONDS
                yield batch, 1 - left / whole
            if time.monotonic() > deadline:
                raise Retry(f"{RAW}: no records within {_SECONDS:g} s, {left:,} before its end")
    finally:
        consumer.close()


def _left(consumer: Consumer, bounds: dict[TopicPartition, tuple[int, int]]) -> int:
    return sum(
        max(0, end - (consumer.position(source) or first))
        for source, (first, end) in bounds.items()
    )
