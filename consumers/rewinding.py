"""What a learner knew before an offset, from a checkpoint on, some labels at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import NamedTuple

from model.learning.learned import LearnState
from tidegate.broker.ports import Broker
from tidegate.broker.records import Batch
from tidegate.errors import Retry
from tidegate.stream.identity import identify
from tidegate.stream.snapshot import Snapshots
from tidegate.stream.stage import Arrays, Stage

_LOG = logging.getLogger(__name__)
History = Callable[[int, int], Iterator[Batch]]
"""The labels with `start` <= offset < `stop`, from the log; may raise Retry."""
Range = tuple[int, int]


class Checkpoint(NamedTuple):
    """The arrays of a learner's state after all labels before `offset`."""

    offset: int
    arrays: Arrays


Checkpoints = Callable[[int, int], Checkpoint | None]
"""The newest checkpoint with `first` <= its offset <= `last`; None when there is none."""


def no_checkpoints(_first: int, _last: int) -> None:
    """Every rewinding begins at the first label."""


def checkpoints_of(stage: Stage[LearnState], broker: Broker, snapshots: Snapshots) -> Checkpoints:
    """Those of the stage's snapshots that can be read. Raises ConfigError, Retry.

    What it gives raises Retry when the snapshots cannot be listed.
    """
    place = stage.name, f"{stage.snapshot_tag}-{identify(stage, broker)[1]}", 0

    def newest(first: int, last: int) -> Checkpoint | None:
        for offset in _offsets(snapshots, place):
            if first <= offset <= last:
                try:
                    return Checkpoint(offset, snapshots.load(*place, offset).arrays)
                except Exception as error:  # noqa: BLE001 - any other one gives the same bits
                    _LOG.warning("the snapshot at label %d is left out: %s", offset, error)
        return None

    return newest


def _offsets(snapshots: Snapshots, place: tuple[str, str, int]) -> list[int]:
    """A store that does not answer says nothing against the rollback. Raises Retry."""
    try:
        return snapshots.offsets(*place)
    except Exception as error:  # each kind of file system has errors of its own
        raise Retry(f"snapshots: {type(error).__name__}: {error}") from error


class Rewinding:
    """Folds the labels of `ranges`, in order, into `state`; `fold` is how."""

    def __init__(
        self, ranges: list[Range], state: LearnState, fold: Callable[[LearnState, Batch], None]
    ) -> None:
        self.state, self._ranges, self._fold = state, ranges, fold

    def go_on(self, history: History, most: int) -> bool:
        """Fold at least `most` labels more, or all there are; whether none is left.

        Raises Retry; what was folded is kept.
        """
        folded = 0
        while self._ranges:
            start, stop = self._ranges[0]
            for batch in history(start, stop):
                self._fold(self.state, batch)
                self._ranges[0] = (batch.next_offset, stop)
                folded += len(batch)
                if folded >= most:
                    return False
            del self._ranges[0]
        return True


def begin(
    counted: list[Range],
    checkpoints: Checkpoints,
    load: Callable[[Arrays], LearnState],
    empty: Callable[[], LearnState],
    fold: Callable[[LearnState, Batch], None],
) -> Rewinding:
    """From the newest checkpoint on that the ranges `counted` pass through.

    At an offset within one of them a state is made of the ranges before and of this one's labels up
    to it: no rollback lies between, or the range would end there.
    """
    for index in reversed(range(len(counted))):
        first, last = counted[index]
        found = checkpoints(max(first, 1), last)
        if found is not None:
            return Rewinding(
                [(found.offset, last), *counted[index + 1 :]], load(found.arrays), fold
            )
    return Rewinding(list(counted), empty(), fold)
