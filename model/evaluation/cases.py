"""Past transactions to decide again, from a file or from the raw topic."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from model.evaluation.decide_again import Cases
from model.features.intake import take
from model.files.refusals import MOST_REFUSED
from model.history.collector import Collector
from model.history.fold import Log, fold
from model.history.history import History
from model.history.reading import read_history
from tidegate.errors import Retry
from tidegate.messages.ciphertext import ERASED_KIND
from tidegate.pipeline import RAW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from model.progress import Progress
    from tidegate.broker.ports import Broker, Consumer
    from tidegate.broker.records import Batch, TopicPartition
    from tidegate.messages.vault import Vault
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


def from_file(
    profile: Profile,
    place: str,
    label: str,
    span: Span,
    progress: Progress,
    most_refused: float = MOST_REFUSED,
    form: str = "",
) -> Cases:
    """The rows of a file that the API would take, by event time, through the serving operator.

    Rows outside the span fill windows. Raises ConfigError when the file cannot be read, or lacks a
    column, or a larger share than `most_refused` of its rows is refused.
    """
    reading = read_history(profile, place, label, most_refused, progress, form)
    refused = reading.refusals
    cases = _cases(profile, reading.history, span, progress)
    return cases._replace(
        read=refused.read,
        rejected=refused.total,
        duplicates=reading.repeated,
        told=reading.sentences(),
    )


def from_topic(
    profile: Profile, broker: Broker, span: Span, progress: Progress, vault: Vault | None = None
) -> Cases:
    """What the raw topic still holds, in the records' order of time, with the newest verdicts.

    `vault` reads the payloads of an erasable profile; what was erased is left out. Joins no group.
    Raises Retry when it cannot be read.
    """
    from model.bundles.published import labels_of, verdicts

    collector, read, rejected, erased = Collector(profile), 0, 0, 0
    for batch, share in _records(broker):
        received = np.array(batch.timestamps, np.int64) * 1000
        values = vault.decrypt(batch.values) if vault else batch.values
        intake = take(profile, [value or b"" for value in values], received, batch.headers)
        at = np.array(intake.at, np.intp)
        ids = [
            profile.id_of(tx)
            or profile.stored_id(
                f"{batch.source.topic}-{batch.source.partition}-{batch.offsets[index]}"
            )
            for index, tx in zip(intake.at, intake.txs, strict=True)
        ]
        collector.add(intake, ids, np.array(batch.offsets)[at], received[at])
        read += len(batch.values)
        rejected += len(intake.rejects)
        erased += intake.passed.get(ERASED_KIND, 0)
        progress(_READ * share, f"reading, {read:,} so far")
    history = collector.history(f"topic {RAW}")
    labels = labels_of(history.ids.to_pylist(), verdicts(broker))
    cases = _cases(profile, history._replace(labels=labels), span, progress)
    return cases._replace(
        read=read,
        rejected=rejected,
        duplicates=collector.count - len(history.times),
        told=[f"{erased:,} were erased with their accounts"] if erased else [],
    )


def _cases(profile: Profile, history: History, span: Span, progress: Progress) -> Cases:
    """A history with features. A late transaction has the time of those before it."""
    n = len(history.times)
    values = fold(
        profile,
        history,
        lambda share: progress(_READ + (1 - _READ) * share, f"features of {n:,} transactions"),
    )
    log = Log(values, history.labels, np.maximum.accumulate(history.times))
    return Cases(
        history.ids.to_pylist(),
        history.accounts.to_pylist(),
        history.amounts,
        log,
        span.rows(log.times),
        history.source,
        n,
    )


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
