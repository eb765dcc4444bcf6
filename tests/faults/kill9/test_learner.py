"""kill -9 of the learner at random moments: all weights it ever published are a single-threaded
fold of the labels.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.learn import LearnStage
from model.bundles.promotion import model_message
from model.bundles.published import label_history
from tests.faults.kill9.cluster import PROFILE, Cluster
from tests.faults.kill9.learner import Verdicts, Watch, kill, start
from tidegate.broker.records import Batch
from tidegate.messages.documents import OnlineWeights
from tidegate.pipeline import LABELS, MODELS
from tidegate.stream.side_topic import read_partition

pytestmark = pytest.mark.serial

KILLS = 50
_STARTING = 1.0
"""Seconds in which every second learner is killed, most while they start."""
_WORKING = 0.3
"""The others are killed within this time after they have published."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path, f"sqlite:///{tmp_path / 'tidegate.db'}", stages=())
    try:
        yield cluster.start()
    finally:
        cluster.close()


def published(cluster: Cluster) -> list[OnlineWeights]:
    """All weights there are, oldest first; the topic is not compacted so soon."""
    return [
        message
        for batch in read_partition(cluster.broker, MODELS, 0)
        for message in map(model_message, batch.values)
        if isinstance(message, OnlineWeights)
    ]


def end(cluster: Cluster) -> int:
    batches = list(read_partition(cluster.broker, LABELS, 0))
    return batches[-1].next_offset if batches else 0


def test_weights_are_a_fold_of_the_labels_whatever_is_killed(cluster: Cluster) -> None:
    verdicts, watch = Verdicts(cluster, seed=3), Watch(cluster)
    verdicts.start()
    try:
        kill_again_and_again(cluster, watch)
        verdicts.stop()
        last, learner = end(cluster), start(cluster)
        watch.reached(last)
    finally:
        verdicts.stop()
        watch.close()
    learner.terminate()
    learner.join(20)
    assert learner.exitcode == 0
    check(cluster, published(cluster), last)


def kill_again_and_again(cluster: Cluster, watch: Watch) -> None:
    chance, pause = random.Random(7), threading.Event()
    for number in range(KILLS):
        learner = start(cluster)
        try:
            if number % 2:
                watch.more()
            pause.wait(chance.uniform(0, _WORKING if number % 2 else _STARTING))
            assert learner.is_alive(), f"a learner ended by itself with {learner.exitcode}"
        finally:
            kill(learner)


def check(cluster: Cluster, weights: list[OnlineWeights], last: int) -> None:
    """Each published set of weights is the fold of the labels before its offset, by this thread."""
    assert len(weights) > KILLS // 2, "some learners were killed before they had published anything"
    stage = LearnStage(PROFILE, cluster.bundle, label_history(cluster.broker))
    state, done = stage.new_state(0, 1), 0
    for message in weights:
        assert message.labels > done, "no label is learnt twice"
        for batch in read_partition(cluster.broker, LABELS, done, message.labels):
            fold(stage, state, batch)
        done = message.labels
        assert message.weights == state.params.astype("<f8").tobytes()
        assert message.learnt == state.learned.learnt
    assert done == last


def fold(stage: LearnStage, state: object, batch: Batch) -> None:
    """Record by record."""
    for at in range(len(batch)):
        stage.process(state, batch.slice(at, at + 1))  # type: ignore[arg-type]
