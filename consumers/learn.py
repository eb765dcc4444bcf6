"""The learn stage: labels move the online weights, one label at a time, in the order of the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import msgspec
import numpy as np

from consumers import rewinding
from consumers.rewinding import Checkpoints, History, Range, Rewinding, no_checkpoints
from model.bundles.bundle import Bundle
from model.bundles.promotion import model_message, online_key
from model.detectors.base import Array
from model.learning.learned import NEVER, LabelRecord, Learned, LearnState, Outcome
from model.learning.learner import Learner
from tidegate.broker.records import Batch
from tidegate.errors import ConfigError, TidegateError, Unfinished
from tidegate.messages.documents import (
    Champion,
    Label,
    OnlineWeights,
    Rollback,
    VerdictOutcome,
    encode,
)
from tidegate.messages.verdict_records import decode_labelled
from tidegate.metrics import LEARNT, ONLINE_DIFFERENCE, ONLINE_FROZEN
from tidegate.pipeline import LABELS, MODELS, OTHER_PROFILE, OUTCOMES
from tidegate.profile import Profile
from tidegate.stream.stage import Emit, Output, Reject

PUBLISH_SECONDS = 1.0
"""Weights are published at most so often: the stage rests after each batch."""
_AT_ONCE = 10_000
"""Labels folded again between two polls, some tenths of a second."""
_FORMAT = 4


class Superseded(TidegateError):
    """Another bundle is champion: the process ends, and starts again with that one."""


class _Run(NamedTuple):
    """Labels between two rollbacks, and the columns of their rows."""

    labels: list[LabelRecord]
    values: list[list[float | None]]


class LearnStage:
    """Folds labels of this profile into the champion's weights and publishes them once a batch.

    Labels of another profile version have other columns and are passed over. After a rollback to T
    the weights are what they were before offset T: the labels that counted then are read again by
    `history`, from one of the `checkpoints` on, and folded anew. That is done in parts, between
    which `process` raises Unfinished.
    """

    name = "learn"
    input = LABELS
    side: str | None = None
    reach = 0

    def __init__(
        self, profile: Profile, bundle: Bundle, history: History, promoted_at: int = 0
    ) -> None:
        """`promoted_at` is the offset of the champion message that named `bundle`."""
        if bundle.online is None:
            raise ConfigError(
                f"bundle {bundle.path} has no online model: nothing to learn; name `online` under "
                "models"
            )
        self._profile, self.bundle = profile, bundle
        self._history, self._promoted_at = history, promoted_at
        self.checkpoints: Checkpoints = no_checkpoints
        self.at_once = _AT_ONCE
        self._rewindings: dict[tuple[Range, ...], Rewinding] = {}
        self._learner = Learner(bundle.online)
        self._columns = [bundle.manifest.values.index(name) for name in bundle.feature_names]
        self.snapshot_tag = f"{profile.hash.decode()}-{bundle.hash}-{_FORMAT}"

    def new_state(self, _partition: int, _partitions: int) -> LearnState:
        return self._learner.new_state()

    def load_state(
        self, _partition: int, _partitions: int, arrays: Mapping[str, np.ndarray]
    ) -> LearnState:
        state = self._learner.load_state(arrays)
        _show(state)
        return state

    def absorb(self, state: LearnState, batch: Batch) -> None:
        """There is no side input: promotions are no part of the fold, see `superseded`."""

    def side_from(self, _state: LearnState) -> int:
        return 0

    def superseded(self, batch: Batch) -> str:
        """Why another bundle is champion by now, as records of topic models say; else empty."""
        champions = [
            message
            for offset, value in zip(batch.offsets, batch.values, strict=True)
            if offset > self._promoted_at
            and isinstance(message := model_message(value), Champion)
            and message.profile.encode() == self._profile.hash
        ]
        if champions and champions[-1].bundle != self.bundle.hash:
            return (
                f"bundle {champions[-1].bundle} was promoted, this process learns for "
                f"{self.bundle.hash}"
            )
        return ""

    def process(self, state: LearnState, batch: Batch) -> Output:
        """Learn what is new, and publish the weights after the batch.

        A rollback may raise Retry, or Unfinished: then call again with the same batch.
        """
        output, outcomes = Output(pause=PUBLISH_SECONDS), Counter[Outcome]()
        self._apply(state, batch, output.rejects, outcomes)
        self._rewindings.clear()
        output.on_commit += [partial(_count, outcomes), partial(_show, state)]
        weights = OnlineWeights(
            self.bundle.hash,
            batch.next_offset,
            self.weights(state).astype("<f8").tobytes(),
            state.learned.learnt,
            batch.received_us,
            state.learned.frozen_at != NEVER,
        )
        output.emits.append(Emit(MODELS, [online_key(self.bundle.hash)], [encode(weights)]))
        if passed := state.take_passed():
            output.passed = {OTHER_PROFILE: passed}
        if told := state.take_told():
            output.emits.append(_told(told, self.bundle.hash))
        return output

    def weights(self, state: LearnState) -> Array:
        """What scorers use after these labels: f8[p], the online detector's flat parameters."""
        return self._learner.weights(state)

    def _apply(
        self, state: LearnState, batch: Batch, rejects: list[Reject], outcomes: Counter[Outcome]
    ) -> None:
        run = _Run([], [])
        for index, value in enumerate(batch.values):
            offset = batch.offsets[index]
            message = self._read(value, index, offset)
            if isinstance(message, Reject):
                rejects.append(message)
            elif message.profile.encode() != self._profile.hash:
                state.passed += isinstance(message, Label)
            elif isinstance(message, Label):
                run.labels.append(
                    LabelRecord(
                        offset,
                        message.label_id,
                        message.transaction_id,
                        message.fraud,
                        message.given_us,
                        message.weight,
                    )
                )
                run.values.append(message.values)
            else:
                outcomes.update(self._learn(state, run))
                run = _Run([], [])
                learned = self._learned_before(state, message.rollback_to)
                state.rewind(learned, offset, message.rollback_to)
        outcomes.update(self._learn(state, run))

    def _learned_before(self, state: LearnState, offset: int) -> Learned:
        """What the learner knew before this offset, from the labels that counted then.

        Raises Unfinished and keeps what is done, also when the batch comes again.
        """
        counted = state.counted_before(offset)
        found = self._rewindings.get(tuple(counted))
        if found is None:
            found = rewinding.begin(
                counted,
                self.checkpoints,
                self._learner.load_state,
                self._learner.new_state,
                self._apply_again,
            )
            self._rewindings[tuple(counted)] = found
        if not found.go_on(self._history, self.at_once):
            raise Unfinished(f"the weights before label {offset} are not there yet")
        return self._learner.load_state(found.state.arrays()).learned

    def _apply_again(self, then: LearnState, batch: Batch) -> None:
        """What came of these labels has been told."""
        self._apply(then, batch, [], Counter())
        then.take_told()

    def _learn(self, state: LearnState, run: _Run) -> Counter[Outcome]:
        if not run.labels:
            return Counter()
        values = np.array(run.values, np.float64)
        columns = np.ascontiguousarray(values[:, self._columns])
        return self._learner.fold(state, run.labels, columns)

    def _read(self, value: bytes | None, index: int, offset: int) -> Label | Rollback | Reject:
        try:
            message = decode_labelled(value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return Reject(
                index, "invalid_json", f"not a label; only the label stage writes here: {error}"
            )
        if isinstance(message, Rollback):
            if not 0 <= message.rollback_to <= offset:
                return Reject(
                    index,
                    "out_of_bounds",
                    f"a rollback to {message.rollback_to} at offset {offset}",
                )
            return message
        expected = len(self._profile.values)
        if message.profile.encode() == self._profile.hash and len(message.values) != expected:
            return Reject(
                index, "wrong_type", f"{len(message.values)} values, this profile has {expected}"
            )
        return message


def _told(told: list[tuple[LabelRecord, Outcome]], bundle: str) -> Emit:
    outcomes = [
        VerdictOutcome(label.label_id, label.transaction_id, outcome, bundle=bundle)
        for label, outcome in told
    ]
    keys = [outcome.label_id.encode() for outcome in outcomes]
    return Emit(OUTCOMES, keys, [encode(outcome) for outcome in outcomes])


def _count(outcomes: Mapping[Outcome, int]) -> None:
    for outcome, count in outcomes.items():
        LEARNT.labels(outcome).inc(count)


def _show(state: LearnState) -> None:
    """Show how the contest stands."""
    ONLINE_FROZEN.set(state.learned.frozen_at != NEVER)
    ONLINE_DIFFERENCE.set(state.learned.contest.difference)
