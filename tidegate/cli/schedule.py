"""`tidegate run retrain`: a retraining whenever the settings' cron expression says so."""

from __future__ import annotations

import logging
import re
import subprocess
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from apscheduler.triggers.cron import CronTrigger

from tidegate.cli.common import stop_on_signals
from tidegate.cli.plan import tidegate
from tidegate.cli.retrain import EXITS
from tidegate.errors import ConfigError
from tidegate.settings import Settings
from tidegate.spawn import guarded

_LOG = logging.getLogger(__name__)
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""By cron's numbers, in which 0 and 7 are Sunday; APScheduler's 0 is Monday."""
_SLICE = 60.0
"""Seconds slept at a time, so that a changed clock is noticed."""


def trigger(cron: str) -> CronTrigger:
    """When a five-field cron expression is due, in UTC. Raises ConfigError."""
    fields = cron.split()
    if len(fields) == 5:
        fields[4] = re.sub(r"(?<![/\d])[0-7](?!\d)", lambda found: _DAYS[int(found[0])], fields[4])
    try:
        return CronTrigger.from_crontab(" ".join(fields), timezone=UTC)
    except ValueError as error:
        raise ConfigError(f"TIDEGATE_RETRAIN_CRON {cron!r}: {error}") from error


def follow(due: CronTrigger, run: Callable[[], None], *, now: Callable[[], datetime],
           wait: Callable[[float], bool]) -> None:
    """Call `run` whenever it is due, one at a time; what falls due meanwhile is left out.

    `wait` sleeps for so many seconds, and says whether to end.
    """
    after = now()
    while True:
        at = due.get_next_fire_time(None, after)
        _LOG.info("the next retraining is at %s", at.isoformat())
        while (left := (at - now()).total_seconds()) > 0:
            if wait(min(left, _SLICE)):
                return
        run()
        after = max(now(), at + timedelta(seconds=1))


def attempt(command: Sequence[str], stop: threading.Event) -> None:
    """Run a retraining as a process of its own, whose memory goes with it; `stop` ends it."""
    process = subprocess.Popen(guarded(command), stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
    while process.poll() is None:
        if stop.wait(0.2):
            process.terminate()
            process.wait()
            return
    outcome = {code: name for name, code in EXITS.items()}.get(process.returncode)
    if outcome is None:
        _LOG.error("the retraining failed with exit code %d", process.returncode)
    else:
        _LOG.info("the retraining ended: %s", outcome, extra={"outcome": outcome})


def serve(settings: Settings) -> None:
    """Follow the settings' schedule until SIGTERM. Raises ConfigError for a wrong cron expression."""
    stop = threading.Event()
    stop_on_signals(stop)
    follow(trigger(settings.retrain_cron), lambda: attempt(tidegate("retrain", "--json"), stop),
           now=lambda: datetime.now(UTC), wait=stop.wait)
