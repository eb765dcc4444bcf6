"""The loop's own sign of life, and the end of a process whose loop hangs."""

from __future__ import annotations

import faulthandler
import time

LATE_SECONDS = 30.0
"""A loop that has stood still for so long is not ready."""
HUNG_SECONDS = 120.0
"""A loop that has stood still for so long hangs: longer than any batch, and than the first
compilation of the loops on a busy machine.
"""
_REARM_SECONDS = 1.0


class Pulse:
    """When the loop turned last: once a poll, and once a batch that is read to restore a state.

    `guards`: a process whose loop hangs writes the stacks of its threads to standard error, and
    ends with exit code 1, so that whoever supervises it starts it again. A thread of C does that:
    it also ends a process in which no Python runs any more.
    """

    def __init__(self, *, guards: bool = False, hung_seconds: float = HUNG_SECONDS) -> None:
        self._guards, self.hung_seconds = guards, hung_seconds
        self._armed = 0.0
        self.turned = 0.0
        self.beat()

    def beat(self) -> None:
        """The loop turns."""
        self.turned = time.monotonic()
        if self._guards and self.turned >= self._armed + _REARM_SECONDS:
            self._armed = self.turned
            faulthandler.dump_traceback_later(self.hung_seconds, exit=True)

    @property
    def still_seconds(self) -> float:
        """How long the loop has stood still."""
        return time.monotonic() - self.turned

    def end(self) -> None:
        """The loop has ended: nothing is guarded any more."""
        if self._guards:
            self._guards = False
            faulthandler.cancel_dump_traceback_later()
