"""Packages that only training needs, and that the main requirements leave out."""

from __future__ import annotations

import importlib.util
from typing import NamedTuple

from tidegate.errors import ConfigError


class _Package(NamedTuple):
    """What people call it, and how it is imported."""

    title: str
    module: str


EXTRAS = {
    "neural": _Package("TensorFlow", "tensorflow"),
    "xgboost": _Package("XGBoost", "xgboost"),
}
"""What each extra of this package installs; a detector's `extra` names the one that it needs."""


def require(extra: str, trained: str) -> None:
    """Raises ConfigError when the package of this extra is missing, which `trained` needs."""
    package = EXTRAS[extra]
    if importlib.util.find_spec(package.module) is None:
        raise ConfigError(
            f"training {trained} needs {package.title}: run `make {extra}`, "
            f"or pip install 'tidegate[{extra}]', or leave it out of the profile"
        )
