"""What the logs of the broker in memory are made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from tidegate.broker.memory.group import Group
from tidegate.broker.records import Headers, Position, TopicPartition


@dataclass(eq=False, slots=True)
class Transaction:
    """`open`, then `committed` or `aborted`; the offsets wait for its end."""

    state: str = "open"
    touched: set[TopicPartition] = field(default_factory=set)
    offsets: list[tuple[Group, dict[TopicPartition, Position]]] = field(default_factory=list)


@dataclass(slots=True)
class Record:
    """One entry of a log; a transaction's marker has none of its own, and is never read."""

    key: bytes | None
    value: bytes | None
    headers: Headers | None
    timestamp: int
    transaction: Transaction | None = None
    marker: bool = False

    @property
    def readable(self) -> bool:
        return not self.marker and (
            self.transaction is None or self.transaction.state == "committed"
        )
