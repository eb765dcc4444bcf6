"""The gate: a process started early waits here until everything it needs is up."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading


def stop_on_signals(stop: threading.Event) -> None:
    """SIGINT and SIGTERM set `stop`, also where a shell started us with SIGINT ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())


def opened(stop: threading.Event) -> None:
    """Wait for the gate of the `tidegate up` that started this process, if one did, or `stop`."""
    if not os.environ.get("TIDEGATE_GATED"):
        return
    while not stop.is_set() and not select.select([sys.stdin], [], [], 0.2)[0]:
        pass
