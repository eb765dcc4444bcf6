"""The load: posts until it is stopped, and writes down what was acknowledged."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import Any

import confluent_kafka as ck

from tests.chaos.ledger import Ledger, digest
from tests.chaos.traffic import Body, Traffic
from tidegate.client import Client
from tidegate.pipeline import RAW

_TICK = 0.1
_PATIENCE = 180.0
_JUDGED_LATER = 1.0
_REMEMBERED = 5000
_UNKNOWN = 5.0
"""Seconds with verdicts on nothing: each waits half a minute for its row."""


@dataclass(slots=True)
class Burst:
    """Poison that makes a stage hold a partition until somebody orders to skip it."""

    partition: int
    until: int


class Load(threading.Thread):
    """Transactions by HTTP and by a producer of its own; verdicts by HTTP.

    Of the transactions some come again, some come again with another body. `error` is what ended it
    before its time. The rate is in transactions a second. `judges`: whether there are verdicts.
    """

    def __init__(
        self, url: str, kafka: str, ledger: Ledger, *, rate: float, seed: int, prefix: str
    ) -> None:
        super().__init__(name="load", daemon=True)
        self.enough = threading.Event()
        self.error: BaseException | None = None
        self.accepted = self.produced = self.judged = 0
        self._chance = random.Random(f"load {seed}")
        self._traffic = Traffic(self._chance, prefix)
        self._burst_traffic = Traffic(random.Random(f"burst {seed}"), f"{prefix}burst-")
        self._client, self._ledger, self._rate = Client(url, patience=_PATIENCE), ledger, rate
        self._producer = ck.Producer(
            {
                "bootstrap.servers": kafka,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "message.timeout.ms": int(_PATIENCE * 1000),
                "log_level": 0,
                "error_cb": lambda _error: None,
            }
        )
        self._known: deque[Body] = deque(maxlen=_REMEMBERED)
        self._to_judge: deque[tuple[float, str]] = deque()
        self._labels: deque[dict[str, Any]] = deque(maxlen=_REMEMBERED)
        self._prefix, self.judges = prefix, True
        self._begin = time.monotonic()

    def run(self) -> None:
        self._begin = time.monotonic()
        try:
            while not self.enough.wait(_TICK):
                self._tick()
            assert self._producer.flush(60) == 0, "records are still not acknowledged"
        except BaseException as error:
            self.error = error
            raise
        finally:
            self._client.close()

    def burst(self) -> Burst:
        """150 records of poison and 30 good ones into one partition, all acknowledged."""
        account = f"{self._prefix}burst-user"
        places: list[tuple[int, int]] = []
        for value, bad in self._burst_traffic.burst(account, _now_us(), good=30, bad=150):
            self._produce(account, value, bad=bad, places=places)
        assert self._producer.flush(60) == 0, "the burst is not acknowledged"
        return Burst(places[0][0], max(offset for _, offset in places) + 1)

    def _tick(self) -> None:
        fresh = [self._traffic.transaction(_now_us()) for _ in range(self._drawn(0.9))]
        if self._chance.random() < 0.1:
            fresh += self._traffic.old_file(_now_us())
        if self._chance.random() < 0.1:
            fresh.append(self._traffic.too_early(_now_us()))
        again = self._chance.sample(list(self._known)[-500:], min(3, len(self._known)))
        self._post(fresh + again + [_changed(body) for body in again[:1] if self._rarely()])
        self._produce_some(again)
        self._producer.poll(0)
        if self.judges:
            self._judge()

    def _drawn(self, share: float) -> int:
        """How many of a tick, so that the mean is the rate."""
        return int(self._rate * _TICK * share + self._chance.random())

    def _rarely(self) -> bool:
        return self._chance.random() < 0.1

    def _post(self, bodies: list[Body]) -> None:
        lines = [json.dumps(body).encode() for body in bodies]
        status, answer = self._client.post_lines("/v1/transactions/batch", lines)
        assert status in (202, 422), answer
        refused = {one["index"] for one in answer.get("rejected", [])}
        for index, body in enumerate(bodies):
            if index not in refused:
                self._ledger.note("posted", id=body["transaction_id"], body=body)
                self._known.append(body)
                self.accepted += 1
                if self._chance.random() < 0.1:
                    due = time.monotonic() + _JUDGED_LATER * self._chance.random()
                    self._to_judge.append((due, body["transaction_id"]))

    def _produce_some(self, again: list[Body]) -> None:
        """Another producer on the raw topic: new ones, repeats, conflicts, poison, early ones."""
        bodies = [self._traffic.transaction(_now_us()) for _ in range(self._drawn(0.1))]
        bodies += again[:2]
        bodies += [_changed(body) for body in again[2:] if self._rarely()]
        for body in bodies:
            self._produce(body["user_id"], json.dumps(body).encode(), bad=False)
        if self._rarely():
            self._produce(self._traffic.transaction(0)["user_id"], self._traffic.poison(), bad=True)
        if self._chance.random() < 0.05:
            early = self._traffic.too_early(_now_us())
            self._produce(early["user_id"], json.dumps(early).encode(), bad=False)

    def _produce(
        self, key: str, value: bytes, *, bad: bool, places: list[tuple[int, int]] | None = None
    ) -> None:
        if bad:
            self._ledger.note("bad", digest=digest(value))
        done = partial(self._placed, digest(value), [] if places is None else places)
        self._producer.produce(RAW, value, key.encode(), on_delivery=done)

    def _placed(
        self,
        content: str,
        places: list[tuple[int, int]],
        error: ck.KafkaError | None,
        message: ck.Message,
    ) -> None:
        assert error is None, error
        place = message.partition() or 0, message.offset() or 0
        places.append(place)
        self._ledger.note("placed", partition=place[0], offset=place[1], digest=content)
        self.produced += 1

    def _judge(self) -> None:
        """Verdicts, corrections of earlier ones, and repeats with the same label id."""
        verdicts: list[dict[str, Any]] = []
        while self._to_judge and self._to_judge[0][0] <= time.monotonic():
            name = self._to_judge.popleft()[1]
            verdicts.append(self._verdict(name, fraud=self._chance.random() < 0.4))
        if self._labels and self._rarely():
            old = self._chance.choice(self._labels)
            verdicts.append(self._verdict(old["transaction_id"], fraud=old["verdict"] != "fraud"))
            verdicts.append(self._chance.choice(self._labels))
        if time.monotonic() < self._begin + _UNKNOWN and self._rarely():
            verdicts.append(self._verdict(f"{self._prefix}nobody{self.judged}", fraud=True))
        if not verdicts:
            return
        status, answer = self._client.post("/v1/feedback", json.dumps(verdicts).encode())
        assert status == 202, answer
        for verdict in verdicts:
            self._ledger.note(
                "verdict",
                label_id=verdict["label_id"],
                transaction_id=verdict["transaction_id"],
                fraud=verdict["verdict"] == "fraud",
            )
            self._labels.append(verdict)
        self.judged += len(verdicts)

    def _verdict(self, name: str, *, fraud: bool) -> dict[str, Any]:
        return {
            "transaction_id": name,
            "verdict": "fraud" if fraud else "legitimate",
            "label_id": f"{name}-{self.judged}-{self._chance.randrange(1 << 32)}",
        }


def _changed(body: Body) -> Body:
    return body | {"amount": round(body["amount"] + 1, 2)}


def _now_us() -> int:
    return time.time_ns() // 1000
