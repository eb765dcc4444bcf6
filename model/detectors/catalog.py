"""The list of detectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model.detectors.base import Detector


def known() -> Mapping[str, type[Detector]]:
    """All detectors by the name that profiles use."""
    from model.detectors.isolation.forest import IsolationForest
    from model.detectors.neural.autoencoder import Autoencoder, VariationalAutoencoder
    from model.detectors.neural.classifier import Classifier
    from model.detectors.neural.lstm_autoencoder import LstmAutoencoder
    from model.detectors.online import Online
    from model.detectors.trees.lightgbm import LightGBM
    from model.detectors.trees.xgboost import XGBoost

    kinds: tuple[Any, ...] = (
        LightGBM,
        XGBoost,
        Online,
        IsolationForest,
        Autoencoder,
        LstmAutoencoder,
        VariationalAutoencoder,
        Classifier,
    )
    return {kind.name: kind for kind in kinds}
