"""The WSGI server of API and dashboard: Granian, one worker process with blocking threads."""

from __future__ import annotations

import ctypes
import gc
import signal
import sys
from collections.abc import Callable
from functools import partial

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

_PR_SET_PDEATHSIG = 1
CreateApp = Callable[[], Callable[..., object]]


def serve(create_app: CreateApp, host: str, port: int, *, threads: int, drain: int) -> None:
    """Serve what `create_app` makes in the worker until SIGTERM or SIGINT.

    Then finish what is under way, at most `drain` s. `threads` is how many requests run at a time;
    four times as many may queue.
    """
    Granian(
        f"{create_app.__module__}:{create_app.__name__}",
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
    ).serve(target_loader=partial(_load, create_app))


def _load(create_app: CreateApp, _target: str) -> Callable[..., object]:
    """In the worker: a worker must not outlive the process that the supervisor knows."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    application = create_app()
    gc.freeze()  # what was made until now stays; the collector would walk it again and again
    gc.set_threshold(20_000, 20, 50)
    return application
