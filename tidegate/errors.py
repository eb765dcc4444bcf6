"""Every error Tidegate raises on purpose.

    TidegateError
    ├── ConfigError          settings, topics.yaml or a profile is wrong: where, and how to mend it
    ├── Rejected             one record is at fault: it goes to the dead letters (reason, detail)
    ├── Retry                something outside is away: abort, rewind, pause, try again
    │   ├── Aborted          the broker aborted this transaction; replace its producer if need be
    │   └── Unfinished       a part of a long work is done, and kept: call again at once
    ├── Fenced               another process took over: give up the partition, never write again
    ├── Broken               a client of the broker failed for good: exit, a restart mends it
    └── Stop                 going on would do harm: exit with a code that no supervisor restarts

Anything else is a defect: the process dies and its supervisor starts it again.
"""

from __future__ import annotations

EXIT_CONFIG = 78
"""sysexits.h EX_CONFIG: the supervisor does not restart a process that ends with it."""


class TidegateError(Exception):
    """Base of all errors raised on purpose."""


class ConfigError(TidegateError):
    """Settings, topics or a profile are wrong."""


class Rejected(TidegateError):
    """One record cannot be processed through its own fault."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Retry(TidegateError):
    """A part outside of the process is unavailable; nothing was written."""


class Aborted(Retry):
    """The transaction was aborted. `rebuild` says that its producer must be thrown away."""

    def __init__(self, message: str, *, rebuild: bool = False) -> None:
        super().__init__(message)
        self.rebuild = rebuild


class Unfinished(Retry):
    """A part of a long work was done and is kept: nothing is away, poll and call again."""


class Fenced(TidegateError):
    """Another process owns this partition or transactional id now."""


class Broken(TidegateError):
    """A client of the broker failed for good: the process ends, to be started again."""


class Stop(TidegateError):
    """Going on would do harm; the process exits with `EXIT_CONFIG` and is not restarted."""
