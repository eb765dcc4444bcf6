"""What keeps verdicts from doing harm: a limit for each source, and a contest between the online
and the frozen model.

Both are part of the fold of the labels: they know no clock but the log's, and nothing in them is
random.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.learning.adwin import CLOCK, Adwin
from tidegate.errors import ConfigError
from tidegate.stream.stage import Arrays

_SOURCES = 64
_HOUR_MS = 3_600_000
_FEWEST = 200
"""Labels in the window before the contest may be lost."""


class Quota:
    """At most `hourly` labels of one source in an hour of the log's record time.

    A time more than an hour back begins anew, or a broker's clock that ran ahead would hold the
    quota until the others get there. After `_SOURCES` sources in an hour all others share one
    quota, so that new names buy nothing.
    """

    def __init__(
        self,
        hourly: int,
        names: NDArray[np.uint64] | None = None,
        counts: NDArray[np.int64] | None = None,
        hour: int = 0,
    ) -> None:
        self._hourly = hourly
        self._hour = hour
        self._names = np.zeros(_SOURCES, np.uint64) if names is None else names.copy()
        self._counts = np.zeros(_SOURCES, np.int64) if counts is None else counts.copy()
        if self._names.shape != (_SOURCES,) or self._counts.shape != (_SOURCES,):
            raise ConfigError("quotas of another size")

    def admit(self, source: int, time_ms: int) -> bool:
        """Count a label of this source (a hash, not 0) recorded at `time_ms`; False: over quota."""
        hour = time_ms // _HOUR_MS
        if not self._hour - 1 <= hour <= self._hour:
            self._hour = hour
            self._names[:] = 0
            self._counts[:] = 0
        slots = np.flatnonzero((self._names == source) | (self._names == 0))
        slot = int(slots[0]) if len(slots) else _SOURCES - 1
        self._names[slot] = self._names[slot] or source
        if self._counts[slot] >= self._hourly:
            return False
        self._counts[slot] += 1
        return True

    def copy(self) -> Quota:
        return Quota(self._hourly, self._names, self._counts, self._hour)

    def arrays(self) -> Arrays:
        return {
            "quota_names": self._names.copy(),
            "quota_counts": self._counts.copy(),
            "quota_hour": np.array([self._hour], np.int64),
        }

    @classmethod
    def load(cls, hourly: int, arrays: Arrays) -> Quota:
        """What `arrays` gave. Raises ConfigError, KeyError."""
        return cls(
            hourly, arrays["quota_names"], arrays["quota_counts"], int(arrays["quota_hour"][0])
        )


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
