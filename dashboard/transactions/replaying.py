"""A decision computed again by `tidegate replay`, in a process of its own and within bounds."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any, NamedTuple

import msgspec

SECONDS = 90.0
"""Longest that a replay may take."""
_one = threading.Lock()


class Replayed(NamedTuple):
    """Whether all came out the same, else the names of what differs; or why it cannot be told."""

    same: bool
    differences: list[str]
    problem: str = ""


def replay(transaction_id: str) -> Replayed:
    """Ask the command. This process runs one at a time: folding a log takes a core for a while."""
    if not _one.acquire(blocking=False):
        return Replayed(same=False, differences=[], problem="busy")
    try:
        command = [sys.executable, "-m", "cli", "replay", "--json", "--", transaction_id]
        done = subprocess.run(  # noqa: S603 - no shell, and the id stands behind `--`
            command, capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return Replayed(same=False, differences=[], problem="slow")
    finally:
        _one.release()
    return _read(done.stdout, done.stderr.decode(errors="replace"))


def _read(answer: bytes, said: str) -> Replayed:
    try:
        found: dict[str, Any] = msgspec.json.decode(answer)
    except msgspec.DecodeError:
        lines = [line for line in said.splitlines() if line.strip()]
        return Replayed(same=False, differences=[], problem=lines[-1] if lines else "?")
    return Replayed(found["same"], [pair["name"] for pair in found["differences"]])
