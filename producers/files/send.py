"""Sends a file of transactions, and waits until each is a row or a dead letter."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from model.history.readers import Chunk, Source
from producers.client import Client
from producers.files.follow import Existing, Follow
from producers.files.journal import Journal, Rejection, Sent
from producers.files.remarks import Remarks
from producers.files.time_order import disorder, in_time_order
from tidegate.broker.ports import Broker
from tidegate.broker.records import TopicPartition
from tidegate.errors import ConfigError, Retry, TidegateError
from tidegate.pipeline import DLQ

_PATH = "/v1/transactions/batch"
_SAVE_EVERY = 10
_MOST_BYTES = 4_000_000

Progress = Callable[[int, int], None]
"""Called with rows posted, and rows settled (rows of the database or dead letters)."""


class Sender:
    """Sends one file. `home` is where the journal lies; setting `stop` interrupts it."""

    def __init__(
        self,
        source: Source,
        client: Client,
        home: Path,
        *,
        batch: int = 5000,
        rate: float = 0.0,
        limit: int = 0,
        restart: bool = False,
        place: str = "",
        as_is: bool = False,
    ) -> None:
        self._source, self._client = source, client
        self._batch = min(batch, max(1, int(rate / 5))) if rate else batch
        self._rate, self._limit = rate, limit
        self._folder = home / "send"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._disorder = disorder(source, limit)
        self._sorts = self._disorder.older > 0 and not as_is
        order = f" by time, {limit} rows" if self._sorts else ""
        name = f"{source.digest[:16]}-{source.profile.name}"
        self._journal_file, self._rejects_file = (
            self._folder / f"{name}.json",
            self._folder / f"{name}.rejected.jsonl",
        )
        self._journal = self._open(
            restart, hashlib.sha256(f"{client.url} {place}{order}".encode()).hexdigest()[:16]
        )
        self._refused = self._read_rejections()
        self._remarks = Remarks(source)
        self.stop = client.stop
        self.sent = Sent(
            resumed_at=self._journal.next,
            rejected=len(self._refused),
            rejections_file=str(self._rejects_file),
            unknown_columns=source.unknown,
            first_rejections=[*self._refused.values()][:20],
        )

    def _open(self, restart: bool, target: str) -> Journal:
        try:
            journal = msgspec.json.decode(self._journal_file.read_bytes(), type=Journal)
            if not restart and journal.target == target:
                return journal
        except (FileNotFoundError, msgspec.DecodeError):
            # no journal, or one cut short by a crash: sending again is safe, the ids are the same
            pass
        self._rejects_file.unlink(missing_ok=True)
        return Journal(target)

    def _read_rejections(self) -> dict[int, Rejection]:
        """What was refused up to the journal's row; what a crash left behind it comes again."""
        if not self._rejects_file.exists():
            return {}
        refused = [
            msgspec.json.decode(line, type=Rejection)
            for line in self._rejects_file.read_bytes().splitlines()
        ]
        upto = float("inf") if self._sorts else self._journal.next
        kept = {refusal.row: refusal for refusal in refused if refusal.row <= upto}
        self._rejects_file.write_bytes(
            b"".join(msgspec.json.encode(refusal) + b"\n" for refusal in kept.values())
        )
        return kept

    @property
    def dlq_since(self) -> dict[TopicPartition, int]:
        """Where the dead letters of this file begin; empty before the first send."""
        return {
            TopicPartition(DLQ, partition): offset
            for partition, offset in self._journal.dlq.items()
        }

    def mark(self, since: dict[TopicPartition, int]) -> None:
        """Note where the dead letters of this file will begin."""
        self._journal.dlq = {source.partition: offset for source, offset in since.items()}
        self._save()

    def _save(self) -> None:
        draft = self._journal_file.with_suffix(".part")
        draft.write_bytes(msgspec.json.encode(self._journal))
        draft.replace(self._journal_file)

    def run(self, follow: Follow | None, progress: Progress) -> Sent:
        """Post what is left of the file.

        Raises ConfigError for a wrong file, TidegateError for one without rows, Retry when the API
        stays away.
        """
        begin, done = time.monotonic(), self._journal.next
        for number, chunk in enumerate(self._chunks()):
            self._remarks.look(chunk)
            if chunk.first + len(chunk.ids) > done:
                self._post(chunk)
                if number % _SAVE_EVERY == 0:
                    self._save()
                self._pace(begin, chunk.first + len(chunk.ids) - done)
            if follow is not None:
                follow.add(self._accepted(chunk))
            progress(self._journal.next, 0)
            if self.stop.is_set():
                break
        if not self._remarks.rows:
            raise TidegateError(f"{self._source.path} has no rows: nothing was sent")
        self._save()
        said = self._disorder.said(self._source.profile, in_order=self._sorts)
        self.sent.remarks = [*self._remarks.sentences(), *said]
        self.sent.accepted, self.sent.seconds = self._journal.accepted, time.monotonic() - begin
        return self.sent

    def _chunks(self) -> Iterator[Chunk]:
        """All of the file up to the limit; a chunk never reaches over the row to resume from."""
        left = self._limit or None
        chunks = (
            in_time_order(self._source, self._folder, self._batch, self._limit)
            if self._sorts
            else self._source.chunks(0, self._batch)
        )
        for chunk in chunks:
            for piece in _split(chunk, self._journal.next):
                if left is not None and len(piece.ids) >= left:
                    yield piece.cut(0, left)
                    return
                left = None if left is None else left - len(piece.ids)
                yield piece

    def _accepted(self, chunk: Chunk) -> list[str]:
        if not self._refused:
            return chunk.ids
        return [key for i, key in enumerate(chunk.ids) if chunk.row(i) + 1 not in self._refused]

    def _post(self, chunk: Chunk) -> None:
        half = len(chunk.lines) // 2
        if half and sum(map(len, chunk.lines)) > _MOST_BYTES:
            for piece in _split(chunk, chunk.first + half):
                self._post(piece)
            return
        status, document = self._client.post_lines(_PATH, chunk.lines)
        if status not in (202, 422) or "accepted" not in document:
            raise TidegateError(
                f"the API answered {status} for rows {chunk.first + 1} to "
                f"{chunk.first + len(chunk.ids)}: {document.get('detail', document)}"
            )
        rejections = [_rejection(chunk, entry) for entry in document.get("rejected", [])]
        if refused := [found for found in rejections if found.row not in self._refused]:
            self._refuse(refused)
        self._journal.accepted += int(document["accepted"])
        self._journal.next = chunk.first + len(chunk.ids)
        self.sent.posted += len(chunk.ids)

    def _refuse(self, refused: list[Rejection]) -> None:
        self._refused.update((refusal.row, refusal) for refusal in refused)
        with self._rejects_file.open("ab") as file:
            file.writelines(msgspec.json.encode(refusal) + b"\n" for refusal in refused)
        self.sent.rejected = len(self._refused)
        self.sent.first_rejections += refused[: 20 - len(self.sent.first_rejections)]

    def _pace(self, begin: float, posted: int) -> None:
        if self._rate and (ahead := begin + posted / self._rate - time.monotonic()) > 0:
            self.stop.wait(ahead)


