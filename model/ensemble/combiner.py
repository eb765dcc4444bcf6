"""What combines the log-odds of several detectors into one score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

import numpy as np

from model.detectors.base import Array
from model.jit import jit


@jit
def _sigmoid(z: Array, out: Array) -> None:
    for i in range(z.shape[0]):
        out[i] = 1.0 / (1.0 + np.exp(-z[i]))


def sigmoid(z: Array) -> Array:
    """Probabilities of log-odds, element by element, so that batches change no bit."""
    out = np.empty(z.size)
    _sigmoid(np.ascontiguousarray(z).ravel(), out)
    return out.reshape(z.shape)


class Combiner(Protocol):
    """Makes one score of the log-odds that several detectors give a row."""

    file: ClassVar[str]
    calibrated: ClassVar[bool]
    """Whether its scores are probabilities of fraud."""

    def combine(self, log_odds: Array) -> Array:
        """Scores f8[n] in (0, 1) of the log-odds f8[n, m] of m detectors.

        A row gets the same bits alone and in any batch.
        """
        ...

    def shares(self, contributions: Sequence[Array]) -> Array:
        """What each feature adds to the log-odds of `combine`: f8[n, 1 + features], the base first.

        `contributions` are those of each detector, f8[n, 1 + features] as well.
        """
        ...

    def without(self, left_out: tuple[int, ...]) -> Combiner:
        """The combiner of all detectors but those at these places, in the same order.

        Raises ConfigError when there is none for that choice.
        """
        ...

    def save(self) -> bytes:
        """The content of `file`."""
        ...
