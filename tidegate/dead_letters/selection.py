"""Which dead letters a redrive is about."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tidegate.dead_letters.letters import DeadLetter, transaction_id
from tidegate.errors import ConfigError
from tidegate.pipeline import DLQ
from tidegate.profile import Profile

CONFLICT = "conflicting_duplicate"
"""The reason of a dead letter that would fail again: the first row with its id stays."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters; every condition that is set must hold. `since_us`: failed at that time or
    later.
    """

    reason: str = ""
    stage: str = ""
    since_us: int = 0
    transaction: str = ""
    places: frozenset[tuple[int, int]] = frozenset()
    """Partition and offset on the dead-letter topic."""

    @property
    def takes_conflicts(self) -> bool:
        """Whether conflicting duplicates are asked for, by their reason or their place."""
        return self.reason == CONFLICT or bool(self.places)

    def takes(self, profile: Profile, letter: DeadLetter) -> bool:
        """Whether this one is meant."""
        told = letter.told
        return (
            (not self.reason or told.get("reason") == self.reason)
            and (not self.stage or told.get("stage") == self.stage)
            and (not self.since_us or letter.timestamp_ms * 1000 >= self.since_us)
            and (not self.places or letter.place in self.places)
            and (
                not self.transaction
                or transaction_id(profile, letter) == profile.stored_id(self.transaction)
            )
        )


def parse_place(text: str) -> tuple[int, int]:
    """`PARTITION:OFFSET`. Raises ConfigError."""
    found = re.fullmatch(r"(\d{1,6}):(\d{1,18})", text)
    if found is None:
        raise ConfigError(f"--offset {text}: expected PARTITION:OFFSET of {DLQ}, like 2:1045")
    return int(found[1]), int(found[2])
