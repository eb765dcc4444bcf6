"""A reconciliation in the background: whether all that was acknowledged is somewhere."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from db.reconcile.ledger import Totals
from tidegate.clock import now_us
from tidegate.errors import TidegateError

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Run:
    """One; `totals` is None until it is through, and after a `fault`."""

    started_us: int = field(default_factory=now_us)
    totals: Totals | None = None
    fault: str = ""
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return not self.ended.is_set()


class Reconciling:
    """The newest run, and the one before while that goes on. `work` counts. Thread-safe."""

    def __init__(self, work: Callable[[], Totals]) -> None:
        self._work, self._lock = work, threading.Lock()
        self.newest: Run | None = None

    def start(self) -> Run:
        """Begin one, unless one is running; which one runs."""
        with self._lock:
            if self.newest is None or not self.newest.running:
                self.newest = Run()
                thread = threading.Thread(target=self._run, args=(self.newest,), daemon=True)
                thread.start()
            return self.newest

    def _run(self, run: Run) -> None:
        fault = "the dashboard's log says why"
        try:
            run.totals = self._work()
            fault = ""
        except TidegateError as error:
            fault = str(error)
            _LOG.warning("reconciliation: %s", fault)
        finally:
            run.fault = fault
            run.ended.set()
