"""How long a stage gathers before its next transaction.

A commit costs the same for one record as for a thousand: five requests, and markers in every
partition that was written to. A stage that commits as often as it can keeps the broker busy with
that, and all wait for their turn. So one to which a little has come lets more come first; one to
which nothing has come for a while takes the next record at once, and one that is behind never
rests.

The first step sets the pace. Those behind it read blocks, which come when the step before has
committed: they wait only for the other partitions of that commit.
"""

from __future__ import annotations

from tidegate.broker.addresses import has_blocks

PERIOD_US, BEHIND_US = 40_000, 5_000
"""From the beginning of one transaction to the next, while records come all the time; and the same
where blocks are read."""
FEW = 500
"""Whoever has taken more at once has no time to lose."""


def rest_seconds(topic: str, records: int, took_us: int) -> float:
    """How long to rest after a turn that committed so many records of `topic`, and took so long."""
    if not 0 < records < FEW:
        return 0.0
    period = BEHIND_US if has_blocks(topic) else PERIOD_US
    return max(0, period - took_us) / 1_000_000
