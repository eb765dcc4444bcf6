"""The WSGI server of API and dashboard: Granian, one worker process with blocking threads."""

from __future__ import annotations

import ctypes
import gc
import signal
import sys
from collections.abc import Callable
from importlib import import_module

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

_PR_SET_PDEATHSIG = 1


def serve(target: str, host: str, port: int, *, threads: int, drain: int) -> None:
    """Serve the factory `MODULE:NAME` until SIGTERM or SIGINT.

    It then finishes what is under way, for at most `drain` s.

    `threads` is how many requests run at a time; four times as many may queue.
    """
    Granian(
        target,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        factory=True,
        workers=1,
        http=HTTPModes.http1,
        websockets=False,
        blocking_threads=threads,
        blocking_threads_idle_timeout=600,
        backpressure=4 * threads,
        backlog=1024,
        log_level=LogLevels.warning,
        respawn_failed_workers=False,
        workers_kill_timeout=drain,
    ).serve(target_loader=_load)


def _load(target: str) -> Callable[..., object]:
    """In the worker: a worker must not outlive the process that the supervisor knows."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    module, _, name = target.partition(":")
    factory: Callable[[], Callable[..., object]] = getattr(import_module(module), name)
    application = factory()
    gc.freeze()  # what was made until now stays; the collector would walk it again and again
    gc.set_threshold(20_000, 20, 50)
    return application
