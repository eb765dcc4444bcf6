"""A command of Tidegate in a process of its own, one at a time and within bounds.

What it loads would stay in the dashboard's memory, and it takes a core for a while.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import dataclass, field


class Unanswered(Exception):
    """`busy`: another one is under way; `slow`: it took too long."""


@dataclass(slots=True)
class Command:
    """`tidegate NAME --json`. It may take `seconds`, and wait `patience` seconds for its turn: each
    that waits takes a thread from who asks for something else.
    """

    name: str
    seconds: float
    patience: float = 0.0
    turn: threading.Lock = field(default_factory=threading.Lock)

    def run(self, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Its answer, with `given` on its standard input. Raises Unanswered."""
        if not self.turn.acquire(timeout=self.patience):
            raise Unanswered("busy")
        try:
            return subprocess.run(  # noqa: S603 - no shell, and what people name stands behind `--`
                [sys.executable, "-m", "cli", self.name, "--json", *arguments],
                input=given,
                capture_output=True,
                timeout=self.seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Unanswered("slow") from None
        finally:
            self.turn.release()


def last_line(said: bytes) -> str:
    """The last line that is not empty; "" without any."""
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else ""
