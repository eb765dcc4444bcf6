"""An autoencoder of sequences, without labels: is this unusual for what the account did before?"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count, takewhile
from typing import ClassVar

from model.detectors.base import Array, Settings
from model.detectors.neural.autoencoder import Autoencoder
from model.detectors.neural.size import Size
from model.detectors.shared.chosen_columns import Chosen
from tidegate.errors import ConfigError


class LstmAutoencoder(Autoencoder):
    """Reads an account's newest transactions, oldest first; one it cannot reconstruct is unusual.

    The setting `series` names features of the operation `recent`, all with the same `last`, in
    which high values are suspicious: step k of a sequence is the column NAME_k of each. Without it
    a row is a sequence of one step, in which all columns count, on both sides.
    """

    name: ClassVar[str] = "lstm_autoencoder"
    files: ClassVar[tuple[str, ...]] = ("lstm_autoencoder.json", "lstm_autoencoder.tflite")
    choice: ClassVar[str] = "series"
    most: ClassVar[int] = 20_000

    @classmethod
    def choose(cls, x: Array, features: Sequence[str], settings: Settings) -> tuple[Chosen, int]:
        series = settings.get(cls.choice, [])
        names = list(dict.fromkeys(map(str, series))) if isinstance(series, list) else []
        lengths = {_steps(name, features) for name in names}
        if names != series or len(lengths) > 1 or 0 in lengths:
            raise ConfigError(
                f"models.{cls.name}.{cls.choice}: expected features of the operation recent, "
                f"equally long, got {series!r}"
            )
        if not names:
            return Chosen.of(x, range(len(features)), one_sided=False), len(features)
        places = [
            features.index(f"{name}_{back}")
            for back in reversed(range(lengths.pop()))
            for name in names
        ]
        return Chosen.of(x, places, one_sided=True), len(names)

    @staticmethod
    def train(rows: Array, size: Size, seed: int) -> bytes:
        """The TFLite graph that reconstructs the newest step: the last `size.width` columns."""
        from model.detectors.neural.training import recurrent

        return recurrent(rows, size, seed)


def _steps(name: str, features: Sequence[str]) -> int:
    return len(list(takewhile(lambda back: f"{name}_{back}" in features, count())))
