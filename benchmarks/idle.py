"""What a Tidegate without traffic costs."""

from __future__ import annotations

import time

from benchmarks.posting import answers, ingest_address
from benchmarks.system import System, cores, tidegate
from tests.support import eventually

_SETTLES = 5.0
"""Seconds between the last transaction, or start of a process, and the first look."""


def idle_cores(system: System, seconds: float) -> float:
    """Cores that all processes and the broker use while nothing is to be done.

    The consumers run already; API and results page run beside them, nobody asks them anything.
    """
    ingest_address(system)
    system.run("dashboard", tidegate("run", "dashboard"), system.settings())
    page = f"http://127.0.0.1:{system.dashboard_port}/healthz"
    eventually(lambda: answers(page), 60)
    time.sleep(_SETTLES)
    before = system.usage()
    started = time.perf_counter()
    time.sleep(seconds)
    used = cores(before, system.usage(), time.perf_counter() - started)
    system.end("dashboard")
    return sum(used.values())
