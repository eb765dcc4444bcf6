"""Sends a file of transactions, and waits until each is a row or a dead letter."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec

from model.files.reader import Reader
from producers.files.acknowledged import Acknowledged
from producers.files.follow import Existing, Follow
from producers.files.rejects import Rejects
from producers.files.sending import AS_USUAL, Options, Progress, Sending
from producers.files.sent import Sent
from producers.files.spool import Spool
from tidegate.broker.ports import Broker
from tidegate.broker.records import TopicPartition
from tidegate.client import Client
from tidegate.errors import ConfigError, Retry
from tidegate.pipeline import DLQ


def send(
    reader: Reader,
    client: Client,
    home: Path,
    options: Options = AS_USUAL,
    *,
    broker: Broker | None = None,
    existing: Existing | None = None,
    log: str = "",
    progress: Progress = lambda _what, _done, _total: None,
) -> Sent:
    """Send the rows of `reader` in time order.

    With `broker` and `existing` it returns when all that was sent are rows or dead letters;
    without, when all is acknowledged. `client.stop` ends it early. `log` names the Kafka behind the
    address: rows that it has acknowledged are not posted again. Raises ConfigError for a wrong
    file, TidegateError for one without rows or with too many that are refused, Retry when the API
    stays away, or when for `patience` s nothing more became a row.
    """
    folder = home / "send"
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        journal = stack.enter_context(Acknowledged(folder, log or client.url))
        stack.enter_context(journal.only_sender(reader.digest, reader.place))
        rejects = Rejects(options.rejects or _rejects_file(reader, folder), reader.place)
        stack.enter_context(closing(rejects))
        spool = stack.enter_context(Spool(journal.folder))
        sending = Sending(reader, client, journal, rejects, spool, options, progress)
        sending.read_first()
        if broker is None or existing is None:
            return sending.run(None)
        bounds = _dead_letters(broker)
        since = _since(journal.folder / "dead-letters.json", bounds)
        new = {source: end for source, (_, end) in bounds.items()}
        follow = Follow(broker, existing, reader.profile, since, new, folder)
        stack.enter_context(closing(follow))
        sent = sending.run(follow)
        _wait(follow, client, sent, progress, options.patience)
        return sent


def _rejects_file(reader: Reader, folder: Path) -> Path:
    kind = "jsonl" if reader.is_json else "csv"
    return folder / f"{reader.digest[:16]}-{reader.profile.name}.rejected.{kind}"


def _dead_letters(broker: Broker) -> dict[TopicPartition, tuple[int, int]]:
    """The first and the next offset of each partition of the dead letters."""
    consumer = broker.consumer(None)
    try:
        return {source: consumer.bounds(source) for source in consumer.partitions(DLQ)}
    finally:
        consumer.close()


def _since(
    file: Path, bounds: Mapping[TopicPartition, tuple[int, int]]
) -> dict[TopicPartition, int]:
    """Where the dead letters of this Kafka's files begin: as first noted, else at their end now."""
    try:
        noted = msgspec.json.decode(file.read_bytes(), type=dict[int, int])
    except (FileNotFoundError, msgspec.DecodeError):
        noted = {source.partition: end for source, (_, end) in bounds.items()}
        file.write_bytes(msgspec.json.encode(noted))
    return {
        source: max(first, noted.get(source.partition, 0)) for source, (first, _) in bounds.items()
    }


def _wait(follow: Follow, client: Client, sent: Sent, progress: Progress, patience: float) -> None:
    begin = moved = time.monotonic()
    before = -1
    while not follow.poll() and not client.stop.is_set():
        progress("settled", follow.settled, follow.distinct)
        if follow.settled != before:
            before, moved = follow.settled, time.monotonic()
        elif time.monotonic() > moved + patience:
            raise Retry(
                f"{follow.distinct - before:,} of {follow.distinct:,} are neither rows nor dead "
                "letters, and "
                f"for {patience:.0f} s none moved: `tidegate status` says why. The same command "
                "waits again"
            )
    progress("settled", follow.settled, follow.distinct)
    sent.distinct, sent.rows = follow.distinct, follow.rows
    sent.dead_letters = follow.dead_letters()
    sent.seconds += time.monotonic() - begin


def check_limits(rate: float, limit: int) -> None:
    """Raises ConfigError for numbers that make no sense."""
    if rate < 0 or limit < 0:
        raise ConfigError("--rate and --limit are 0 (none) or more")
