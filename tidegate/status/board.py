"""The board: what the heartbeats on topic `status` say of the whole pipeline."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from tidegate.broker.ports import Broker
from tidegate.broker.records import Batch
from tidegate.clock import monotonic_us, now_us
from tidegate.messages.heartbeats import Drift, Heartbeat, Held, decode_heartbeat

FRESH_US = 5_000_000
"""A heartbeat older than this says nothing about now."""


_LIVE_US = 500_000
"""Two heartbeats that come so far apart were not read from the log in one go."""


class _Seen(NamedTuple):
    """A heartbeat, and when it came: by the clock that people set, and by the one they do not."""

    beat: Heartbeat
    us: int
    monotonic_us: int


class Board:
    """The newest heartbeat of each process, and which partitions of which stage nobody serves.

    A process lives if it is heard: what its own clock says counts only for what was on the topic
    before. `clock` and `monotonic` give us.
    """

    def __init__(
        self,
        broker: Broker,
        inputs: Mapping[str, str],
        *,
        clock: Callable[[], int] = now_us,
        monotonic: Callable[[], int] = monotonic_us,
    ) -> None:
        self._broker, self._inputs = broker, dict(inputs)
        self._clock, self._monotonic = clock, monotonic
        self._beats: dict[str, _Seen] = {}
        self._partitions: dict[str, int] = {}
        self._lock = threading.Lock()
        self.stages = tuple(inputs)

    def absorb(self, batch: Batch) -> None:
        """Take records of topic `status`; what is no heartbeat is left out."""
        for key, value in zip(batch.keys, batch.values, strict=True):
            process = (key or b"").decode("utf-8", "replace")
            if value is None:
                self._forget(process)
                continue
            try:
                beat = decode_heartbeat(value)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            with self._lock:
                self._beats[beat.process] = self._seen(beat)

    def _seen(self, beat: Heartbeat) -> _Seen:
        now, monotonic = self._clock(), self._monotonic()
        before = self._beats.get(beat.process)
        heard = before is not None and monotonic - before.monotonic_us >= _LIVE_US
        return _Seen(beat, now if heard else min(beat.time_us, now), monotonic)

    def heard_us(self, process: str) -> int:
        """When a process that is listed was heard last, by this clock."""
        with self._lock:
            seen = self._beats.get(process)
            return seen.us if seen else 0

    def _forget(self, process: str) -> None:
        with self._lock:
            self._beats.pop(process, None)

    def processes(self, within_us: int = FRESH_US) -> list[Heartbeat]:
        """Heartbeats of the last `within_us`, by stage (in the order of the flow) and process.

        The clock is read here: a moment that a caller took before may lie before a heartbeat.
        """
        order = {stage: index for index, stage in enumerate(self._inputs)}
        with self._lock:
            now_us = self._clock()
            fresh = [
                seen.beat
                for seen in self._beats.values()
                if 0 <= now_us - seen.us <= within_us  # none when the clock was just set back
            ]
        return sorted(fresh, key=lambda beat: (order.get(beat.stage, len(order)), beat.process))

    def scorers(self) -> list[Heartbeat]:
        """The living scorers' heartbeats."""
        return [beat for beat in self.processes() if beat.stage == "score" and not beat.stopping]

    def drift(self) -> Drift | None:
        """The drift by whoever has counted most rows; None while nobody reports any."""
        reported = [beat.drift for beat in self.processes() if beat.drift is not None]
        return max(reported, key=lambda drift: drift.rows, default=None)

    def partitions(self) -> dict[str, int]:
        """How many partitions each stage has to serve; one without its topic is left out.

        Raises Retry when the broker is away and the numbers are not known yet.
        """
        if len(self._partitions) < len(self._inputs):
            topics = self._broker.topic_ids(list(self._inputs.values()))
            self._partitions = {
                stage: topics[topic][1] for stage, topic in self._inputs.items() if topic in topics
            }
        return self._partitions

    def missing(self) -> list[str]:
        """One sentence for each stage that lacks partitions; empty when all are served."""
        partitions = self.partitions()
        beats = self.processes()
        faults = [
            self._fault(stage, topic, partitions.get(stage), beats)
            for stage, topic in self._inputs.items()
        ]
        return [fault for fault in faults if fault]

    def held(self) -> list[tuple[str, Held]]:
        """The stages' partitions that do not go on because of their rejects."""
        return [
            (beat.stage, held)
            for beat in self.processes()
            if not beat.stopping
            for held in beat.held
        ]

    @staticmethod
    def _fault(stage: str, topic: str, partitions: int | None, beats: list[Heartbeat]) -> str:
        if partitions is None:
            return f"{stage}: topic {topic} does not exist"
        live = [beat for beat in beats if beat.stage == stage and not beat.stopping]
        if not live:
            return f"{stage}: no live process"
        served = {partition for beat in live if beat.restored for partition in beat.partitions}
        if missing := sorted(set(range(partitions)) - served):
            return f"{stage}: partitions {', '.join(map(str, missing))} not assigned and restored"
        return ""
