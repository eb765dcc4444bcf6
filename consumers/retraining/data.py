"""What a retraining learns from: a file, or the database's rows and their labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from db.decided import ending, stored_rows
from model.evaluation.cases import Span
from model.history.fold import Log, fold
from model.history.history import groups_of
from model.history.reading import read_history
from model.training.train import Data
from tidegate.clock import day_of
from tidegate.profile.spec import DAY

if TYPE_CHECKING:
    from tidegate.broker.ports import Broker
    from tidegate.profile import Profile


def from_file(profile: Profile, place: str, label: str = "", form: str = "") -> Data:
    """The rows of a file that the API would take, through the serving operator.

    However many it would refuse: `checks_of` says how many are too many. Raises ConfigError when
    the file cannot be read, or lacks a column.
    """
    reading = read_history(profile, place, label, most_refused=1.0, form=form)
    history, refusals = reading.history, reading.refusals
    log = Log(fold(profile, history), history.labels, history.times)
    return Data(
        log, history.groups, place, refusals.read, refusals.total, tuple(reading.sentences())
    )


def from_database(
    profile: Profile,
    url: str,
    broker: Broker,
    days: int,
    since_us: int | None,
    until_us: int | None,
) -> Data:
    """The rows of a period with their features as they were scored, and the newest verdict on each.

    Raises Retry.

    It ends with the newest row and begins so many days before its end, where nothing else is said.
    """
    until = ending(profile, url, Span(since_us, until_us)).until_us or 0
    since = until - days * DAY if since_us is None else since_us
    period, log, without = stored_rows(profile, url, broker, Span(since, until))
    accounts = [account for account in period.accounts if account is not None]
    return Data(
        log,
        groups_of(pa.array(accounts, pa.string()), len(period.ids)),
        f"database, {day_of(since)} to {day_of(until)}{without}",
        len(period.ids),
    )
