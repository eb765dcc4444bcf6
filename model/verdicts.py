"""Which verdict on a transaction holds. Windows, learner, retraining and quality all ask here.

A label of weight 0 counts nowhere. A label id counts once: the first label with it. Of the labels
on one transaction the one given last holds, in whatever order they come; of those given in the same
microsecond the one whose id has the larger hash.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.hashing import hash64
from model.jit import jit
from tidegate.messages.documents import Label


@jit
def holds(given_us: int, label: int, other_given_us: int, other_label: int) -> bool:
    """Whether a verdict holds against another one on its transaction.

    Each is known by when it was given and by the number of its label id (see `label_numbers`).
    """
    return given_us > other_given_us or (given_us == other_given_us and label > other_label)


def label_numbers(label_ids: Sequence[str]) -> NDArray[np.int64]:
    """The number i8[n] of each label id, never 0: what it counts once by, and what breaks ties."""
    numbers: NDArray[np.int64] = hash64([name.encode() for name in label_ids]).view(np.int64)
    return numbers


class HoldingVerdicts:
    """The verdicts that hold after all labels added so far, without a bound."""

    def __init__(self) -> None:
        self.frauds: dict[str, bool] = {}
        """Whether each transaction with a label is a fraud."""
        self._labels: set[int] = set()
        self._holding: dict[str, tuple[int, int]] = {}

    def add(self, labels: Sequence[Label]) -> None:
        """Take labels in the order of their topic."""
        labels = [label for label in labels if label.weight]
        numbers = label_numbers([label.label_id for label in labels]).tolist()
        for label, number in zip(labels, numbers, strict=True):
            if number in self._labels:
                continue
            self._labels.add(number)
            before = self._holding.get(label.transaction_id)
            if before is None or holds(label.given_us, number, *before):
                self._holding[label.transaction_id] = label.given_us, number
                self.frauds[label.transaction_id] = label.fraud
