"""The fold of labels into online weights: what one label does to a state.

A label whose id is among the last 65,536 changes nothing, and neither does one that repeats the
verdict on its transaction, or was given before the one that holds (`model.verdicts`). One that
holds with the opposite verdict takes back what the label before it had added to the weights (as it
was added, without the decay since), and is then learnt like any other. Of a label with a weight
below 1 that share of the step is taken; one of weight 0 changes nothing and decides nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array
from model.detectors.online import Online
from model.learning.guards import Contest
from model.learning.learned import (
    ENTRY,
    NEVER,
    RECENT,
    LabelRecord,
    Learned,
    LearnState,
    Outcome,
)
from model.verdicts import holds, label_numbers
from tidegate.errors import ConfigError

_TOLD: frozenset[Outcome] = frozenset({"repeated", "frozen", "superseded"})


class Learner:
    """The fold for one bundle's online model."""

    def __init__(self, online: Online) -> None:
        self._online = online

    def new_state(self) -> LearnState:
        """Nothing learned yet: the weights of the training."""
        return LearnState(Learned(self._online.params))

    def load_state(self, arrays: Mapping[str, NDArray[Any]]) -> LearnState:
        """What `LearnState.arrays` gave. Raises ConfigError."""
        own = dict(arrays)
        try:
            learned = Learned(
                own["params"].reshape(self._online.params.shape).astype(np.float64),
                own["entries"].reshape(RECENT).astype(ENTRY),
            )
            learned.learnt, learned.remembered, learned.frozen_at = own["counts"].tolist()
            rollbacks = [(int(offset), int(to)) for offset, to in own["rollbacks"].tolist()]
            learned.contest = Contest.load(own)
        except (ConfigError, KeyError, ValueError, TypeError) as error:
            raise ConfigError(
                f"the learner's snapshot does not fit ({error}): delete it, it is rebuilt"
            ) from error
        learned.index()
        state = LearnState(learned)
        state.rollbacks = rollbacks
        return state

    def fold(self, state: LearnState, labels: Sequence[LabelRecord], x: Array) -> Counter[Outcome]:
        """Fold labels in order; `x` f8[n, features] are the columns of their rows.

        The result says how many labels had which outcome.
        """
        slots = self._online.slots(x)
        frozen = self._online.margins(self._online.params, slots)
        hashes = zip(
            label_numbers([label.label_id for label in labels]).tolist(),
            label_numbers([label.transaction_id for label in labels]).tolist(),
            strict=True,
        )
        outcomes: Counter[Outcome] = Counter()
        for row, (label, hashed) in enumerate(zip(labels, hashes, strict=True)):
            outcome = self._fold(state, label, hashed, slots[row], float(frozen[row]))
            outcomes[outcome] += 1
            if outcome in _TOLD:
                state.told.append((label, outcome))
        return outcomes

    def _fold(
        self,
        state: LearnState,
        label: LabelRecord,
        hashes: tuple[int, int],
        slots: NDArray[np.int32],
        frozen: float,
    ) -> Outcome:
        now = state.learned
        label_hash, transaction = hashes
        if not label.weight:
            return "weightless"
        if label_hash in now.labels:
            return "duplicate"
        if now.frozen_at != NEVER:
            return "frozen"
        place = now.transactions.get(transaction)
        if place is None:
            online = float(self._online.margins(now.params, slots[None])[0])
            if now.contest.judge(_probability(online), _probability(frozen), label.fraud):
                now.frozen_at = label.offset
                return "frozen"
        else:
            before = now.entries[place]
            step = float(before["step"])
            holding = int(before["given_us"]), int(before["label"])
            if not holds(label.given_us, label_hash, *holding):
                state.remember(label_hash, 0, label.given_us, 0.0, label.fraud)
                return "superseded"
            if before["fraud"] == label.fraud:
                state.remember(label_hash, transaction, label.given_us, step, label.fraud)
                return "repeated"
            self._online.take_back(now.params, slots, step)
        step = self._online.step(now.params, slots, label.fraud, label.weight)
        state.remember(label_hash, transaction, label.given_us, step, label.fraud)
        now.learnt += 1
        return "learnt" if place is None else "corrected"

    def weights(self, state: LearnState) -> Array:
        """What to score with: the learned weights, or the training's once the contest is lost."""
        return state.params if state.learned.frozen_at == NEVER else self._online.params


def _probability(margin: float) -> float:
    return 1.0 / (1.0 + math.exp(-margin)) if margin > -700 else 0.0
