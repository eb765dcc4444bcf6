"""The loop as tutorials write it: poll one, json, windows in a dict, predict one, flush, commit.

Nothing is exactly once and the windows die with the process. Until SIGTERM: `python -m
benchmarks.peers.tutorial_loop ADDRESS SOURCE TARGET SETTINGS FOLDER`.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

import lightgbm
import numpy as np
from confluent_kafka import Consumer, Producer

from benchmarks.peers.windows import Columns, unpacked


def main(address: str, source: str, target: str, settings: str, _folder: str) -> None:
    """Run it."""
    columns = Columns(Path(settings))
    booster = lightgbm.Booster(model_file=columns.model)
    accounts: dict[str, list[int]] = defaultdict(lambda: unpacked(None))
    consumer = Consumer(
        {"bootstrap.servers": address, "group.id": source, "auto.offset.reset": "earliest"}
    )
    producer = Producer({"bootstrap.servers": address})
    consumer.subscribe([source])
    while True:
        message = consumer.poll(1.0)
        if message is None or message.error() is not None:
            continue
        transaction = json.loads(message.value() or b"")
        row = columns.row(transaction, accounts[transaction["user_id"]])
        score = float(booster.predict(np.array([row]), raw_score=True)[0])
        result = {"id": transaction["transaction_id"], "score": score, "transaction": transaction}
        producer.produce(target, json.dumps(result).encode(), message.key())
        producer.flush()
        consumer.commit(message=message)


if __name__ == "__main__":
    main(*sys.argv[1:])