def _split(chunk: Chunk, row: int) -> list[Chunk]:
    """The chunk, cut before `row` if that lies inside."""
    cut = row - chunk.first
    if not 0 < cut < len(chunk.ids):
        return [chunk]
    return [chunk.cut(0, cut), chunk.cut(cut, len(chunk.ids))]


def _rejection(chunk: Chunk, entry: dict[str, Any]) -> Rejection:
    """An entry of `rejected` in the answer to a chunk."""
    problem = entry.get("problem", {})
    reason = problem.get("reason") or str(problem.get("type", "")).rpartition("#")[2]
    return Rejection(
        chunk.row(entry["index"]) + 1, entry.get("id"), reason, str(problem.get("detail", ""))
    )


def send(
    source: Source,
    client: Client,
    home: Path,
    *,
    broker: Broker | None = None,
    existing: Existing | None = None,
    place: str = "",
    batch: int = 5000,
    rate: float = 0.0,
    limit: int = 0,
    restart: bool = False,
    as_is: bool = False,
    patience: float = 300.0,
    progress: Progress = lambda _posted, _settled: None,
) -> Sent:
    """Send `source`, at most `rate` rows/s and `limit` rows (0: all), in time order.

    With `as_is` they go as they stand in the file, and a remark says how many go back in time.
    With `broker` and `existing` it returns when all that was sent are rows or dead letters;
    without, when all is acknowledged. `client.stop` ends it early; the next call goes on there, if
    `place` (broker and database behind the address) is the same. Raises ConfigError for a wrong
    file, Retry when the API stays away, or when for `patience` s nothing more became a row.
    """
    sender = Sender(
        source,
        client,
        home,
        batch=batch,
        rate=rate,
        limit=limit,
        restart=restart,
        place=place,
        as_is=as_is,
    )
    if broker is None or existing is None:
        return sender.run(None, progress)
    follow = Follow(broker, existing, source.profile, _since(broker, sender))
    try:
        sent = sender.run(follow, progress)
        _wait(follow, client.stop, sent, progress, patience)
    finally:
        follow.close()
    return sent


def _since(broker: Broker, sender: Sender) -> dict[TopicPartition, int]:
    """Where the dead letters of this file begin: as first noted, else at their end now."""
    consumer = broker.consumer(None)
    try:
        bounds = {source: consumer.bounds(source) for source in consumer.partitions(DLQ)}
    finally:
        consumer.close()
    if set(sender.dlq_since) != set(bounds):
        sender.mark({source: end for source, (_, end) in bounds.items()})
    return {source: max(bounds[source][0], offset) for source, offset in sender.dlq_since.items()}


def _wait(
    follow: Follow, stop: threading.Event, sent: Sent, progress: Progress, patience: float
) -> None:
    begin = moved = time.monotonic()
    before = -1
    while not follow.poll() and not stop.is_set():
        progress(follow.distinct, follow.settled)
        if follow.settled != before:
            before, moved = follow.settled, time.monotonic()
        elif time.monotonic() > moved + patience:
            raise Retry(
                f"{follow.distinct - before:,} of {follow.distinct:,} are neither rows nor dead "
                "letters, and "
                f"for {patience:.0f} s none moved: `tidegate status` says why. The same command "
                "waits again"
            )
    progress(follow.distinct, follow.settled)
    sent.distinct, sent.rows, sent.dead_letters = follow.distinct, follow.rows, follow.dead_letters
    sent.seconds += time.monotonic() - begin


def check_limits(rate: float, limit: int) -> None:
    """Raises ConfigError for numbers that make no sense."""
    if rate < 0 or limit < 0:
        raise ConfigError("--rate and --limit are 0 (none) or more")
