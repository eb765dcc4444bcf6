"""Decided transactions of the database as a backtest reads them, with their newest verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.evaluation.decide_again import Cases, DecidedCases
from model.history.fold import Log

if TYPE_CHECKING:
    from db.history import Period
    from model.evaluation.cases import Span
    from tidegate.broker.ports import Broker
    from tidegate.profile import Profile
    from tidegate.settings import Settings


def from_database(
    profile: Profile, settings: Settings, broker: Broker, span: Span
) -> tuple[Cases, DecidedCases]:
    """A period's rows with the features and decisions of their time, and the newest verdicts.

    Raises Retry when database or Kafka are away.
    """
    span = ending(profile, settings.db_url, span)
    period, log, without = stored_rows(profile, settings.db_url, broker, span)
    source = f"database{without}"
    accounts = [account or "" for account in period.accounts] if profile.account else []
    cases = Cases(
        period.ids, accounts, period.amounts, log, span.rows(log.times), source, len(period.ids)
    )
    return cases, DecidedCases(
        f"as decided by {', '.join(period.bundles)}",
        {},
        period.scores,
        period.decided,
        lambda rows: _stored_reasons(settings, profile, [period.ids[row] for row in rows]),
        _calibrated(settings, period.bundles),
    )


def ending(profile: Profile, url: str, span: Span) -> Span:
    """The span; where its end is open it ends after the newest row. Raises Retry."""
    from db.history import newest_us

    if span.until_us is not None:
        return span
    return span._replace(until_us=newest_us(url, profile.hash.decode()) + 1)


def stored_rows(profile: Profile, url: str, broker: Broker, span: Span) -> tuple[Period, Log, str]:
    """A span's rows, the log they make with the newest verdicts, and words for what is left out.

    Raises Retry when database or Kafka are away.
    """
    from db.history import read_period
    from model.bundles.published import labels_of, verdicts

    period = read_period(
        url, profile.hash.decode(), len(profile.values), span.since_us or 0, span.until_us or 0
    )
    without = ""
    if period.others:
        without = f", without {period.others:,} rows of other versions of the profile"
    labels = labels_of(period.ids, verdicts(broker))
    return period, Log(period.values, labels, period.times), without


def _stored_reasons(settings: Settings, profile: Profile, ids: list[str]) -> list[list[str]]:
    """The reasons in the rows."""
    from db.store import Store

    store = Store(settings.db_url, profile)
    rows = [store.get(name) for name in ids]
    store.close()
    return [[reason["text"] for reason in row["reasons"]] if row else [] for row in rows]


def _calibrated(settings: Settings, bundles: list[str]) -> bool:
    """Whether the scores of all these bundles are known to be probabilities."""
    from model.bundles.catalog import find, matches
    from model.bundles.shared import local_bundles

    folder = local_bundles(settings)
    return all(matches(folder, name) and find(folder, name).ensemble.calibrated for name in bundles)
