"""Once for each machine: let a broker work, and keep what its Java learned (JEP 514, 515).

A broker without that is slow for its first minutes, and its compiler takes half a core from the
stages: the latency at 1,000 transactions/s is twice as long.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from tidegate.broker.kafka import KafkaBroker
from tidegate.broker.records import Position, TopicPartition
from tidegate.errors import TidegateError
from tidegate.host.embedded import EmbeddedKafka, aot_cache, free_port
from tidegate.settings import Settings

_LOG = logging.getLogger(__name__)
_SECONDS = 12.0
_PARTITIONS = 4
_VALUES = [bytes(500)] * 40


def warm() -> None:
    """Make the cache if there is none (25 s). Where that fails the broker goes without, and the log
    says why.
    """
    cache = aot_cache()
    if cache.exists():
        return
    part = cache.with_suffix(f".{os.getpid()}")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="tidegate-warm-") as folder:
            _record(Path(folder), part)
        part.replace(cache)
    except (OSError, TidegateError) as error:
        _LOG.warning("the broker starts cold: %s", error)
        part.unlink(missing_ok=True)


def _record(folder: Path, part: Path) -> None:
    kafka = EmbeddedKafka(folder, free_port(), recording=part)
    kafka.start()
    try:
        _work(KafkaBroker(Settings(kafka=kafka.address, home=folder)), time.monotonic() + _SECONDS)
        kafka.stop(60)
    finally:
        kafka.kill()


def _work(broker: KafkaBroker, until: float) -> None:
    """Posts, and small transactions from one topic to the next, as the stages make them."""
    for topic in "abc":
        broker.admin.create(topic, _PARTITIONS, 1, {})
    posts, hops = broker.producer(), [_Hop(broker, "a", "b"), _Hop(broker, "b", "c")]
    while time.monotonic() < until:
        for i, value in enumerate(_VALUES):
            posts.produce("a", bytes([i]), value, lambda _: None)
        for hop in hops:
            hop.run_once()
    for hop in hops:
        hop.close()
    posts.close()


class _Hop:
    """Copies one topic to the next."""

    def __init__(self, broker: KafkaBroker, source: str, target: str) -> None:
        self._target = target
        self._consumer, self._producer = (
            broker.consumer(f"warm-{source}"),
            broker.transactional_producer(source),
        )
        self._consumer.subscribe(source, self._begin, lambda _: None)

    def run_once(self) -> None:
        """At most one transaction."""
        if batches := self._consumer.poll(1000, 0.02):
            self._producer.begin()
            for batch in batches:
                self._producer.produce(self._target, batch.keys, batch.values)
            self._producer.send_offsets(
                self._consumer, {b.source: Position(b.offsets[-1] + 1) for b in batches}
            )
            self._producer.commit()

    def close(self) -> None:
        """Leave."""
        self._producer.close()
        self._consumer.close()

    @staticmethod
    def _begin(sources: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(sources, 0)


def main() -> None:
    """Do it beside other work, until SIGTERM."""
    os.nice(19)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    warm()


if __name__ == "__main__":
    main()
