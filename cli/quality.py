"""`tidegate quality`: how good the decisions were, by what verdicts say so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import (
    DbOption,
    JsonOption,
    KafkaOption,
    ProfileOption,
    print_json,
    settings_with,
    typeable,
)

if TYPE_CHECKING:
    from db.decisions import Decisions
    from model.evaluation.verdict_quality import Decided, Line, Recall
    from tidegate.profile import Profile
    from tidegate.settings import Settings

Days = Annotated[
    float,
    typer.Option("--days", min=0.01, help="How far to look back from the newest transaction."),
]
Pending = Annotated[
    bool, typer.Option("--pending", help="List what of the sample waits for a verdict.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(quality)


def quality(
    days: Days = 90.0,
    pending: Pending = False,
    profile: ProfileOption = "",
    kafka: KafkaOption = "",
    db: DbOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show verdicts and precision by the age of the transactions, and recall, from a sample of the
    approved ones.

    Example: [bold]tidegate quality --days 30[/bold]
    """
    from model.evaluation.verdict_quality import UNKNOWN, by_age, recall
    from tidegate.profile import load_profile

    settings = settings_with(profile=profile, kafka=kafka, db=db)
    loaded = load_profile(settings.profile)
    decisions, decided = _read(settings, loaded, days)
    if pending:
        waiting = decided.sampled & ~decided.flagged & (decided.verdict == UNKNOWN)
        names = [decisions.ids[row] for row in waiting.nonzero()[0]]
        print_json(names) if as_json else typer.echo(
            "\n".join(names) or "no transaction of the sample waits"
        )
        return
    lines = by_age(decided)
    estimate = recall(decided)
    if as_json:
        print_json(
            {
                "ages": [line._asdict() for line in lines],
                "recall": estimate and estimate._asdict(),
                "rows_of_other_versions": decisions.others,
            }
        )
        return
    if lines:
        _show(lines, estimate)
    else:
        typer.echo(f"no transaction of profile {loaded.name} is decided yet: send some")
    if decisions.others:
        typer.echo(
            f"not counted: {decisions.others:,} rows of these days that other profiles, or older "
            f"versions of profile {loaded.name}, decided"
        )


def _read(settings: Settings, profile: Profile, days: float) -> tuple[Decisions, Decided]:
    from db.decisions import read_decisions
    from model.bundles.published import verdicts
    from model.evaluation.verdict_quality import daily_sample, decided_rows
    from tidegate.broker.kafka import KafkaBroker

    broker = KafkaBroker(settings)
    broker.check()
    decisions = read_decisions(settings.db_url, profile.hash.decode(), days)
    return decisions, decided_rows(
        decisions.ids,
        decisions.times,
        decisions.flagged,
        verdicts(broker),
        daily_sample(
            decisions.ids,
            decisions.came_in,
            decisions.flagged,
            settings.review_sample,
            settings.review_daily,
        ),
    )


def _show(lines: list[Line], estimate: Recall | None) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0))
    for name in (
        "age",
        "rows",
        "verdicts",
        "frauds",
        "flagged",
        "with verdict",
        "frauds",
        "precision",
    ):
        table.add_column(name, no_wrap=True, justify="right")
    for line in lines:
        table.add_row(
            f"{line.from_days} d+",
            *(f"{number:,}" for number in line[1:7]),
            "" if line.precision is None else f"{line.precision:.3f}",
        )
    console = Console()
    console.print(table)
    if estimate is None:
        console.print(
            typeable("recall: not known yet; `tidegate quality --pending` lists whom to review")
        )
        return
    console.print(
        f"recall {estimate.estimate:.3f}, "
        f"95% interval {estimate.low:.3f} to {estimate.high:.3f}; "
        f"{estimate.reviewed:,} of the {estimate.sampled:,} approved transactions in the sample "
        "are reviewed"
    )
