"""The size of a neural model, as a profile's settings give it."""

from __future__ import annotations

from typing import NamedTuple


class Size(NamedTuple):
    """Of an autoencoder: numbers it writes, of its hidden layers and of its code; passes over the
    rows.
    """

    width: int
    hidden: int
    code: int
    epochs: int
