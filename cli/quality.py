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
    ids, decided = _read(settings, load_profile(settings.profile), days)
    if pending:
        waiting = decided.sampled & ~decided.flagged & (decided.verdict == UNKNOWN)
        names = [ids[at] for at in waiting.nonzero()[0]]
        print_json(names) if as_json else typer.echo(
            "\n".join(names) or "no transaction of the sample waits"
        )
        return
    lines, found = by_age(decided), recall(decided)
    if as_json:
        print_json(
            {"ages": [line._asdict() for line in lines], "recall": found and found._asdict()}
        )
    else:
        _show(lines, found)


def _read(settings: Settings, profile: Profile, days: float) -> tuple[list[str], Decided]:
    import numpy as np

    from db.store import Store
    from model.bundles.published import verdicts
    from model.evaluation.verdict_quality import FRAUD, LEGITIMATE, UNKNOWN, Decided, in_sample
    from tidegate.broker.kafka import KafkaBroker

    broker, store = KafkaBroker(settings), Store(settings.db_url, profile)
    broker.check()
    rows, said = list(store.decided(profile.hash.decode(), days)), verdicts(broker)
    store.close()
    meaning = {None: UNKNOWN, False: LEGITIMATE, True: FRAUD}
    ids, times = [row[0] for row in rows], np.array([row[1] for row in rows], np.float64)
    return ids, Decided(
        (times.max(initial=0.0) - times) / 86_400e6,
        np.array([row[2] != "approve" for row in rows], np.bool_),
        in_sample(ids, settings.review_sample),
        np.array([meaning[said.get(name)] for name in ids], np.int8),
    )


def _show(lines: list[Line], found: Recall | None) -> None:
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
    console.print(
        typeable("recall: not known yet; `tidegate quality --pending` lists whom to review")
        if found is None
        else f"recall {found.estimate:.3f}, 95% interval {found.low:.3f} to {found.high:.3f}; "
        f"{found.reviewed:,} of the {found.sampled:,} approved transactions in the sample are "
        "reviewed"
    )
