"""What the topics and the database hold, read without the product's code."""

from __future__ import annotations

import base64
import json
import sqlite3
import struct
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import confluent_kafka as ck
import psycopg

from tests.chaos.ledger import Place, Sent
from tests.support import eventually

RAW, FEATURES, SCORED = "transactions.raw", "transactions.features", "transactions.scored"
BY_MERCHANT = "transactions.by-entity-2"
ALERTS, DLQ = "transactions.alerts", "transactions.dlq"
FEEDBACK, LABELS, MODELS = "transactions.feedback", "transactions.labels", "models"
STATUS = "status"
KEPT = (RAW, ALERTS, DLQ, FEEDBACK, LABELS, MODELS)
OTHERS = (BY_MERCHANT, FEATURES, SCORED)
_TIMEOUT = 20.0


class Record(NamedTuple):
    """One record of a topic; `time_ms` is the broker's own."""

    partition: int
    offset: int
    time_ms: int
    value: bytes | None
    headers: dict[str, str]

    @property
    def place(self) -> Place:
        return self.partition, self.offset

    def told(self, name: str) -> str:
        """A `tidegate-` header of a dead letter."""
        return self.headers.get(f"tidegate-{name}", "")


class Transaction(NamedTuple):
    """A body, decoded by this module alone; `rest` are the fields that nothing is computed from."""

    id: str
    account: str
    merchant: str
    cents: int
    time_us: int
    rest: tuple[tuple[str, str], ...]


class Row(NamedTuple):
    """One row. `places`: where each keyed step has read it."""

    transaction: Transaction
    places: tuple[Place, ...]
    decision: str
    score: float
    features: dict[str, float]


class Loss(NamedTuple):
    """Records of a partition of the raw topic, `offset` <= theirs < `until`."""

    partition: int
    offset: int
    until: int


@dataclass
class Evidence:
    """All there is to judge by. `deleted`: before they were read; `accepted`: as lost."""

    sent: Sent
    raw: list[Record] = field(default_factory=list)
    dead: list[Record] = field(default_factory=list)
    alerts: list[Record] = field(default_factory=list)
    labels: list[Record] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    deleted: list[Loss] = field(default_factory=list)
    accepted: list[Loss] = field(default_factory=list)


def transaction_of(value: bytes | str) -> Transaction:
    """Raises ValueError, KeyError or TypeError for what is no transaction."""
    body = json.loads(value, parse_float=Decimal)
    known = ("transaction_id", "user_id", "merchant", "amount", "timestamp")
    time = datetime.fromisoformat(body["timestamp"])
    return Transaction(
        body["transaction_id"],
        body["user_id"],
        body["merchant"],
        round(Decimal(body["amount"]) * 100),
        round(Decimal(str(time.timestamp())) * 1_000_000),
        tuple(sorted((k, str(v)) for k, v in body.items() if k not in known and v is not None)),
    )


class Tape:
    """Reads topics to their ends, committed records only; each `read` goes on from the last.

    The records of `kept` topics are kept; of the others only the ends count. `in_flight`: where the
    last `read` ended before an open transaction, or before the markers of one just committed.
    """

    def __init__(
        self, kafka: str, kept: Sequence[str] = KEPT, others: Sequence[str] = OTHERS
    ) -> None:
        self._config: dict[str, Any] = {
            "bootstrap.servers": kafka,
            "group.id": "chaos-tape",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "log_level": 0,
            "error_cb": lambda _error: None,
        }
        self._client = ck.Consumer(self._config)
        self.records: dict[str, list[Record]] = {topic: [] for topic in kept}
        self.ends: dict[tuple[str, int], int] = {}
        self._next: dict[tuple[str, int], int] = {}
        self.in_flight: set[tuple[str, int]] = set()
        found = self._client.list_topics(timeout=_TIMEOUT).topics
        self.partitions = {topic: sorted(found[topic].partitions) for topic in (*kept, *others)}

    def read(self, only: str = "") -> None:
        """Up to where every partition ends now, of all topics or one."""
        sources = [
            (topic, number)
            for topic, all_ in self.partitions.items()
            for number in all_
            if only in ("", topic)
        ]
        ends = {source: self._end(source) for source in sources}
        self._client.assign([ck.TopicPartition(*s, self._next.get(s, 0)) for s in sources])
        left = {source for source, end in ends.items() if self._next.get(source, 0) < end}
        while left:
            first = self._client.poll(_TIMEOUT)  # consume() waits for all of them, or the timeout
            assert first is not None, f"no answer from Kafka for {sorted(left)}"
            for message in [first, *self._client.consume(5000, 0)]:
                source = message.topic(), message.partition()
                if message.error() is None:
                    self._take(message)
                elif message.error().code() == ck.KafkaError._PARTITION_EOF:
                    self._next[source] = message.offset()  # behind the last transaction's marker
                    left.discard(source)
                if self._next.get(source, 0) >= ends.get(source, 0):
                    left.discard(source)
        self.in_flight = {source for source, end in ends.items() if self._next.get(source, 0) < end}

    def _end(self, source: tuple[str, int]) -> int:
        """A broker that has just come back may have another leader than the client remembers."""
        (end,) = eventually(lambda: self._bounds(source)[1:], 3 * _TIMEOUT, every=0.5)
        return end

    def _bounds(self, source: tuple[str, int]) -> tuple[int, ...]:
        try:
            return self._client.get_watermark_offsets(ck.TopicPartition(*source), _TIMEOUT)
        except ck.KafkaException:
            # it may not know the leader, or never find its broker again
            self._client.close()
            self._client = ck.Consumer(self._config)
            with suppress(ck.KafkaException):
                self._client.list_topics(source[0], _TIMEOUT)
            return ()

    def _take(self, message: ck.Message) -> None:
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        self.ends[topic, partition] = self._next[topic, partition] = offset + 1
        if topic in self.records:
            headers = {k: (v or b"").decode() for k, v in message.headers() or []}
            self.records[topic].append(
                Record(partition, offset, message.timestamp()[1], message.value(), headers)
            )

    def close(self) -> None:
        self._client.close()


