"""Redrives in the background, one at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from tidegate.clock import now_us
from tidegate.dead_letters.plan import Summary
from tidegate.errors import TidegateError

_LOG = logging.getLogger(__name__)
Kind = Literal["redrive", "quarantine"]


@dataclass(slots=True)
class Job:
    """One redrive, or a move to the quarantine, begun on the page at `path`. `expected` letters at
    most are to be dealt with.
    """

    kind: Kind
    by: str
    path: str
    expected: int
    started_us: int = field(default_factory=now_us)
    summary: Summary = field(default_factory=Summary)
    """Filled in as it goes on."""
    fault: str = ""
    """Why it ended before its time."""
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return not self.ended.is_set()

    @property
    def done(self) -> int:
        """Letters that were dealt with."""
        summary = self.summary
        back = sum(summary.redriven.copy().values())
        return back + summary.quarantined + summary.dropped + summary.left


class Jobs:
    """The newest job, kept after its end. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.newest: Job | None = None

    def start(self, job: Job, work: Callable[[Summary], object]) -> bool:
        """Run `work` in a thread; False, and nothing is done, while another job runs."""
        with self._lock:
            if self.newest is not None and self.newest.running:
                return False
            self.newest = job
        threading.Thread(target=_run, args=(job, work), name="redrive", daemon=True).start()
        return True


def _run(job: Job, work: Callable[[Summary], object]) -> None:
    fault = "the dashboard's log says why"
    try:
        work(job.summary)
        fault = ""
    except TidegateError as error:
        fault = str(error) or type(error).__name__
        _LOG.warning("a redrive from the dashboard ended early: %s", fault)
    finally:
        job.fault = fault
        job.ended.set()
