"""The list of detectors that profiles may name.

To add one, write its file (a class that implements `model.detectors.base.Detector`) and add its
line to `_CLASSES`. Everything else reads this list: training, bundles, `--epochs`, the check of
what must be installed, the tests that every detector has to pass, and the benchmarks. The table in
`docs/profiles.md` describes each, which a test checks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module

from model.detectors.base import Detector
from model.detectors.packages import EXTRAS, require

_CLASSES = {
    "lightgbm": "trees.lightgbm.LightGBM",
    "xgboost": "trees.xgboost.XGBoost",
    "online": "online.Online",
    "isolation_forest": "isolation.forest.IsolationForest",
    "autoencoder": "neural.autoencoder.Autoencoder",
    "lstm_autoencoder": "neural.lstm_autoencoder.LstmAutoencoder",
    "vae": "neural.autoencoder.VariationalAutoencoder",
    "keras": "neural.classifier.Classifier",
}
"""Where each one's class is in `model.detectors`; it is imported when it is asked for."""


class _Known(Mapping[str, type[Detector]]):
    def __getitem__(self, name: str) -> type[Detector]:
        module, kind = _CLASSES[name].rsplit(".", 1)
        found: type[Detector] = getattr(import_module(f"model.detectors.{module}"), kind)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(_CLASSES)

    def __len__(self) -> int:
        return len(_CLASSES)


def known() -> Mapping[str, type[Detector]]:
    """All detectors by the name that profiles use; only what is looked up is imported."""
    return _Known()


def trained_by(extra: str) -> frozenset[str]:
    """The names of the detectors whose training needs this extra."""
    return frozenset(name for name, kind in known().items() if kind.extra == extra)


def check_installed(names: Iterable[str]) -> None:
    """Raises ConfigError when a package that trains one of these detectors is missing: before a
    history is read.
    """
    kinds = {name: known()[name] for name in names if name in _CLASSES}
    for extra in EXTRAS:
        if wanted := sorted(name for name, kind in kinds.items() if kind.extra == extra):
            require(extra, ", ".join(wanted))
