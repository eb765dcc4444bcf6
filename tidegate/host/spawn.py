"""Start a command that cannot outlive its parent: `python -IS spawn.py PARENT COMMAND...` (Linux).

The kernel kills the command when the parent's starting thread dies (PR_SET_PDEATHSIG survives
exec), even by kill -9. It gets a process group of its own, so that a terminal's Ctrl-C reaches the
supervisor alone. Standard library only: starting costs 20 ms.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def guarded(command: Sequence[str]) -> list[str]:
    """The command line that runs `command` as a child that dies with this process."""
    return [sys.executable, "-IS", str(Path(__file__).resolve()), str(os.getpid()), *command]


def tidegate(*arguments: str) -> list[str]:
    """The command line of a `tidegate` command in this environment."""
    return [sys.executable, "-m", "cli", *arguments]


def main() -> None:
    """Become the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    os.setpgid(0, 0)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel knew
        sys.exit(1)
    signal.signal(
        signal.SIGINT, signal.SIG_DFL
    )  # a shell's background jobs ignore it, and so would we
    os.execvp(command[0], command)  # noqa: S606 - becoming the command is the purpose


if __name__ == "__main__":
    main()
