"""How fast the stages are, and whether they fall behind, by the heartbeats of some seconds."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from tidegate.broker.records import Batch
from tidegate.messages.heartbeats import Heartbeat, decode_heartbeat

_WINDOW_US = 10_000_000
_MOST_PROCESSES = 1000


class Sample(NamedTuple):
    """What a heartbeat counts."""

    time_us: int
    processed: int
    lag: int


class Pace(NamedTuple):
    """Records a second that are processed, and by how many a second the lag grows."""

    rate: float = 0.0
    growth: float = 0.0

    @property
    def arriving(self) -> float:
        """Records a second that come."""
        return max(0.0, self.rate + self.growth)


class Rates:
    """The samples of each process. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samples: dict[str, deque[Sample]] = {}

    def absorb(self, batch: Batch) -> None:
        """Take records of topic `status`."""
        for value in batch.values:
            try:
                beat = decode_heartbeat(value or b"")
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            self.note(beat)

    def note(self, beat: Heartbeat) -> None:
        """Take one; a process that began anew counts from there."""
        sample = Sample(beat.time_us, beat.processed, beat.lag)
        with self._lock:
            if len(self._samples) > _MOST_PROCESSES:
                self._samples.clear()
            known = self._samples.setdefault(beat.process, deque())
            if known and sample.processed < known[-1].processed:
                known.clear()
            if not known or sample.time_us > known[-1].time_us:
                known.append(sample)
            while known[0].time_us < sample.time_us - _WINDOW_US:
                known.popleft()

    def of(self, processes: Iterable[str]) -> Pace:
        """The pace of these processes together."""
        with self._lock:
            paces = [_pace(self._samples[name]) for name in processes if name in self._samples]
        return Pace(sum(pace.rate for pace in paces), sum(pace.growth for pace in paces))


def _pace(samples: deque[Sample]) -> Pace:
    seconds = (samples[-1].time_us - samples[0].time_us) / 1e6
    if seconds < 0.5:
        return Pace()
    processed = samples[-1].processed - samples[0].processed
    return Pace(processed / seconds, (samples[-1].lag - samples[0].lag) / seconds)