def committed(kafka: str, group: str, sources: Sequence[tuple[str, int]]) -> dict[Any, Any]:
    """Offset and note of each partition of a group; without one they are 0 and empty.

    A broker that has just started does not know its groups yet: asked again for a while, each time
    by a new client.
    """
    asked = [ck.TopicPartition(*source) for source in sources]
    answers = eventually(lambda: _answer(kafka, group, asked), 8 * _TIMEOUT, every=0.5)
    return {(a.topic, a.partition): (max(a.offset, 0), a.metadata or "") for a in answers}


def _answer(kafka: str, group: str, asked: list[ck.TopicPartition]) -> list[ck.TopicPartition]:
    asking = {"isolation.level": "read_uncommitted"}  # nothing is told of a busy group otherwise
    client = ck.Consumer({"bootstrap.servers": kafka, "group.id": group, "log_level": 0, **asking})
    try:
        return client.committed(asked, _TIMEOUT)
    except ck.KafkaException:
        return []
    finally:
        client.close()


def held(kafka: str, stage: str) -> set[int]:
    """The partitions that a stage holds, as its processes said last."""
    tape = Tape(kafka, (STATUS,), ())
    try:
        tape.read()
    finally:
        tape.close()
    beats = [json.loads(record.value) for record in tape.records[STATUS] if record.value]
    newest = {beat["process"]: beat for beat in beats if beat["stage"] == stage}
    return {one["partition"] for beat in newest.values() for one in beat.get("held", [])}


class Online(NamedTuple):
    """Published weights: all labels before offset `labels`, of which `learnt` counted."""

    labels: int
    learnt: int
    weights: bytes


def decode_online(tape: Tape) -> list[Online]:
    """The online weights on the topic models, oldest first."""
    documents = [json.loads(record.value) for record in tape.records[MODELS] if record.value]
    return [
        Online(one["labels"], one["learnt"], base64.b64decode(one["weights"]))
        for one in documents
        if one["type"] == "online"
    ]


class Database:
    """The tables, by SQL of this module; `url` is SQLAlchemy's."""

    def __init__(self, url: str) -> None:
        self._url = url

    def offsets(self) -> dict[tuple[str, int], int]:
        """The next record of each partition that persist reads."""
        with self._connection() as connection:
            found = connection.execute("SELECT topic, partition, next_offset FROM offsets")
            return {(topic, partition): offset for topic, partition, offset in found}

    def newest(self) -> str:
        """The id of the newest row; empty without one."""
        with self._connection() as connection:
            newest = "SELECT transaction_id FROM transactions ORDER BY seq DESC LIMIT 1"
            return str((connection.execute(newest).fetchone() or ("",))[0])

    def rows(self, prefix: str = "") -> list[Row]:
        """Those whose ids begin with `prefix`."""
        with self._connection() as connection:
            names = dict(connection.execute("SELECT hash, value_names FROM profiles").fetchall())
            found = connection.execute(
                "SELECT payload, trace, decision, score, features, profile, transaction_id"
                " FROM transactions"
            ).fetchall()
        return [
            _row(*row[:5], json.loads(names[row[5]])) for row in found if row[6].startswith(prefix)
        ]

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        kind, _, rest = self._url.partition("://")
        if kind == "sqlite":
            path = Path(f"/{rest.lstrip('/')}")
            with closing(sqlite3.connect(path, timeout=30)) as connection:
                yield connection
        else:
            with psycopg.connect(f"postgresql://{rest}") as connection:
                yield connection


def _row(
    payload: str, trace: bytes, decision: str, score: float, features: bytes, names: list[str]
) -> Row:
    values = struct.unpack(f"<{len(names)}d", features)
    (partition, offset, *_), *later = struct.iter_unpack("<iqqqh", trace)
    places = ((partition, offset), *((p, o << 12 | index) for p, o, _, _, index in later))
    return Row(
        transaction_of(payload), places, decision, score, dict(zip(names, values, strict=True))
    )
