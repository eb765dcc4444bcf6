"""A decision computed again by `tidegate replay`."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from dashboard.command import Command, Unanswered, last_line

COMMAND = Command("replay", seconds=90.0)


class Replayed(NamedTuple):
    """Whether all came out the same, else the names of what differs; or why it cannot be told."""

    same: bool
    differences: list[str]
    problem: str = ""


def replay(transaction_id: str) -> Replayed:
    """Ask the command."""
    try:
        done = COMMAND.run("--", transaction_id)
    except Unanswered as why:
        return Replayed(same=False, differences=[], problem=str(why))
    try:
        found: dict[str, Any] = msgspec.json.decode(done.stdout)
    except msgspec.DecodeError:
        return Replayed(same=False, differences=[], problem=last_line(done.stderr) or "?")
    return Replayed(found["same"], [pair["name"] for pair in found["differences"]])
