"""What the tests of the two web processes share: their real servers, and scored transactions made
by hand.
"""

from __future__ import annotations

import http.client
import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from consumers.persist import Persist
from db.names import names_of
from db.sink import SqlSink
from model.hashing import hash64
from tests.support import eventually
from tidegate.broker.kafka import KafkaBroker
from tidegate.broker.ports import Broker
from tidegate.broker.records import Batch, Position, TopicPartition
from tidegate.host.embedded import free_port
from tidegate.messages.documents import encode
from tidegate.messages.frames import DECISIONS, Frames
from tidegate.messages.heartbeats import Heartbeat
from tidegate.pipeline import SCORED, STATUS
from tidegate.profile import Profile

ROOT = Path(__file__).resolve().parents[1]

JSON = "application/json"


def make_topics(broker: KafkaBroker) -> None:
    """All topics of topics.yaml, three partitions at most."""
    known = broker.admin.existing()
    for name, entry in yaml.safe_load((ROOT / "topics.yaml").read_text())["topics"].items():
        if name not in known:
            broker.admin.create(name, min(3, entry.get("partitions", 3)), 1, {})


def transaction(identity: str | None, /, **changes: object) -> dict[str, Any]:
    """A card transaction of a moment ago; a change to `...` leaves the field out."""
    made = {
        "transaction_id": identity,
        "user_id": "u-17",
        "amount": 12.5,
        "merchant": "Corner Shop",
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 5)),
        "merchant_type": "grocery",
        "device_type": "pos",
        "location_match": True,
    } | changes
    return {name: value for name, value in made.items() if value is not ...}


def scored(
    profile: Profile,
    body: Mapping[str, Any],
    decision: str = "approve",
    score: float = 0.02,
    reasons: Sequence[Mapping[str, Any]] = (),
    left_out: str = "",
) -> bytes:
    """The scored frame of a transaction that has just come all the way; `left_out` names a detector
    that failed.
    """
    tx = profile.decode(json.dumps(body).encode())
    payload, now = profile.canonical(tx), time.time_ns() // 1000
    layout = profile.scored_layout
    row = layout.empty(1)
    row["body_hash"] = profile.body_hash(payload)
    row["event_us"], row["ingest_us"], row["scored_us"] = (
        profile.event_us(tx),
        now - 30_000,
        now - 4_000,
    )
    row["amount_minor"] = round(float(body.get("amount", 0)) * 100)
    row["steps"]["time_us"] = [now - 20_000 + 8_000 * step for step in range(profile.steps)]
    hashed = [str(getattr(tx, name)).encode() for name in profile.hashed]
    row["keys"] = hash64(hashed)
    row["values"] = [[round(0.37 * i, 2) for i in range(len(profile.values))]]
    row["bundle"], row["decision"] = b"00aa11bb22cc33dd", DECISIONS.index(decision)
    row["score"] = row["scores"] = score
    row["scores"][:, -1] = math.nan  # no shadow
    if left_out:
        row["scores"][:, profile.models.names.index(left_out)] = math.nan
    frames = Frames(
        row,
        [str(profile.id_of(tx)).encode()],
        [profile.key_of(tx)],
        [payload],
        [json.dumps(list(reasons), separators=(",", ":")).encode() if reasons else b""],
    )
    return layout.pack(frames)[0]


def persist(url: str, broker: Broker, profile: Profile, frames: Sequence[bytes]) -> None:
    """Rows of these frames, by the real persist stage and sink."""
    stage = Persist(profile, Path("nowhere"))
    sink = SqlSink(url, broker, names_of(profile), clock=lambda: time.time_ns() // 1000)
    source = TopicPartition(SCORED, 0)
    try:
        start = sink.positions([source]).get(source, Position(0)).offset
        count = len(frames)
        batch = Batch(
            source,
            list(range(start, start + count)),
            [None] * count,
            list(frames),
            [0] * count,
            [None] * count,
        )
        sink.write(
            [(batch, stage.process(stage.new_state(0, 1), batch))],
            {source: Position(start + count)},
        )
    finally:
        sink.close()


def produce(broker: Broker, topic: str, *values: bytes) -> None:
    """Durable records on a topic."""
    producer, done = broker.producer(), threading.Semaphore(0)
    producer.produce_all(
        topic, [(b"key", value) for value in values], lambda _error: done.release()
    )
    for _ in values:
        assert done.acquire(timeout=10)
    producer.close()


def heartbeats(broker: Broker, partitions: Mapping[str, int], **changes: object) -> None:
    """A fresh heartbeat of one process for each stage."""
    beats: list[dict[str, Any]] = [
        {
            "process": f"{stage}-1",
            "stage": stage,
            "pid": 4711,
            "host": "here",
            "partitions": list(range(count)),
            "restored": True,
            "lag": 0,
            "processed": 1200,
            "rejected": 3,
            "restarts": 0,
            "bundle": "00aa11bb22cc33dd",
            "models_offset": 4,
            "metrics_port": 9100,
            "time_us": time.time_ns() // 1000,
        }
        | changes
        for stage, count in partitions.items()
    ]
    produce(broker, STATUS, *(encode(Heartbeat(**beat)) for beat in beats))


@dataclass(slots=True)
class Answer:
    """Status, headers (lower case) and body of an HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - whatever was answered
        return json.loads(self.body)


@dataclass(slots=True)
class Server:
    """`producers.api.serve` or `dashboard.serve` as a process of its own."""

    port: int
    process: subprocess.Popen[bytes]
    env: dict[str, str] = field(default_factory=dict)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | str | object = b"",
        content_type: str = JSON,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request; a body that is neither bytes nor text is sent as JSON."""
        raw = (
            body
            if isinstance(body, bytes)
            else body.encode()
            if isinstance(body, str)
            else json.dumps(body).encode()
        )
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            link.request(method, path, raw, {"Content-Type": content_type, **(headers or {})})
            answer = link.getresponse()
            return Answer(
                answer.status,
                {name.lower(): value for name, value in answer.getheaders()},
                answer.read(),
            )
        finally:
            link.close()

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def post(
        self, path: str, body: bytes | str | object, content_type: str = JSON, **headers: str
    ) -> Answer:
        return self.ask(
            "POST",
            path,
            body,
            content_type,
            {name.replace("_", "-"): value for name, value in headers.items()},
        )

    def _healthy(self) -> bool:
        assert self.process.poll() is None, "the server ended"
        try:
            return self.get("/healthz").status == 200
        except OSError:
            return False


@contextmanager
def serving(
    package: str, kafka: str, home: Path, profile: str = "card", database: str = ""
) -> Iterator[Server]:
    """A running server of `producers.api` or `dashboard`; the `database` (left out: SQLite's file
    in `home`) must have its tables.
    """
    port = free_port()
    env = {
        **os.environ,
        "TIDEGATE_HOME": str(home),
        "TIDEGATE_KAFKA": kafka,
        "TIDEGATE_PROFILE": profile,
        "TIDEGATE_PORT": str(port),
        "TIDEGATE_DASHBOARD_PORT": str(port),
        "TIDEGATE_DB": database,
    }
    code = (
        f"from {package}.serve import serve; from tidegate.settings import Settings; "
        "serve(Settings())"
    )
    with (home / f"{package}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, env=env, stdout=log, stderr=log
        )
    server = Server(port, process, env)
    try:
        eventually(server._healthy, 30)
        yield server
    finally:
        process.terminate()
        process.wait(15)
