"""What every way of sending has in common."""

from __future__ import annotations

from typing import Protocol

from tidegate.notify.events import Message

LONGEST_ERROR = 200
"""Characters of what a receiver said that are kept."""


class Undelivered(Exception):
    """A message was not taken. `final`: trying again does not help. `after_s`: not before that."""

    def __init__(self, why: str, *, final: bool = False, after_s: float = 0.0) -> None:
        super().__init__(why)
        self.final = final
        self.after_s = after_s


class Sender(Protocol):
    """One channel's way to send."""

    def send(self, message: Message) -> None:
        """Returns when the receiver has taken it. Raises Undelivered."""
        ...
