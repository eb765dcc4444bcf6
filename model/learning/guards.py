"""What keeps verdicts from doing harm: a contest between the online and the frozen model.

It is part of the fold of the labels: nothing in it is random.
"""

from __future__ import annotations

from model.learning.adwin import CLOCK, Adwin
from tidegate.stream.stage import Arrays

_FEWEST = 200
"""Labels in the window before the contest may be lost."""


class Contest:
    """The online against the frozen model: both are judged on each label before it is learnt
    (prequentially), by squared error.

    ADWIN keeps the differences since they last changed. The online model loses when their mean
    speaks against it by more than chance explains.
    """

    def __init__(self, window: Adwin | None = None) -> None:
        self._window = window or Adwin()

    def judge(self, online: float, frozen: float, fraud: bool) -> bool:
        """Take the two probabilities of fraud for a label; True when the online model has lost."""
        worse = (online - fraud) ** 2 - (frozen - fraud) ** 2
        self._window.add((1.0 + worse) / 2.0)
        if self._window.seen % CLOCK or self._window.width < _FEWEST:
            return False
        return self._window.mean - self._window.bound() > 0.5

    @property
    def difference(self) -> float:
        """Mean squared error of the online model less the frozen one's, over the window.

        Below zero the online model is the better one.
        """
        return 2.0 * self._window.mean - 1.0 if self._window.seen else 0.0

    def copy(self) -> Contest:
        return Contest(self._window.copy())

    def arrays(self) -> Arrays:
        return self._window.arrays()

    @classmethod
    def load(cls, arrays: Arrays) -> Contest:
        """What `arrays` gave. Raises ConfigError, KeyError."""
        return cls(Adwin.load(arrays))
