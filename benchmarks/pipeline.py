"""The pipeline's rate into a database, the rate of bytes copied through as many topics, and a
tutorial's loop.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from confluent_kafka import Consumer as KafkaConsumer
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.system import BROKER, System, Usage, environment, tidegate
from cli.running.steps import make_topics, migrate, promote_first
from producers.simulator.history import simulate_history
from tests.support import partitions
from tidegate.messages.documents import encode
from tidegate.pipeline import CONSUMERS, RAW
from tidegate.profile import load_profile
from tidegate.settings import Settings

ACCOUNTS, MERCHANTS = 20_000, 2_000
FEWEST_WARM = 20_000
COPIED = ("copy.raw", "copy.by-entity-2", "copy.features", "copy.scored")
PARTITIONS = partitions(RAW)
Message = tuple[bytes, bytes]


@dataclass(frozen=True)
class Rate:
    """Transactions a second from release to the last row, and what each process used for it."""

    transactions: int
    tx_s: float
    cpu_us_per_tx: dict[str, float]
    broker_us_per_tx: float
    peak_mb: dict[str, float]


def card_transactions(n: int, prefix: str, seed: int, accounts_prefix: str = "") -> list[Message]:
    """N card transactions (key, value) of 20,000 accounts and 2,000 merchants, as the ingest API
    would publish them, in the order of their times.
    """
    profile = load_profile("card")
    frame = simulate_history(profile, n, seed, accounts=ACCOUNTS, merchants=MERCHANTS).drop(
        columns="label"
    )
    frame["timestamp"] = frame["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    frame[profile.id_field] = prefix + frame[profile.id_field]
    frame[profile.account] = accounts_prefix + frame[profile.account]
    names = list(frame.columns)
    rows = zip(*(frame[name].tolist() for name in names), strict=True)
    decoded = (
        profile.decode(encode({k: v for k, v in zip(names, row, strict=True) if v == v}))
        for row in rows
    )
    return [(profile.key_of(tx), profile.canonical(tx)) for tx in decoded]


def preload(address: str, topic: str, messages: list[Message]) -> Callable[[], None]:
    """Write the messages in one open transaction; the result makes all readable at once."""
    producer = Producer(
        {
            "bootstrap.servers": address,
            "transactional.id": f"preload.{topic}",
            "linger.ms": 5,
            "transaction.timeout.ms": 300_000,
            "queue.buffering.max.messages": 1_000_000,
            "partitioner": "murmur2_random",
        }
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    for number, (key, value) in enumerate(messages):
        producer.produce(topic, value, key)
        if number % 10_000 == 0:
            producer.poll(0)
    producer.flush(120)
    return lambda: producer.commit_transaction(60)


def measure(system: System, settings: Settings, n: int) -> Rate:
    """Rate and CPU of `n` preloaded transactions through all stages, which are warm already."""
    system.run_stages(settings)
    engine = sa.create_engine(settings.db_url)
    warm = max(FEWEST_WARM, n // 4)  # a quarter more, for the broker's own compiler
    preload(system.kafka.address, RAW, card_transactions(warm, "warm-", 7))()
    wait_rows(engine, warm)
    release = preload(system.kafka.address, RAW, card_transactions(n, "run-", 8))
    before = system.usage()
    released_us = time.time_ns() // 1000
    release()
    wait_rows(engine, warm + n)
    after = system.usage()
    with engine.connect() as connection:
        last_us = int(
            connection.execute(sa.text("SELECT max(persisted_us) FROM transactions")).scalar_one()
        )
    engine.dispose()
    return Rate(
        n,
        n / (last_us - released_us) * 1e6,
        {name: cpu_us(before, after, name, n) for name in CONSUMERS},
        cpu_us(before, after, BROKER, n),
        {name: after[name].peak / 1e6 for name in CONSUMERS},
    )


def cpu_us(before: dict[str, Usage], after: dict[str, Usage], name: str, n: int) -> float:
    """CPU us a transaction of one process, between two looks with `n` transactions."""
    return (after[name].cpu - before[name].cpu) / n * 1e6


def wait_rows(engine: sa.Engine, count: int, timeout: float = 300.0) -> None:
    """Wait for the rows, looking once a second: a count costs the database time that it should
    spend on rows.
    """
    deadline = time.monotonic() + timeout
    while True:
        with engine.connect() as connection:
            rows = int(
                connection.execute(sa.text("SELECT count(*) FROM transactions")).scalar_one()
            )
        if rows >= count:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{rows} of {count} rows after {timeout:g} s")
        time.sleep(1.0)


def byte_copy(system: System, n: int) -> float:
    """Transactions a second that three processes copy through four topics, nothing decoded."""
    address = system.kafka.address
    create_topics(address, COPIED)
    hops = list(itertools.pairwise(COPIED))
    for source, target in hops:
        system.run(
            target,
            [sys.executable, "-m", "benchmarks.baselines", "copy", address, source, target],
            system.settings(),
        )
    messages = card_transactions(n, "copy-", 9)
    preload(address, COPIED[0], messages[:FEWEST_WARM])()
    counter = _Counter(address, COPIED[-1])
    counter.wait(FEWEST_WARM)
    release = preload(address, COPIED[0], messages)
    started = time.perf_counter()
    release()
    counter.wait(FEWEST_WARM + n)
    seconds = time.perf_counter() - started
    system.end(*(target for _, target in hops))
    return n / seconds


def create_topics(address: str, names: Sequence[str]) -> None:
    """Topics with as many partitions as the raw one."""
    admin = AdminClient({"bootstrap.servers": address})
    for future in admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names]).values():
        future.result(30)


class _Counter:
    """Counts the committed records of a topic by reading them."""

    def __init__(self, address: str, topic: str) -> None:
        self._topic = topic
        self._consumer = KafkaConsumer(
            {
                "bootstrap.servers": address,
                "group.id": "count",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
            }
        )
        self._seen = 0
        self._consumer.assign(
            [TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)]
        )

    def wait(self, count: int, timeout: float = 300.0) -> None:
        """Read until `count` records in all have been seen."""
        deadline = time.monotonic() + timeout
        while self._seen < count:
            self._seen += sum(
                1 for message in self._consumer.consume(20_000, 0.05) if message.error() is None
            )
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self._seen} of {count} records on {self._topic}")


def tutorial_loop(system: System, settings: Settings, count: int) -> float:
    """Transactions a second of the loop that polls one, predicts one, flushes and commits one
    row.
    """
    (model,) = list(settings.bundles_dir.glob("*/lightgbm*.txt"))[:1]
    create_topics(system.kafka.address, ["tutorial.scored"])
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks.baselines",
            "tutorial",
            system.kafka.address,
            settings.db_url,
            str(model),
            str(count),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(json.loads(done.stdout)["tx_s"])


def prepare(settings: Settings, *, train: bool = True) -> None:
    """Topics, tables, a bundle (unless there is one already) and its promotion."""
    make_topics(settings)
    migrate(settings)
    if train:
        subprocess.run(
            tidegate("train"),
            check=True,
            capture_output=True,
            env={**os.environ, **environment(settings)},
        )
    promote_first(settings, load_profile(settings.profile))
