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

if TYPE_CHECKING:
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


class Order(NamedTuple):
    """What is asked for, as the options say it."""

    bundle: str
    champion: str
    thresholds: str
    data: Path | None
    topic: bool
    label: str
    since: str
    until: str
    capacity: int
    folder: Path


def judge(settings: Settings, order: Order, as_json: bool) -> None:
    """Decide, compare, and write the report. Raises ConfigError for what cannot be done, Retry for
    what is away.
    """
    import msgspec

    from model.evaluation.cases import Span
    from model.evaluation.decide_again import decide_again
    from model.evaluation.html import write
    from model.evaluation.report import compare
    from tidegate.profile import load_profile

    if order.data and order.topic:
        raise ConfigError("give --data FILE or --topic, or neither for the database's rows")
    loaded, span, began = (
        load_profile(settings.profile),
        Span(*period(order.since, order.until)),
        time.perf_counter(),
    )
    candidate = bundle_of(settings, loaded, order.bundle)
    if order.thresholds:
        candidate = candidate.with_thresholds(thresholds_of(order.thresholds))
    other = (
        bundle_of(settings, loaded, order.champion or "champion")
        if (order.champion or order.data or order.topic)
        else None
    )
    with progress_bar("backtest", quiet=as_json) as progress:
        cases, champion = _champion(settings, loaded, order, span, other, progress)
        made = decide_again(
            loaded,
            candidate,
            cases,
            _part(progress, (_READING + _DECIDING) / 2, _DECIDING),
            f"candidate {candidate.hash}",
        )
        progress(_DECIDING, "report")
        found = compare(loaded, cases, champion, made, order.capacity)
        found.seconds = round(time.perf_counter() - began, 1)
        found.per_second = round(len(cases.ids) / (time.perf_counter() - began))
        write(order.folder, found)
    if as_json:
        print_json(msgspec.to_builtins(found))
    else:
        _show(found, order.folder)


def bundle_of(settings: Settings, profile: Profile, name: str) -> Bundle:
    """A bundle by its hash, its folder, or as the champion. Raises ConfigError; Retry when Kafka is
    asked and away.
    """
    from model.bundles.bundle import Bundle
    from model.bundles.catalog import find, promotable
    from model.bundles.promotion import current_champion

    if name == "champion":
        current = current_champion(_broker(settings), profile.hash.decode())
        if current is None:
            raise ConfigError(
                f"profile {profile.name} has no champion: promote one, or name bundles by "
                "--bundle and "
                "--champion"
            )
        name = current.champion.bundle
    found = (
        Bundle.load(Path(name))
        if (Path(name) / "manifest.json").is_file()
        else find(settings.bundles_dir, name)
    )
    promotable(found, profile.hash.decode())
    return found


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
    order: Order,
    span: Span,
    other: Bundle | None,
    progress: Progress,
) -> tuple[Cases, DecidedCases]:
    """The transactions, and what the other bundle decides of them; without one, what was decided in
    its time.
    """
    from model.evaluation.decide_again import decide_again

    if other is None:
        cases, decided = _rows(settings, profile, span, progress)
        _check(cases)
        return cases, decided
    cases = _read(settings, profile, order, span, _part(progress, 0.0, _READING))
    _check(cases)
    return cases, decide_again(
        profile,
        other,
        cases,
        _part(progress, _READING, (_READING + _DECIDING) / 2),
        f"champion {other.hash}",
    )


def _read(
    settings: Settings, profile: Profile, order: Order, span: Span, progress: Progress
) -> Cases:
    from model.evaluation.cases import from_file, from_topic

    if order.data:
        return from_file(profile, order.data, order.label, span, progress)
    if order.topic:
        return from_topic(profile, _broker(settings), span, progress)
    return _rows(settings, profile, span, progress)[0]


def _rows(
    settings: Settings, profile: Profile, span: Span, progress: Progress
) -> tuple[Cases, DecidedCases]:
    from db.decided import from_database

    progress(0.0, "reading the database")
    return from_database(profile, settings, _broker(settings), span)


def _part(progress: Progress, start: float, end: float) -> Progress:
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


def _show(found: BacktestReport, folder: Path) -> None:
    typer.echo(
        f"{found.rows:,} of {found.read:,} transactions decided ({found.source}), "
        f"{found.verdicts:,} verdicts, "
        f"{found.frauds:,} frauds; {found.rejected:,} refused, {found.duplicates:,} sent again"
    )
    for side in (found.champion, found.challenger):
        typer.echo(f"{side.name}: {_words(side)}")
    typer.echo(f"decided otherwise: {found.disagreements.rows:,}")
    for warning in found.warnings:
        typer.echo(f"note: {warning}")
    typer.echo(
        f"report in {folder / 'report.html'}, {found.seconds:.0f} s, "
        f"{found.per_second:,.0f} transactions a second"
    )


def _words(side: Figures) -> str:
    parts = (
        [
            f"average precision {side.metrics['average_precision']:.3f}, AUC "
            f"{side.metrics['auc']:.3f}"
        ]
        if "auc" in side.metrics
        else []
    )
    parts += [
        f"{name} {_rates(one)}"
        for name, one in (("flagged", side.at_review), ("blocked", side.at_block))
    ]
    if side.reviews.recall is not None:
        parts.append(f"{side.reviews.per_day:,} reviews a day find {side.reviews.recall:.1%}")
    if side.money:
        parts.append(f"saved {side.money.saved:,.2f}, lost {side.money.lost:,.2f}")
    return "; ".join([*parts, f"good customers blocked {side.good_customers_blocked:,}"])


def _rates(one: Confusion) -> str:
    precision, recall = (
        "unknown" if value is None else f"{value:.1%}" for value in (one.precision, one.recall)
    )
    return (
        f"{one.flagged_frauds + one.flagged_legitimate:,} (precision {precision}, recall {recall})"
    )
