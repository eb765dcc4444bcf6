"""Past transactions to decide again: from a file, from the raw topic, or the rows of the database."""

from __future__ import annotations

import time
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from model.candidate import Cases, Side
from model.history import Log, fold_columns
from model.intake import Intake, take
from tidegate.cli.history import read_labels
from tidegate.errors import ConfigError, Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from db.history import Period
    from model.fit import Progress
    from tidegate.broker import Broker, Consumer
    from tidegate.profile import Profile
    from tidegate.settings import Settings
    from tidegate.stage import Batch, TopicPartition

_RAW = "transactions.raw"
_ROWS = 10_000
_SECONDS = 30.0
_READ = 0.6
"""Share of the work before deciding that reading is; the rest is computing features."""


class Span(NamedTuple):
    """The rows to decide: `since_us` <= event time < `until_us`; None where nothing was said."""

    since_us: int | None = None
    until_us: int | None = None

    def rows(self, times: NDArray[np.int64]) -> slice:
        """Those of a log whose times i8[n] never fall."""
        first = 0 if self.since_us is None else int(np.searchsorted(times, self.since_us))
        stop = len(times) if self.until_us is None else int(np.searchsorted(times, self.until_us))
        return slice(first, max(first, stop))


class _Taken:
    """Transactions as columns, batch by batch; `order` is what the log is sorted by."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self.ids: list[str] = []
        self.accounts: list[str] = []
        self.read = self.rejected = 0
        numbers, hashes = np.empty(0, np.int64), np.empty((0, len(profile.hashed)), np.uint64)
        self._columns = [(numbers, numbers, numbers, numbers, hashes, np.empty((0, len(profile.values))))]

    def add(self, intake: Intake, row: NDArray[np.int64], order: NDArray[np.int64],
            place: Callable[[int], str]) -> None:
        """`row` and `order` i8[messages]: number in the source, and in the log; `place` names one without an id."""
        names = map(attrgetter(self._profile.id_field), intake.txs)
        self.ids += [place(at) if name is None else str(name) for at, name in zip(intake.at, names, strict=True)]
        columns = intake.columns
        if self._profile.account:
            self.accounts += [text.decode() for text in columns.texts[self._profile.account]]
        self.read += len(row)
        self.rejected += len(intake.rejects)
        self._columns.append((row[intake.at], order[intake.at], columns.times, columns.amounts, columns.hashes,
                              columns.values))

    def cases(self, labels: Callable[[list[str], NDArray[np.int64]], NDArray[np.int8]], span: Span, source: str,
              progress: Progress) -> Cases:
        """In the order of the log, of several with the same id the first, with features."""
        rows, order, times, amounts, hashes, values = map(np.concatenate, zip(*self._columns, strict=True))
        self._columns.clear()
        kept = np.argsort(order, kind="stable")
        kept = kept[~pd.Series(self.ids).iloc[kept].duplicated().to_numpy()]
        if not np.array_equal(kept, np.arange(len(order))):
            rows, times, amounts, hashes, values = (part[kept] for part in (rows, times, amounts, hashes, values))
        ids, accounts = ([column[at] for at in kept] if column else [] for column in (self.ids, self.accounts))
        said = labels(ids, rows)
        fold_columns(self._profile, times, hashes, values, said,
                     lambda share: progress(_READ + (1 - _READ) * share, f"features of {len(ids):,} transactions"))
        log = Log(values, said, np.maximum.accumulate(times))
        return Cases(ids, accounts, amounts, log, span.rows(log.times), source, self.read, self.rejected,
                     len(order) - len(kept))


def from_file(profile: Profile, path: Path, label: str, span: Span, progress: Progress) -> Cases:
    """The rows of a file that the API would take, by event time, through the serving operator; all fill windows.

    Raises ConfigError when the file cannot be read, or lacks a column.
    """
    from producers.readers import Source

    labels, taken, source = read_labels(profile, path, label), _Taken(profile), Source(path, profile)
    for chunk in source.chunks(0, _ROWS):
        intake = take(profile, chunk.lines, np.zeros(len(chunk.lines), np.int64))
        row = chunk.first + np.arange(len(chunk.lines))
        order = np.zeros(len(row), np.int64)
        order[intake.at] = intake.columns.times
        taken.add(intake, row, order, lambda at, chunk=chunk: chunk.ids[at])  # type: ignore[misc] # bound early
        progress(_READ * taken.read / max(1, len(labels)), f"reading, {taken.read:,} so far")
    if taken.read != len(labels):
        raise ConfigError(f"{path}: {taken.read} transactions and {len(labels)} verdicts: is there a broken line?")
    return taken.cases(lambda _ids, rows: labels[rows], span, str(path), progress)


def from_topic(profile: Profile, broker: Broker, span: Span, progress: Progress) -> Cases:
    """What the raw topic still holds, in the order of the records' times, and the newest verdict on each transaction.

    Joins no group. Raises Retry when it cannot be read.
    """
    from model.published import labels_of, verdicts

    taken = _Taken(profile)
    for batch, share in _records(broker):
        received = np.array(batch.timestamps, np.int64) * 1000
        intake = take(profile, [value or b"" for value in batch.values], received)
        taken.add(intake, np.array(batch.offsets), received, lambda at, batch=batch: (  # type: ignore[misc] # bound early
            f"{batch.source.topic}-{batch.source.partition}-{batch.offsets[at]}"))
        progress(_READ * share, f"reading, {taken.read:,} so far")
    said = verdicts(broker)
    return taken.cases(lambda ids, _rows: labels_of(ids, said), span, f"topic {_RAW}", progress)


def _records(broker: Broker) -> Iterator[tuple[Batch, float]]:
    """All records of the raw topic up to its present end, and the share that is read. Raises Retry."""
    consumer = broker.consumer(None)
    try:
        bounds = {source: consumer.bounds(source) for source in consumer.partitions(_RAW)}
        whole = max(1, sum(end - first for first, end in bounds.values()))
        consumer.assign({source: first for source, (first, _) in bounds.items()})
        deadline = time.monotonic() + _SECONDS
        while left := _left(consumer, bounds):
            for batch in consumer.poll(_ROWS, 0.2):
                deadline = time.monotonic() + _SECONDS
                yield batch, 1 - left / whole
            if time.monotonic() > deadline:
                raise Retry(f"{_RAW}: no records within {_SECONDS:g} s, {left:,} before its end")
    finally:
        consumer.close()


def _left(consumer: Consumer, bounds: dict[TopicPartition, tuple[int, int]]) -> int:
    return sum(max(0, end - (consumer.position(source) or first)) for source, (first, end) in bounds.items())


def from_database(profile: Profile, settings: Settings, broker: Broker, span: Span) -> tuple[Cases, Side]:
    """A period's rows with the features they were scored with, the newest verdict on each, and what was decided.

    Raises Retry when database or Kafka are away.
    """
    span = ending(profile, settings.db_url, span)
    found, log, without = stored_rows(profile, settings.db_url, broker, span)
    source = f"database{without}"
    accounts = [account or "" for account in found.accounts] if profile.account else []
    cases = Cases(found.ids, accounts, found.amounts, log, span.rows(log.times), source, len(found.ids))
    return cases, Side(f"as decided by {', '.join(found.bundles)}", {}, found.scores, found.decided,
                       lambda at: _stored(settings, profile, [found.ids[row] for row in at]),
                       _calibrated(settings, found.bundles))


def ending(profile: Profile, url: str, span: Span) -> Span:
    """The span, ending behind the newest row where nothing was said. Raises Retry."""
    from db.history import newest_us

    return span if span.until_us is not None else span._replace(until_us=newest_us(url, profile.hash.decode()) + 1)


def stored_rows(profile: Profile, url: str, broker: Broker, span: Span) -> tuple[Period, Log, str]:
    """A span's rows, the log that they are with the newest verdicts, and words for what is not among them.

    Raises Retry when database or Kafka are away.
    """
    from db.history import read_period
    from model.published import labels_of, verdicts

    found = read_period(url, profile.hash.decode(), len(profile.values), span.since_us or 0, span.until_us or 0)
    without = f", without {found.others:,} rows of other versions of the profile" if found.others else ""
    return found, Log(found.values, labels_of(found.ids, verdicts(broker)), found.times), without


def _stored(settings: Settings, profile: Profile, ids: list[str]) -> list[list[str]]:
    """The reasons in the rows."""
    from db.store import Store

    store = Store(settings.db_url, profile)
    rows = [store.get(name) for name in ids]
    store.close()
    return [[reason["text"] for reason in row["reasons"]] if row else [] for row in rows]


def _calibrated(settings: Settings, bundles: list[str]) -> bool:
    """Whether the scores of all these bundles are probabilities; of one that is gone nothing is known."""
    from model.catalog import find, matches

    return all(matches(settings.bundles_dir, name) and find(settings.bundles_dir, name).ensemble.calibrated
               for name in bundles)
