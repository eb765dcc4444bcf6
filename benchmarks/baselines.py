"""What the pipeline is compared with: bytes copied through as many topics, and a loop as tutorials
write it.

python -m benchmarks.baselines copy ADDRESS FROM TO
    one hop, Kafka transactions, nothing decoded; until SIGTERM
python -m benchmarks.baselines tutorial ADDRESS DB_URL MODEL COUNT
    poll one, json, predict one, flush, commit one row
"""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, Producer, TopicPartition

from tidegate.pipeline import RAW

if TYPE_CHECKING:
    import numpy as np
    from lightgbm import Booster
    from psycopg import Connection

BATCH = 4000
FAST = {"retry.backoff.ms": 2, "retry.backoff.max.ms": 10}


class Stopped(Exception):
    """SIGTERM arrived."""


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise Stopped


def copy(address: str, source: str, target: str) -> None:
    """Copy keys and values from one topic to another, exactly once, until SIGTERM."""
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": f"copy.{source}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 10,
            **FAST,
        }
    )
    producer = Producer(
        {"bootstrap.servers": address, "transactional.id": f"copy.{source}", "linger.ms": 1, **FAST}
    )
    producer.init_transactions(30)
    consumer.subscribe([source])
    while True:
        first = consumer.poll(1.0)
        if first is None:
            continue
        messages = [m for m in [first, *consumer.consume(BATCH - 1, 0)] if m.error() is None]
        producer.begin_transaction()
        for m in messages:
            producer.produce(target, m.value(), m.key())
        positions = consumer.position(consumer.assignment())
        producer.send_offsets_to_transaction(positions, consumer.consumer_group_metadata())
        producer.commit_transaction(30)


def tutorial(address: str, db_url: str, model_file: Path, count: int) -> None:
    """Poll one, json, predict one, flush, commit one row; prints the rate as JSON."""
    import lightgbm  # only this baseline needs them
    import numpy as np
    import psycopg

    booster = lightgbm.Booster(model_file=str(model_file))
    width = booster.num_feature()
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": f"tutorial.{time.time_ns()}",
            "auto.offset.reset": "earliest",
        }
    )
    producer = Producer({"bootstrap.servers": address})
    consumer.assign([TopicPartition(RAW, 0, 0)])
    with psycopg.connect(db_url.replace("postgresql+psycopg", "postgresql")) as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS tutorial (id text PRIMARY KEY, score float8, payload text)"
        )
        connection.commit()
        _one(consumer, producer, booster, connection, np.zeros((1, width)))
        started = time.perf_counter()
        for _ in range(count):
            _one(consumer, producer, booster, connection, np.zeros((1, width)))
        seconds = time.perf_counter() - started
        connection.execute("DROP TABLE tutorial")
        connection.commit()
    sys.stdout.write(json.dumps({"tx_s": count / seconds}) + "\n")


def _one(
    consumer: Consumer,
    producer: Producer,
    booster: Booster,
    connection: Connection,
    row: np.ndarray,
) -> None:
    while (message := consumer.poll(1.0)) is None:
        pass
    value = message.value() or b""
    transaction = json.loads(value)
    row[0, 0] = transaction["amount"]
    score = float(booster.predict(row)[0])
    producer.produce(
        "tutorial.scored", json.dumps({**transaction, "score": score}).encode(), message.key()
    )
    producer.flush()
    connection.execute(
        "INSERT INTO tutorial VALUES (%s, %s, %s) ON CONFLICT (id) DO NOTHING",
        (transaction["transaction_id"], score, value.decode()),
    )
    connection.commit()
    consumer.commit(message=message)


def main(arguments: list[str]) -> None:
    """Run the baseline the arguments name."""
    signal.signal(signal.SIGTERM, _stop)
    if arguments[0] == "copy":
        try:
            copy(*arguments[1:])
        except Stopped:
            return
    else:
        tutorial(arguments[1], arguments[2], Path(arguments[3]), int(arguments[4]))


if __name__ == "__main__":
    main(sys.argv[1:])
