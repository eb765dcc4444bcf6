"""`tidegate backtest --bundle`: a finished bundle decides the past again, beside the champion."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from cli.options import period, print_json
from cli.progress import progress_bar
from tidegate.clock import day_of
from tidegate.errors import ConfigError
from tidegate.words import count

if TYPE_CHECKING:
    from cli.file_options import Written
    from model.bundles.bundle import Bundle
    from model.evaluation.cases import Span
    from model.evaluation.decide_again import Cases, DecidedCases
    from model.evaluation.report import BacktestReport, Confusion, Figures
    from model.progress import Progress
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.profile import Profile
    from tidegate.settings import Settings

_READING, _DECIDING = 0.6, 0.95
"""Shares of the work after reading, and after deciding."""


class BundleBacktest(NamedTuple):
    """What is asked for, as the options say it."""

    bundle: str
    champion: str
    thresholds: str
    data: str
    written: Written
    topic: bool
    label: str
    most_refused: float
    since: str
    until: str
    capacity: int
    folder: Path


def decide_past(settings: Settings, asked: BundleBacktest, as_json: bool) -> None:
    """Decide, compare, and write the report.

    Raises ConfigError for what cannot be done, Retry for what is away.
    """
    import msgspec

    from model.evaluation.html import write

    if asked.data and asked.topic:
        raise ConfigError("give --data FILE or --topic, or neither for the database's rows")
    began = time.perf_counter()
    with progress_bar("backtest", quiet=as_json) as progress:
        report, transactions = _compare(settings, asked, progress)
        seconds = time.perf_counter() - began
        report.seconds = round(seconds, 1)
        report.per_second = round(transactions / seconds)
        write(asked.folder, report)
    if as_json:
        print_json(msgspec.to_builtins(report))
    else:
        _show(report, asked.folder)


def _compare(
    settings: Settings, asked: BundleBacktest, progress: Progress
) -> tuple[BacktestReport, int]:
    """What challenger and champion decide of the same transactions.

    The number counts these transactions and those before them, which only fill windows.
    """
    from model.evaluation.cases import Span
    from model.evaluation.decide_again import decide_again
    from model.evaluation.report import compare
    from tidegate.profile import load_profile

    profile = load_profile(settings.profile)
    span = Span(*period(asked.since, asked.until))
    challenger = bundle_of(settings, profile, asked.bundle)
    if asked.thresholds:
        challenger = challenger.with_thresholds(thresholds_of(asked.thresholds))
    cases, champion = _champion(settings, profile, asked, span, progress)
    decided = decide_again(
        profile,
        challenger,
        cases,
        _share_of(progress, (_READING + _DECIDING) / 2, _DECIDING),
        f"challenger {challenger.hash}",
    )
    progress(_DECIDING, "report")
    return compare(profile, cases, champion, decided, asked.capacity), len(cases.ids)


def bundle_of(settings: Settings, profile: Profile, name: str) -> Bundle:
    """A bundle by its hash, by its folder, or as the champion.

    Raises ConfigError when there is none, Retry when Kafka is asked and away.
    """
    from model.bundles.bundle import Bundle
    from model.bundles.catalog import find, promotable
    from model.bundles.promotion import current_champion
    from model.bundles.shared import local_bundles

    if name == "champion":
        current = current_champion(_broker(settings), profile.hash.decode())
        if current is None:
            raise ConfigError(
                f"profile {profile.name} has no champion: promote one, or name bundles by "
                "--bundle and "
                "--champion"
            )
        name = current.champion.bundle
    if (Path(name) / "manifest.json").is_file():
        bundle = Bundle.load(Path(name))
    else:
        bundle = find(local_bundles(settings), name)
    promotable(bundle, profile)
    return bundle


def thresholds_of(text: str) -> dict[str, float]:
    """`review=0.5,block=0.9` as a manifest has it. Raises ConfigError."""
    try:
        return {
            name.strip(): float(number)
            for name, number in (part.split("=") for part in text.split(","))
        }
    except ValueError as error:
        raise ConfigError(
            f"--thresholds {text!r}: expected numbers such as review=0.5,block=0.9"
        ) from error


def _broker(settings: Settings) -> KafkaBroker:
    from tidegate.broker.kafka import KafkaBroker

    broker = KafkaBroker(settings)
    broker.check()
    return broker


def _champion(
    settings: Settings,
    profile: Profile,
    asked: BundleBacktest,
    span: Span,
    progress: Progress,
) -> tuple[Cases, DecidedCases]:
    """The transactions, and what the champion decides of them.

    Rows of the database were decided in their time; that counts unless a champion is named.
    """
    from model.evaluation.decide_again import decide_again

    if not (asked.champion or asked.data or asked.topic):
        cases, decided = _rows(settings, profile, span, progress)
        _check(cases)
        return cases, decided
    champion = bundle_of(settings, profile, asked.champion or "champion")
    cases = _read(settings, profile, asked, span, _share_of(progress, 0.0, _READING))
    _check(cases)
    return cases, decide_again(
        profile,
        champion,
        cases,
        _share_of(progress, _READING, (_READING + _DECIDING) / 2),
        f"champion {champion.hash}",
    )


def _read(
    settings: Settings, profile: Profile, asked: BundleBacktest, span: Span, progress: Progress
) -> Cases:
    from model.evaluation.cases import from_file, from_topic

    if asked.data:
        return from_file(
            asked.written.of(profile),
            asked.data,
            asked.label,
            span,
            progress,
            asked.most_refused,
            asked.written.form,
        )
    if asked.topic:
        from db.account_keys import vault_of

        vault = vault_of(profile, settings.db_url)
        return from_topic(profile, _broker(settings), span, progress, vault)
    return _rows(settings, profile, span, progress)[0]


def _rows(
    settings: Settings, profile: Profile, span: Span, progress: Progress
) -> tuple[Cases, DecidedCases]:
    from db.decided import from_database

    progress(0.0, "reading the database")
    return from_database(profile, settings, _broker(settings), span)


def _share_of(progress: Progress, start: float, end: float) -> Progress:
    """Progress of a part of the work."""
    return lambda share, what: progress(start + (end - start) * share, what)


def _check(cases: Cases) -> None:
    """Raises ConfigError when there is nothing to decide."""
    times, rows = cases.log.times, cases.rows
    if rows.start == rows.stop:
        held = f"; they are of {day_of(times[0])} to {day_of(times[-1])}" if len(times) else ""
        raise ConfigError(
            f"{cases.source}: no transaction to decide among the {len(times):,} that could be read "
            f"({cases.rejected:,} were refused){held}"
        )


def _show(report: BacktestReport, folder: Path) -> None:
    for line in report.reading:
        typer.echo(line)
    typer.echo(
        f"{report.rows:,} of {count(report.read, 'transaction')} decided ({report.source}), "
        f"{count(report.verdicts, 'verdict')}, {count(report.frauds, 'fraud')}; "
        f"{report.rejected:,} refused, {report.duplicates:,} sent again"
    )
    for side in (report.champion, report.challenger):
        typer.echo(f"{side.name}: {_words(side)}")
    typer.echo(f"decided otherwise: {report.disagreements.rows:,}")
    for warning in report.warnings:
        typer.echo(f"note: {warning}")
    typer.echo(
        f"report in {folder / 'report.html'}, {report.seconds:.0f} s, "
        f"{report.per_second:,.0f} transactions a second"
    )


def _words(side: Figures) -> str:
    """One line of figures, those that are known."""
    words = []
    if "auc" in side.metrics:
        precision, auc = side.metrics["average_precision"], side.metrics["auc"]
        words.append(f"average precision {precision:.3f}, AUC {auc:.3f}")
    words.append(f"flagged {_rates(side.at_review)}")
    words.append(f"blocked {_rates(side.at_block)}")
    if side.reviews.recall is not None:
        words.append(
            f"{count(side.reviews.per_day, 'review')} a day find {side.reviews.recall:.1%}"
        )
    if side.money:
        words.append(f"saved {side.money.saved:,.2f}, lost {side.money.lost:,.2f}")
    words.append(f"good customers blocked {side.good_customers_blocked:,}")
    return "; ".join(words)


def _rates(confusion: Confusion) -> str:
    flagged = confusion.flagged_frauds + confusion.flagged_legitimate
    precision, recall = _percent(confusion.precision), _percent(confusion.recall)
    return f"{flagged:,} (precision {precision}, recall {recall})"


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{share:.1%}"
