"""What combines several detectors' scores into one."""

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
    """Makes one score of several detectors'."""

    file: ClassVar[str]
    calibrated: ClassVar[bool]
    """Whether its scores are probabilities of fraud."""

    def combine(self, parts: Array) -> Array:
        """Scores f8[n] in (0, 1) of log-odds f8[n, m]; the same bits alone and in any batch."""
        ...

    def shares(self, parts: Sequence[Array]) -> Array:
        """f8[n, 1 + features] from each detector's contributions: a row's sum is the log-odds of
        `combine`.
        """
        ...

    def without(self, left_out: tuple[int, ...]) -> Combiner:
        """What combines the other detectors, in the same order. Raises ConfigError when nothing was
        made for that.
        """
        ...

    def save(self) -> bytes:
        """The content of `file`."""
        ...
