"""Packages that only training needs, and that the main requirements leave out."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Set
from typing import NamedTuple

from tidegate.errors import ConfigError

NEURAL = frozenset({"autoencoder", "lstm_autoencoder", "vae", "keras"})
"""Detectors that TensorFlow trains."""


class _Extra(NamedTuple):
    """An extra of this package: what it installs, as it is called and imported, and the models that
    it trains.
    """

    name: str
    title: str
    module: str
    models: Set[str]


_EXTRAS = (
    _Extra("neural", "TensorFlow", "tensorflow", NEURAL),
    _Extra("xgboost", "XGBoost", "xgboost", frozenset({"xgboost"})),
)


def check_installed(models: Iterable[str]) -> None:
    """Raises ConfigError when a package that trains one of `models` is not there: before a history
    is read.
    """
    wanted = set(models)
    for extra in _EXTRAS:
        if wanted & extra.models and importlib.util.find_spec(extra.module) is None:
            raise ConfigError(
                f"training {', '.join(sorted(wanted & extra.models))} needs {extra.title}: run "
                "`make "
                f"{extra.name}`, or pip install 'tidegate[{extra.name}]', or leave it out of the "
                "profile"
            )
