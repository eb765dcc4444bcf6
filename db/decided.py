"""Rows of the database as a backtest reads them: decided transactions, with the newest verdict on
each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.evaluation.decide_again import Cases, Side
from model.history.fold import Log

if TYPE_CHECKING:
    from db.history import Period
    from model.evaluation.cases import Span
    from tidegate.broker.ports import Broker
    from tidegate.profile import Profile
    from tidegate.settings import Settings


def from_database(
    profile: Profile, settings: Settings, broker: Broker, span: Span
) -> tuple[Cases, Side]:
    """A period's rows with the features they were scored with, the newest verdict on each, and what
    was decided.

    Raises Retry when database or Kafka are away.
    """
    span = ending(profile, settings.db_url, span)
    found, log, without = stored_rows(profile, settings.db_url, broker, span)
    source = f"database{without}"
    accounts = [account or "" for account in found.accounts] if profile.account else []
    cases = Cases(
        found.ids, accounts, found.amounts, log, span.rows(log.times), source, len(found.ids)
    )
    return cases, Side(
        f"as decided by {', '.join(found.bundles)}",
        {},
        found.scores,
        found.decided,
        lambda at: _stored(settings, profile, [found.ids[row] for row in at]),
        _calibrated(settings, found.bundles),
    )


def ending(profile: Profile, url: str, span: Span) -> Span:
    """The span, ending behind the newest row where nothing was said. Raises Retry."""
    from db.history import newest_us

    return (
        span
        if span.until_us is not None
        else span._replace(until_us=newest_us(url, profile.hash.decode()) + 1)
    )


def stored_rows(profile: Profile, url: str, broker: Broker, span: Span) -> tuple[Period, Log, str]:
    """A span's rows, the log that they are with the newest verdicts, and words for what is not
    among them.

    Raises Retry when database or Kafka are away.
    """
    from db.history import read_period
    from model.bundles.published import labels_of, verdicts

    found = read_period(
        url, profile.hash.decode(), len(profile.values), span.since_us or 0, span.until_us or 0
    )
    without = (
        f", without {found.others:,} rows of other versions of the profile" if found.others else ""
    )
    return found, Log(found.values, labels_of(found.ids, verdicts(broker)), found.times), without


def _stored(settings: Settings, profile: Profile, ids: list[str]) -> list[list[str]]:
    """The reasons in the rows."""
    from db.store import Store

    store = Store(settings.db_url, profile)
    rows = [store.get(name) for name in ids]
    store.close()
    return [[reason["text"] for reason in row["reasons"]] if row else [] for row in rows]


def _calibrated(settings: Settings, bundles: list[str]) -> bool:
    """Whether the scores of all these bundles are probabilities; of one that is gone nothing is
    known.
    """
    from model.bundles.catalog import find, matches

    return all(
        matches(settings.bundles_dir, name) and find(settings.bundles_dir, name).ensemble.calibrated
        for name in bundles
    )
