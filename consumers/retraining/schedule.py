"""`tidegate run retrain`: a retraining whenever the settings' cron expression says so."""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from cronsim import CronSim, CronSimError

from consumers.retraining.outcome import EXITS
from tidegate.broker.announce import announce
from tidegate.broker.tail import Tail
from tidegate.clock import now_us
from tidegate.errors import ConfigError
from tidegate.host.gate import stop_on_signals
from tidegate.host.spawn import guarded, tidegate
from tidegate.messages.findings import Finding
from tidegate.messages.heartbeats import Drift
from tidegate.pipeline import STATUS
from tidegate.profile import load_profile
from tidegate.settings import Settings
from tidegate.status.board import Board

_LOG = logging.getLogger(__name__)
_SECOND = timedelta(seconds=1)
_DAY_SECONDS = 86_400.0
_SET_BACK = timedelta(hours=3)
"""A clock that is set back by more makes the schedule look again from then on, as cron does."""
_SLICE = 60.0
"""Seconds slept at a time, so that a changed clock is noticed."""


def trigger(cron: str) -> Callable[[datetime], datetime]:
    """The first time at or after one given that a five-field expression is due, as cron reads it.

    In UTC. Raises ConfigError for an expression that is wrong or never due.
    """

    def due(after: datetime) -> datetime:
        # The first time after this second: the second itself counts when nothing of it has passed.
        second = after.replace(microsecond=0)
        return next(CronSim(cron, second if after.microsecond else second - _SECOND))

    try:
        if len(cron.split()) != 5:
            raise ConfigError(
                f"TIDEGATE_RETRAIN_CRON {cron!r}: minute, hour, day, month and weekday are expected"
            )
        due(datetime.now(UTC))
    except CronSimError as error:
        raise ConfigError(f"TIDEGATE_RETRAIN_CRON {cron!r}: {error}") from error
    except StopIteration as error:
        raise ConfigError(f"TIDEGATE_RETRAIN_CRON {cron!r}: there is no such day") from error
    return due


class Drifted:
    """Whether an input or the score has moved further than `limit` (PSI); 0: never.

    It says so at most once a day.
    """

    def __init__(
        self,
        drift: Callable[[], Drift | None],
        limit: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._drift, self._limit, self._monotonic = drift, limit, monotonic
        self._again = monotonic()

    def __call__(self) -> bool:
        if not self._limit or self._monotonic() < self._again:
            return False
        drift = self._drift()
        if drift is None:
            return False
        moved = [
            column
            for column in drift.moved
            if column.kind != "derived" and column.psi > self._limit
        ]
        if not moved:
            return False
        _LOG.info("%s has a PSI of %.2f: retraining before its time", moved[0].name, moved[0].psi)
        self._again = self._monotonic() + _DAY_SECONDS
        return True


def follow(
    due: Callable[[datetime], datetime],
    run: Callable[[], None],
    *,
    now: Callable[[], datetime],
    wait: Callable[[float], bool],
    early: Callable[[], bool] = lambda: False,
) -> None:
    """Call `run` whenever it is due, one at a time; what falls due meanwhile is left out.

    `wait` sleeps for so many seconds, and says whether to end; `early`, asked once a minute,
    whether to run at once.
    """
    after = now()
    while True:
        next_run = due(after)
        _LOG.info("the next retraining is at %s", next_run.isoformat())
        while (left := (next_run - now()).total_seconds()) > 0 and not early():
            if wait(min(left, _SLICE)):
                return
            if now() < after - _SET_BACK:
                after = now()
                next_run = due(after)
        run()
        after = max(now(), min(next_run, now()) + _SECOND)


def attempt(command: Sequence[str], stop: threading.Event, failed: Callable[[int], None]) -> None:
    """Run a retraining as a process of its own, whose memory goes with it; `stop` ends it.

    `failed` is called with the exit code of one that came to no outcome.
    """
    process = subprocess.Popen(guarded(command), stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
    while process.poll() is None:
        if stop.wait(0.2):
            process.terminate()
            process.wait()
            return
    outcome = {code: name for name, code in EXITS.items()}.get(process.returncode)
    if outcome is None:
        _LOG.error("the retraining failed with exit code %d", process.returncode)
        failed(process.returncode)
    else:
        _LOG.info("the retraining ended: %s", outcome, extra={"outcome": outcome})


def serve(settings: Settings) -> None:
    """Follow the settings' schedule until SIGTERM.

    Raises ConfigError for a wrong cron expression.
    """
    stop = threading.Event()
    stop_on_signals(stop)
    due = trigger(settings.retrain_cron)
    profile = load_profile(settings.profile).hash.decode()

    def failed(code: int) -> None:
        from tidegate.broker.kafka import KafkaBroker

        told = f"The retraining failed with exit code {code}: the log of retrain says why"
        announce(KafkaBroker(settings), Finding("retrained", profile, now_us(), False, told))

    with _reported_drift(settings) as drift:
        follow(
            due,
            lambda: attempt(tidegate("retrain", "--json"), stop, failed),
            now=_now,
            wait=stop.wait,
            early=Drifted(drift, settings.retrain_drift),
        )


@contextmanager
def _reported_drift(settings: Settings) -> Iterator[Callable[[], Drift | None]]:
    """What the heartbeats say of the drift; not read when nothing follows from it."""
    if not settings.retrain_drift:
        yield lambda: None
        return
    from tidegate.broker.kafka import KafkaBroker

    broker = KafkaBroker(settings)
    board = Board(broker, {})
    tail = Tail(broker, STATUS, board.absorb, from_start=True).start()
    try:
        yield board.drift
    finally:
        tail.close()


def _now() -> datetime:
    return datetime.now(UTC)
