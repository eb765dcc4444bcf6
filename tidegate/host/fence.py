"""Start the broker, and fence it first if it was killed: `python -IS fence.py FOLDER JAVA...`.

`FOLDER` holds its data and `controller.properties`. A killed broker is still the leader of its
partitions in Kafka's metadata when it comes back, and loads the transactions that were being
committed. Their markers cannot be sent before it serves requests. Some seconds later the controller
takes the partitions from it until it has registered anew, and Kafka 4.3 takes a partition without a
leader for a deleted one: it skips the marker and calls the transaction complete. Whoever reads
committed records, or asks for positions, then waits for good. So the controller runs alone at
first, until it has written down that the broker is away: there are leaders only once it serves.

Standard library only: starting costs 20 ms.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

PROPERTIES = "controller.properties"
_METADATA = "__cluster_metadata-0"
_CLEAN = ".kafka_cleanshutdown"
_LOUD = "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.controller.ReplicationControlManager=info"
_ACTIVE, _FENCED = "controller activation", "Fencing broker"
_SECONDS = 30.0
_AFTER_ACTIVE = 5.0
"""A broker that was fenced already is not fenced again: a session takes 0.1 s to end."""
_AFTER_FENCED = 1.0
"""It says so before it has written it."""


def killed(folder: Path) -> bool:
    """Whether the broker of this folder has run, and did not end cleanly."""
    return (folder / _METADATA).exists() and not (folder / _CLEAN).exists()


def fence(folder: Path, command: Sequence[str]) -> bool:
    """Run the controller alone until the broker is fenced; whether it said so.

    It need not: the broker then starts as it did before, some seconds later.
    """
    java, *options = command[:-1]
    spawn = [sys.executable, "-IS", str(Path(__file__).with_name("spawn.py")), str(os.getpid())]
    with subprocess.Popen(  # noqa: S603 - our own Java with our own arguments
        [*spawn, java, _LOUD, *options, str(folder / PROPERTIES)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as controller:
        return _watch(controller)


def _watch(controller: subprocess.Popen[str]) -> bool:
    timers: list[threading.Timer] = []

    def end_after(seconds: float) -> None:
        timers.append(threading.Timer(seconds, controller.terminate))
        timers[-1].start()

    end_after(_SECONDS)
    fenced = False
    for line in controller.stderr or ():
        if _FENCED in line:
            fenced = True
            end_after(_AFTER_FENCED)
        elif _ACTIVE in line:
            end_after(_AFTER_ACTIVE)
    for timer in timers:
        timer.cancel()
    return fenced


def main() -> None:
    """Become the broker."""
    folder, command = Path(sys.argv[1]), sys.argv[2:]
    if killed(folder):
        with contextlib.suppress(OSError):  # without Java the broker says so itself
            fence(folder, command)
    os.execvp(command[0], command)  # noqa: S606 - becoming the command is the purpose


if __name__ == "__main__":
    main()
