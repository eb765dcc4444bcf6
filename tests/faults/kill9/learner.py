"""A learner that is killed again and again: a forked process of the real stage, so that starting
costs little.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess

import numpy as np

import consumers.learn
import tidegate.broker.kafka
import tidegate.status.health
import tidegate.stream.runner
from cli.running.stages import run_stage
from model.bundles.promotion import model_message
from model.detectors.online import Online
from model.learning.learned import LabelRecord
from model.learning.learner import Learner
from tests.faults.kill9.cluster import PROFILE, Cluster
from tidegate.broker.records import Batch
from tidegate.broker.tail import Tail
from tidegate.messages.documents import Label, OnlineWeights, Rollback, encode
from tidegate.pipeline import LABELS, MODELS
from tidegate.settings import Settings

PRELOADED = (consumers.learn, tidegate.status.health, tidegate.broker.kafka, tidegate.stream.runner)
"""Imported once, in the server that forks; clients are made after the fork."""
_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])


def _compile() -> None:
    """Load what numba compiles, for all forks."""
    x = np.zeros((2, 1))
    learner = Learner(Online.fit(x, np.array([True, False]), ["x"], {}))
    learner.load_state(learner.new_state().arrays())
    learner.fold(
        learner.new_state(),
        [
            LabelRecord(0, "l", "t", True, 1),
            LabelRecord(1, "m", "t", False, 2),
        ],
        x,
    )


_compile()


def _learn(env: dict[str, str]) -> None:
    os.environ.update(env)
    run_stage("learn", Settings())


def start(cluster: Cluster) -> ForkServerProcess:
    """`tidegate run learn` on this cluster."""
    env = {
        "TIDEGATE_HOME": str(cluster.home),
        "TIDEGATE_KAFKA": cluster.kafka.address,
        "TIDEGATE_INSTANCE": "learn",
        "TIDEGATE_BUNDLES": cluster.settings.bundles,
        "TIDEGATE_PROFILE": "card",
        "TIDEGATE_SNAPSHOT_EVERY": "200",
        "TIDEGATE_LOG_LEVEL": "error",
    }
    process = _CONTEXT.Process(target=_learn, args=(env,), daemon=True)
    process.start()
    return process


def kill(process: ForkServerProcess) -> None:
    """SIGKILL."""
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join(10)


class Verdicts(threading.Thread):
    """Writes labels until `enough`: new ones, repeated ones, corrections, and now and then a
    rollback.
    """

    def __init__(self, cluster: Cluster, seed: int) -> None:
        super().__init__(name="verdicts")
        self.enough, self.written = threading.Event(), 0
        self._producer, self._chance = cluster.broker.producer(), random.Random(seed)
        self._values = np.random.default_rng(seed).normal(size=(64, len(PROFILE.values))).tolist()

    def run(self) -> None:
        while not self.enough.wait(0.02):
            for _ in range(self._chance.randrange(6)):
                self._producer.produce(LABELS, b"key", self._record(), lambda _error: None)
                self.written += 1
        assert self._producer.flush(20) == 0
        self._producer.close()

    def stop(self) -> None:
        """Write no more; returns when all are durable."""
        self.enough.set()
        self.join(30)

    def _record(self) -> bytes:
        profile = PROFILE.hash.decode()
        if self._chance.random() < 0.005:
            return encode(
                Rollback(self._chance.randrange(self.written // 2 + 1), profile, 0, "test")
            )
        at = self._chance.randrange(self.written + 1)
        fraud = self._chance.random() < 0.3
        return encode(
            Label(
                f"t{at}",
                f"t{at}-{fraud}-{self._chance.randrange(3)}",
                fraud,
                "test",
                profile,
                1,
                2,
                3,
                [],
                self._values[at % 64],
                0.5,
                "approve",
                [],
            )
        )


class Watch:
    """Counts the weights that become visible on the models topic."""

    def __init__(self, cluster: Cluster) -> None:
        self._came = threading.Condition()
        self._count = self.labels = 0
        self._tail = Tail(
            cluster.broker, MODELS, self._absorb, from_start=True, poll_seconds=0.02
        ).start()

    def _absorb(self, batch: Batch) -> None:
        found = [
            message
            for message in map(model_message, batch.values)
            if isinstance(message, OnlineWeights)
        ]
        with self._came:
            self._count += len(found)
            self.labels = max([self.labels, *(message.labels for message in found)])
            self._came.notify_all()

    def more(self, seconds: float = 60.0) -> None:
        """Until weights come that were not there. Fails when none come."""
        with self._came:
            before = self._count
            assert self._came.wait_for(lambda: self._count > before, seconds), (
                f"no weights within {seconds} s"
            )

    def reached(self, offset: int, seconds: float = 60.0) -> None:
        """Until the weights of all labels before `offset` are there. Fails when they do not
        come.
        """
        with self._came:
            assert self._came.wait_for(lambda: self.labels >= offset, seconds), (
                f"labels {self.labels} of {offset}"
            )

    def close(self) -> None:
        self._tail.close()
