"""A learner on a broker in memory, what it has published, and one that fails at a label."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import REGISTRY

from consumers.learn import LearnStage
from consumers.rewinding import checkpoints_of
from model.bundles.promotion import model_message
from model.bundles.published import WeightsSink, label_history
from tests.stream.crash import Inline
from tests.trained import Trained
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.messages.documents import Label, OnlineWeights, Rollback
from tidegate.pipeline import MODELS
from tidegate.stream.runner import Runner
from tidegate.stream.snapshot import Snapshots
from tidegate.stream.stage import Reject


def learnt() -> float:
    value = REGISTRY.get_sample_value("tidegate_labels_learnt_total", {"outcome": "learnt"})
    return value or 0.0


class Hands:
    """A clock in us that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now


def runner(
    broker: MemoryBroker, trained: Trained, url: str, clock: Callable[[], int], most: int
) -> Runner:
    stage = LearnStage(trained.profile, trained.bundle, label_history(broker))
    stage.checkpoints = checkpoints_of(stage, broker, Snapshots(url))
    consumer = broker.consumer("learn")
    sink = WeightsSink(
        broker,
        consumer,
        trained.bundle.hash,
        instance="0",
        profile=trained.profile.hash,
        clock=clock,
    )
    return Runner(
        stage,
        broker,
        consumer,
        sink,
        snapshots=Snapshots(url, most),
        clock=clock,
        monotonic=clock,
        batch=most,
        snapshot_every=most,
        executor=Inline(),
    )


def published(broker: MemoryBroker) -> list[OnlineWeights]:
    messages = [model_message(record.value) for _, _, record in broker.committed_records(MODELS)]
    return [message for message in messages if isinstance(message, OnlineWeights)]


class Breaking(LearnStage):
    """One that a label of this id makes raise, as a defect does."""

    def _read(self, value: bytes | None, index: int, offset: int) -> Label | Rollback | Reject:
        if value and b"breaks" in value:
            raise RuntimeError("a defect")
        return super()._read(value, index, offset)
