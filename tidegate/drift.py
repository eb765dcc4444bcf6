"""What a heartbeat tells of the stream's drift."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["input", "derived", "score"]


class Moved(msgspec.Struct, forbid_unknown_fields=True):
    """How far a column is from the training: population stability index and Kolmogorov-Smirnov distance."""

    name: str
    kind: Kind
    psi: float
    ks: float


class Drift(msgspec.Struct, forbid_unknown_fields=True):
    """The newest rows of a partition against what their bundle learnt from; the largest PSI first."""

    bundle: str
    rows: int
    moved: list[Moved]
