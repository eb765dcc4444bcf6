"""How long a stage gathers before its next transaction.

A commit costs the same for one record as for a thousand: five requests, and markers in every
partition that was written to. A stage that commits as often as it can keeps the broker busy with
that, and all wait for their turn. So one to which a little has come lets more come first; one to
which nothing has come for a while takes the next record at once, and one that is behind never
rests.
"""

from __future__ import annotations

PERIOD_US = 40_000
"""From the beginning of one transaction to the next, while records come all the time."""
FEW = 500
"""Whoever has taken more at once has no time to lose."""


def rest_seconds(records: int, took_us: int) -> float:
    """How long to rest after a turn that committed so many records, and took so long."""
    if not 0 < records < FEW:
        return 0.0
    return max(0, PERIOD_US - took_us) / 1_000_000
