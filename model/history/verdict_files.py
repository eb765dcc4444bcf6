"""Files with a history: transactions in time order, and what is known of each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tidegate.profile import Profile

_LABEL = "label"
"""The column with the verdicts where neither command nor profile names one."""


def read_labels(profile: Profile, path: Path, label: str = "") -> NDArray[np.int8]:
    """The verdicts alone, in the file's order."""
    return _verdicts(profile, _read(path), path, label)


def _verdicts(profile: Profile, frame: pd.DataFrame, path: Path, label: str) -> NDArray[np.int8]:
    name = label or profile.history.label or _LABEL
    if name not in frame:
        raise ConfigError(
            f"the history {path} has no column {name!r}; its columns are "
            f"{', '.join(frame.columns)}: name the one with the verdicts by --label, or by "
            "history.label of the profile"
        )
    return _labels(profile, frame.pop(name), f"the history {path}, column {name!r}")


def _read(path: Path) -> pd.DataFrame:
    kinds: dict[str, Callable[[Path], pd.DataFrame]] = {
        ".csv": pd.read_csv,
        ".parquet": pd.read_parquet,
    }
    if path.suffix not in kinds:
        raise ConfigError(
            f"the history {path} is no file that can be read; there are {', '.join(kinds)}"
        )
    try:
        return kinds[path.suffix](path)
    except OSError as error:
        raise ConfigError(
            f"the history {path} cannot be read: {error.strerror or error}"
        ) from error
    except ValueError as error:  # what pandas and Arrow raise for content they do not understand
        raise ConfigError(
            f"the history {path} cannot be read as {path.suffix[1:]}: {error}"
        ) from error


def _labels(profile: Profile, column: pd.Series, where: str) -> NDArray[np.int8]:
    meanings = {
        profile.history.unknown: -1,
        profile.history.legitimate: 0,
        profile.history.fraud: 1,
    }
    labels = column.map(meanings).where(column.notna(), -1)
    if labels.isna().any():
        strange = ", ".join(map(repr, column[labels.isna()].unique()[:5].tolist()))
        expected = ", ".join(map(repr, meanings))
        raise ConfigError(
            f"{where} holds {strange}, expected {expected} or nothing: say under history of the "
            "profile what it holds for `fraud`, `legitimate` and `unknown`"
        )
    return labels.to_numpy().astype(np.int8)
