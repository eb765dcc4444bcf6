"""Folding a log beside the running system: any stage's, and the online weights of any moment."""

from __future__ import annotations

import sys
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from consumers.learn import LearnStage
from consumers.rewinding import checkpoints_of
from model.bundles.bundle import Bundle
from model.bundles.published import label_history
from model.learning.learned import LearnState
from tidegate.broker.ports import Broker
from tidegate.broker.records import Position, TopicPartition
from tidegate.messages.frames import NONE
from tidegate.profile import Profile
from tidegate.stream.identity import identify
from tidegate.stream.partition import Partition
from tidegate.stream.restore import Restorer
from tidegate.stream.side_topic import SideLog
from tidegate.stream.snapshot import Snapshots
from tidegate.stream.stage import Stage

_BATCH = 4000


class Logs:
    """What folding takes: the broker, the snapshots, and a reader that joins no group."""

    def __init__(self, broker: Broker, snapshots: Snapshots) -> None:
        self.broker, self.reader, self.snapshots = broker, broker.consumer(None), snapshots

    def restorer(self, stage: Stage[Any], side: SideLog | None = None) -> Restorer:
        """One that folds a stage's input."""
        partitions, origin = identify(stage, self.broker)
        return Restorer(
            stage,
            self.reader,
            side,
            self.snapshots,
            partitions=partitions,
            tag=f"{stage.snapshot_tag}-{origin}",
            batch=_BATCH,
        )

    def close(self) -> None:
        self.reader.close()


class PastWeights:
    """What a bundle's learner had published after all labels before an offset.

    Ask in ascending order: one reading.
    """

    def __init__(self, profile: Profile, bundle: Bundle, logs: Logs) -> None:
        self._profile, self._bundle, self._logs = profile, bundle, logs
        self._folding: tuple[LearnStage, Restorer] | None = None
        self._partition: Partition | None = None

    def at(self, labels: int) -> NDArray[np.float64] | None:
        """f8[p]; None for `NONE`, or for a bundle that does not learn: the training's.

        Raises Retry, ConfigError.
        """
        if labels == NONE or self._bundle.online is None:
            return None
        if self._folding is None:
            learner = LearnStage(self._profile, self._bundle, label_history(self._logs.broker))
            learner.checkpoints = checkpoints_of(learner, self._logs.broker, self._logs.snapshots)
            learner.at_once = sys.maxsize
            self._folding = learner, self._logs.restorer(learner)
        (stage, restorer), position = self._folding, Position(labels)
        if self._partition is None or self._partition.offset > labels:
            self._partition = restorer.load(TopicPartition(stage.input, 0), position)
        restorer.catch_up_whole(self._partition, position)
        return stage.weights(cast("LearnState", self._partition.state))
