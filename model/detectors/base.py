"""What a detector is; `model.detectors.catalog` lists those that a profile may name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol, Self, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from tidegate.errors import ConfigError

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Settings = Mapping[str, float | int | str | bool | list[str]]
Files = Mapping[str, bytes]
"""Contents by name."""
T = TypeVar("T")


class Detector(Protocol):
    """A model that gives every row log-odds of fraud. Immutable, seeded, its inputs left alone.

    `features` are the input columns in the detector's own (sorted) order: the order at training
    does not matter. A row gets the same bits alone and in any batch. NaN is a missing value.
    """

    name: ClassVar[str]
    files: ClassVar[tuple[str, ...]]
    supervised: ClassVar[bool]
    """Whether it learns from verdicts, so that a history without any cannot train it."""
    extra: ClassVar[str | None]
    """The extra of this package that training needs: see `model.detectors.packages`."""
    features: tuple[str, ...]

    @classmethod
    def fit(
        cls,
        x: Array,
        y: NDArray[np.bool_],
        features: Sequence[str],
        settings: Settings,
        seed: int = 0,
    ) -> Self:
        """Train on `x` f8[n, len(features)] and `y` bool[n], in time order.

        Raises ConfigError for a wrong setting.
        """
        ...

    def score(self, x: Array) -> Array:
        """Log-odds f8[n] of `x` f8[n, len(self.features)], columns in `self.features`' order."""
        ...

    def contributions(self, x: Array) -> Array:
        """f8[n, 1 + len(self.features)]: the base, then what each feature adds to the score."""
        ...

    def save(self) -> Files:
        """The contents of `files`: text, arrays or a TFLite graph, nothing that can execute."""
        ...

    @classmethod
    def load(cls, files: Files, features: Sequence[str]) -> Self:
        """The detector that `save` wrote. Raises ConfigError unless it has these features."""
        ...


def ordered(x: Array, features: Sequence[str]) -> tuple[Array, tuple[str, ...]]:
    """The columns in the order of their sorted names (a copy), and those names."""
    order = sorted(range(len(features)), key=features.__getitem__)
    return np.ascontiguousarray(x[:, order], dtype=np.float64), tuple(features[i] for i in order)


def setting(
    name: str, settings: Settings, defaults: Mapping[str, float], others: Sequence[str] = ()
) -> dict[str, float]:
    """The numbers among a detector's settings: the profile's, and the defaults of the others.

    `others` names settings that are no numbers; their user checks them. Raises ConfigError for an
    unknown name and a wrong value.
    """
    result = dict(defaults)
    for key, value in settings.items():
        if key in others:
            continue
        if key not in defaults:
            raise ConfigError(
                f"models.{name}.{key}: no such setting; there are {', '.join([*defaults, *others])}"
            )
        if isinstance(value, bool | str | list) or not 0 < value <= 1e6:
            raise ConfigError(f"models.{name}.{key}: expected a positive number, got {value!r}")
        result[key] = float(value)
    return result


def read_json(name: str, content: bytes, kind: type[T]) -> T:
    """A bundle's file as the struct `kind`. Raises ConfigError naming the file."""
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{name} is damaged ({error}): fetch the bundle again") from error
