"""Rows of one dtype that grow at the end and are forgotten from the front."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FIRST = 1024


class Rows:
    """At most `most` rows: when there are more, the oldest eighth goes."""

    def __init__(self, dtype: np.dtype[Any], most: int) -> None:
        self._rows, self._count, self._most = np.empty(_FIRST, dtype), 0, most

    def __len__(self) -> int:
        return self._count

    def extend(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add rows at the end."""
        added = np.array(rows, self._rows.dtype)[-self._most :]
        if self._count + len(added) > self._most:
            kept = max(0, min(self._most - len(added), self._most - self._most // 8))
            self._rows[:kept] = self._rows[self._count - kept : self._count].copy()
            self._count = kept
        while self._count + len(added) > len(self._rows):
            self._rows = np.resize(self._rows, 2 * len(self._rows))
        self._rows[self._count : self._count + len(added)] = added
        self._count += len(added)

    def copy(self) -> NDArray[Any]:
        """All rows, oldest first."""
        return self._rows[: self._count].copy()
