"""Live traffic: simulated transactions as they happen, and verdicts after a delay."""

from __future__ import annotations

import heapq
import time
from dataclasses import dataclass

import msgspec
import numpy as np

from producers.simulator.catalog import Scale, simulation_of
from producers.simulator.history import encode_rows, to_frame
from tidegate.client import Client
from tidegate.errors import Retry, TidegateError
from tidegate.messages.documents import Verdict
from tidegate.profile import Profile

_STRETCH = 2000
"""Transactions drawn at a time, so that scenarios keep their share whatever the rate."""
_TICK = 0.1
_LEGITIMATE_SHARE = 0.05
_DRIFT_US = 3_600_000_000

Event = tuple[int, str, bytes, bool]
"""Time in us, id, JSON text, fraud."""


@dataclass(slots=True)
class Simulated:
    """What was posted and acknowledged."""

    transactions: int = 0
    frauds: int = 0
    verdicts: int = 0
    refused: int = 0
    seconds: float = 0.0


class Traffic:
    """A population's transactions in real time. A seed fixes the people, not the events."""

    def __init__(self, profile: Profile, rate: float, seed: int, now_us: int) -> None:
        scale = Scale(
            accounts=int(np.clip(rate * 20_000, 2000, 1_000_000)),
            merchants=int(np.clip(rate * 1000, 400, 50_000)),
            begin_us=now_us,
            drift_us=_DRIFT_US,
        )
        self._world = simulation_of(profile).world(profile, seed, scale)
        self._profile, self._rate = profile, rate
        self._begin_us = self._horizon_us = now_us
        self._pending: list[Event] = []

    def until(self, now_us: int) -> list[Event]:
        """The events since the last call, in time order."""
        while self._horizon_us <= now_us:
            self._draw()
        due = []
        while self._pending and self._pending[0][0] <= now_us:
            due.append(heapq.heappop(self._pending))
        return due

    def _draw(self) -> None:
        """The next stretch; bursts that begin in it go on after it."""
        seconds = _STRETCH / self._rate
        columns = self._world.window(self._horizon_us, seconds, _STRETCH)
        frame = to_frame(self._profile, columns, self._begin_us, f"sim{self._horizon_us:x}-")
        ids, lines = encode_rows(self._profile, frame)
        for event in zip(
            columns["time_us"].tolist(), ids, lines, (columns["label"] > 0).tolist(), strict=True
        ):
            heapq.heappush(self._pending, event)
        self._horizon_us += int(seconds * 1e6)


class Simulator:
    """Posts traffic and verdicts until it has posted enough, or `client.stop` is set."""

    def __init__(
        self,
        profile: Profile,
        client: Client,
        *,
        rate: float = 50.0,
        label_delay: float = 10.0,
        seed: int = 1,
        max_batch: int = 500,
    ) -> None:
        self._client, self._max_batch = client, max_batch
        self._delay_us = int(label_delay * 1e6)
        self._traffic = Traffic(profile, rate, seed, time.time_ns() // 1000)
        self._chance = np.random.default_rng([seed, time.time_ns() & 0xFFFF_FFFF])
        self._verdicts: list[tuple[int, str, bool]] = []
        self.done = Simulated()

    def run(self, *, count: int = 0, seconds: float = 0.0) -> Simulated:
        """Post at most `count` transactions in `seconds` s (0: no bound).

        Raises Retry when the API stays away.
        """
        begin = time.monotonic()
        while not self._client.stop.is_set():
            self._tick(count)
            self.done.seconds = time.monotonic() - begin
            if (count and self.done.transactions >= count) or (
                seconds and self.done.seconds >= seconds
            ):
                break
            self._client.stop.wait(_TICK)
        return self.done

    def _tick(self, count: int) -> None:
        now_us = time.time_ns() // 1000
        events = self._traffic.until(now_us)
        if count:
            events = events[: count - self.done.transactions]
        try:
            for start in range(0, len(events), self._max_batch):
                self._post(events[start : start + self._max_batch], now_us)
            self._post_verdicts(now_us)
        except Retry:
            if not self._client.stop.is_set():
                raise

    def _post(self, events: list[Event], now_us: int) -> None:
        status, document = self._client.post_lines(
            "/v1/transactions/batch", [line for _, _, line, _ in events]
        )
        if status not in (202, 422) or "accepted" not in document:
            raise TidegateError(f"the API answered {status}: {document.get('detail', document)}")
        refused = {rejection["index"] for rejection in document.get("rejected", [])}
        self.done.refused += len(refused)
        prefix = document.get("id_prefix", "")
        for index, (_, key, _, fraud) in enumerate(events):
            if index not in refused:
                self.done.transactions += 1
                self.done.frauds += fraud
                if fraud or self._chance.random() < _LEGITIMATE_SHARE:
                    said = now_us + self._delay_us, prefix + key, fraud
                    heapq.heappush(self._verdicts, said)

    def _post_verdicts(self, now_us: int) -> None:
        """Those whose delay is over."""
        due: list[Verdict] = []
        while self._verdicts and self._verdicts[0][0] <= now_us and len(due) < self._max_batch:
            _, key, fraud = heapq.heappop(self._verdicts)
            due.append(
                Verdict(key, "fraud" if fraud else "legitimate", f"sim-{key}", source="simulator")
            )
        if due:
            status, document = self._client.post("/v1/feedback", msgspec.json.encode(due))
            if status != 202:
                raise TidegateError(
                    f"the API answered {status} to verdicts: {document.get('detail', document)}"
                )
            self.done.verdicts += len(due)
