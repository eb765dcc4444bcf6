"""The transactions of one request, whatever it was written in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from producers.api.problems import Problem


class Batch(NamedTuple):
    """`items` one JSON object for each row, in their order; `unreadable` why some are none, by
    their place; `notes` what was found by looking.

    `keys` are what ids of those without one are derived from, where the body itself says it.
    """

    items: list[bytes]
    unreadable: Mapping[int, Problem]
    notes: list[str]
    keys: Sequence[str | None] | None = None
