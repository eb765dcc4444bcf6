"""The size of a neural model, as a profile's settings give it."""

from __future__ import annotations

from typing import NamedTuple


class Size(NamedTuple):
    """Of an autoencoder: columns that it reconstructs, units of hidden layers and code, epochs."""

    width: int
    hidden: int
    code: int
    epochs: int
