"""What the live page shows: counters and the newest decisions, from the scored topic's tail."""

from __future__ import annotations

import heapq
import threading
import time
from collections import deque
from collections.abc import Callable
from operator import itemgetter
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tidegate.broker.records import Batch
from tidegate.clock import now_us
from tidegate.messages.ciphertext import ERASED, is_closed
from tidegate.messages.frame_column import FrameColumn
from tidegate.messages.frames import DECISIONS
from tidegate.messages.vault import Vault
from tidegate.profile import Profile

KEPT = 60
"""Rows kept for each decision: what a page is sent at most when it falls behind."""
SECONDS = 60
"""Length of the rate's history."""
_SAMPLE = 500


class Live:
    """Counts everything that passes, keeps the newest few rows of each decision. Thread-safe.

    `vault` decrypts the payloads of an erasable profile; `clock` gives s, for rates.
    """

    def __init__(
        self,
        profile: Profile,
        vault: Vault | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._profile, self._layout, self._clock = profile, profile.scored_layout, clock
        self._vault = vault
        self._lock = threading.Lock()
        self._rows: list[deque[tuple[int, dict[str, Any]]]] = [
            deque(maxlen=KEPT) for _ in DECISIONS
        ]
        self._seen = 0
        self._counts = [0] * len(DECISIONS)
        self._per_second: dict[int, int] = {}
        self._delays: deque[float] = deque(maxlen=_SAMPLE)
        self.since_us = now_us()

    def absorb(self, batch: Batch) -> None:
        """Take records of the scored topic. Frames of another profile are left out, and so is what
        no key opens. Raises Retry for keys.
        """
        frames, _ = self._layout.own(batch.values)
        if not len(frames):
            return
        fixed = frames.rows_as(self._layout.dtype)
        decisions = np.minimum(fixed["decision"], len(DECISIONS) - 1)
        newest = [
            self._newest(frames, np.flatnonzero(decisions == code)[-KEPT:])
            for code in range(len(DECISIONS))
        ]
        delays = (fixed["scored_us"] - fixed["ingest_us"])[-_SAMPLE:] / 1000
        with self._lock:
            self._count(np.bincount(decisions, minlength=len(DECISIONS)), delays.tolist())
            for place, row in heapq.merge(*newest, key=itemgetter(0)):
                self._rows[DECISIONS.index(row["decision"])].append((self._seen + place + 1, row))
            self._seen += len(frames)

    def _newest(
        self, column: FrameColumn, index: NDArray[np.intp]
    ) -> list[tuple[int, dict[str, Any]]]:
        """The rows at `index`, each with its place among the frames."""
        if not len(index):
            return []
        places = index.tolist()
        frames = self._layout.unpack(column.take(index))
        payloads = self._vault.decrypt(frames.payloads) if self._vault else frames.payloads
        columns = (frames.rows, frames.ids, frames.accounts, payloads, frames.reasons)
        return [
            (place, self._row(*parts))
            for place, *parts in zip(places, *columns, strict=True)
            if parts[3] != ERASED and not is_closed(parts[3])
        ]

    def _row(
        self,
        row: Any,  # noqa: ANN401 - numpy.void
        transaction_id: bytes,
        account: bytes,
        payload: bytes,
        reasons: bytes,
    ) -> dict[str, Any]:
        return {
            "transaction_id": transaction_id.decode(),
            "account": account.decode() or None,
            "amount_minor": int(row["amount_minor"]),
            "event_us": int(row["event_us"]),
            "ingested_us": int(row["ingest_us"]),
            "decision": DECISIONS[min(int(row["decision"]), len(DECISIONS) - 1)],
            "score": float(row["score"]),
            "payload": payload.decode(),
            "reasons": msgspec.json.decode(reasons) if reasons else [],
        }

    def _count(self, counts: NDArray[np.intp], delays: list[float]) -> None:
        for code, count in enumerate(counts.tolist()):
            self._counts[code] += count
        self._delays.extend(delays)
        second = int(self._clock())
        self._per_second[second] = self._per_second.get(second, 0) + int(counts.sum())
        if len(self._per_second) > 2 * SECONDS:
            self._per_second = {
                past: count for past, count in self._per_second.items() if past > second - SECONDS
            }

    def newer(self, than: int, decision: str | None, most: int) -> tuple[int, list[dict[str, Any]]]:
        """The last number given out, and at most `most` newest rows after `than`, oldest first."""
        with self._lock:
            rings = self._rows if decision is None else [self._rows[DECISIONS.index(decision)]]
            rows = sorted(
                (pair for ring in rings for pair in ring if pair[0] > than),
                key=lambda pair: pair[0],
            )
            return self._seen, [row for _, row in rows[-most:]]

    def counters(self) -> dict[str, Any]:
        """Decisions since the start, the rates of the last seconds (oldest first), delays in ms."""
        now = int(self._clock())
        with self._lock:
            delays = np.array(self._delays)
            history = [self._per_second.get(past, 0) for past in range(now - SECONDS, now)]
            counts = dict(zip(DECISIONS, self._counts, strict=True))
        median, late = np.percentile(delays, (50, 99)).tolist() if len(delays) else (None, None)
        return {
            "decisions": counts,
            "rates": history,
            "rate": sum(history[-5:]) / 5,
            "delay_p50_ms": median,
            "delay_p99_ms": late,
            "since_us": self.since_us,
        }
