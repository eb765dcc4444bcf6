"""Which columns a detector without labels looks at, and from which side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import msgspec
import numpy as np

from model.detectors.base import Array, Index, Settings
from tidegate.errors import ConfigError

_LIMIT = 1e150
"""Beyond this all values are the same: differences and squares stay finite."""


class ChosenFile(msgspec.Struct, forbid_unknown_fields=True):
    """`Chosen` in a bundle: the columns' names and medians, and whether only high values count."""

    columns: list[str]
    medians: list[float]
    one_sided: bool


class Chosen(NamedTuple):
    """Columns of `x` by place, and their medians in training. A missing value counts as the median.

    The profile's setting `columns` names the columns in which a high value is suspicious, and a low
    one is not: what lies below the median counts as the median, so no attention is spent on it.
    Without that setting all columns count, on both sides.
    """

    places: Index
    medians: Array
    one_sided: bool

    @classmethod
    def fit(cls, name: str, x: Array, features: Sequence[str], settings: Settings) -> Self:
        """The choice of `models.NAME.columns` among `features`.

        Raises ConfigError for a column that is not there.
        """
        columns = settings.get("columns", [])
        if not isinstance(columns, list) or not all(column in features for column in columns):
            raise ConfigError(
                f"models.{name}.columns: expected a list of columns that the models see, "
                f"got {columns!r}"
            )
        places = [features.index(column) for column in sorted(columns or features)]
        return cls.of(x, places, one_sided=bool(columns))

    @classmethod
    def of(cls, x: Array, places: Sequence[int], *, one_sided: bool) -> Self:
        """The columns of `x` at these places, in this order."""
        chosen = np.clip(x[:, places], -_LIMIT, _LIMIT)
        medians = [
            np.median(known) if len(known := column[~np.isnan(column)]) else 0.0
            for column in chosen.T
        ]
        return cls(np.array(places, np.int64), np.array(medians, np.float64), one_sided)

    def take(self, x: Array) -> Array:
        """The chosen columns f8[n, len(self.places)] (a copy), without missing values."""
        values = np.clip(x[:, self.places], -_LIMIT, _LIMIT)
        values = np.where(np.isnan(values), self.medians, values)
        return np.ascontiguousarray(np.maximum(values, self.medians) if self.one_sided else values)

    def spread(self, shares: Array, features: int) -> Array:
        """The shares f8[n, c] of the last c chosen columns, put at their places f8[n, features].

        The other columns get 0.
        """
        out = np.zeros((len(shares), features))
        out[:, self.places[-shares.shape[1] :]] = shares
        return out

    def file(self, features: Sequence[str]) -> ChosenFile:
        """What `load` reads."""
        return ChosenFile([features[k] for k in self.places], self.medians.tolist(), self.one_sided)

    @classmethod
    def load(cls, file: ChosenFile, features: Sequence[str]) -> Self:
        """Raises ConfigError when the columns are not the bundle's."""
        if not set(file.columns) <= set(features) or not 0 < len(file.columns) == len(file.medians):
            raise ConfigError(
                "columns: not those of the bundle, or without their medians: fetch the bundle again"
            )
        places = np.array([features.index(column) for column in file.columns], np.int64)
        return cls(places, np.array(file.medians, np.float64), file.one_sided)
