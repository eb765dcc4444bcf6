"""What becomes of a dead letter: where it goes, the mark that says so, and how many did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import msgspec

from tidegate.broker.records import Headers
from tidegate.dead_letters.letters import DeadLetter, identity_of

EDITED = "tidegate-edited"
"""Header of a mended copy: by whom."""

Policy = Literal["stop", "reinsert", "drop"]
"""What becomes of a dead letter that cannot be put back: end there, leave it for a later redrive,
or give it up.
"""


class Mark(msgspec.Struct):
    """What was done with a dead letter (topic transactions.redriven, key: its identity)."""

    identity: str
    action: Literal["redriven", "quarantined", "dropped"]
    topic: str
    attempt: int


class Edit(NamedTuple):
    """A mended record, and by whom."""

    value: bytes
    by: str


@dataclass(slots=True)
class Summary:
    """How many dead letters were put back, by topic, and what became of the others."""

    redriven: dict[str, int] = field(default_factory=dict)
    quarantined: int = 0
    dropped: int = 0
    left: int = 0
    """Cannot be put back and were left where they are (policy reinsert)."""
    before: int = 0
    """Dealt with by an earlier redrive."""
    not_selected: int = 0
    conflicts: int = 0
    """Conflicting duplicates, left out because they would fail again."""
    reasons: dict[str, int] = field(default_factory=dict)
    """The selected ones by reason."""
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """One dead letter, and where it goes: its record as it will be written, or why it cannot be put
    back.
    """

    letter: DeadLetter
    action: Literal["redriven", "quarantined", "dropped", "left"]
    topic: str = ""
    headers: Headers = field(default_factory=list)

    @property
    def mark(self) -> bytes:
        """The message that says so."""
        told = self.letter.told.get("topic", "")
        if self.action == "left":
            raise ValueError("what is left is not marked")
        return msgspec.json.encode(
            Mark(identity_of(self.letter), self.action, told, self.letter.attempt)
        )
