"""`tidegate cases`: what people have to look at."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import typer

from cli.audited import note
from cli.options import (
    DbOption,
    JsonOption,
    KafkaOption,
    ProfileOption,
    print_json,
    settings_with,
)
from tidegate.words import count

if TYPE_CHECKING:
    from tidegate.broker.ports import Broker
    from tidegate.messages.documents import Label

app = typer.Typer(no_args_is_help=True, help="The cases that people review.")


@app.callback()
def cases() -> None:
    """The cases that people review."""


@app.command()
def rebuild(
    profile: ProfileOption = "",
    kafka: KafkaOption = "",
    db: DbOption = "",
    as_json: JsonOption = False,
) -> None:
    """Make cases from the rows and verdicts from the topic of labels again.

    For rows from before there were cases, and for tables that were lost. What people have said
    stays: notes, tags, assignees. The pipeline may run; it waits meanwhile.

    Example: [bold]tidegate cases rebuild[/bold]
    """
    from db.cases.rebuild import rebuild as rebuild_cases
    from db.erasing import erased_at, ids_secret
    from db.migrate import migrate
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.clock import now_us
    from tidegate.profile import load_profile

    settings = settings_with(profile=profile, kafka=kafka, db=db)
    loaded, broker = load_profile(settings.profile), KafkaBroker(settings)
    broker.check()
    migrate(settings.db_migrate_url)
    note(settings, "cases rebuilt", "all cases")
    rebuilt = rebuild_cases(
        settings.db_url,
        _labels(broker),
        partial(erased_at, settings.db_url, ids_secret(loaded)),
        share=settings.review_sample,
        most=settings.review_daily,
        now_us=now_us(),
    )
    if as_json:
        print_json(rebuilt._asdict())
    else:
        typer.echo(
            f"{count(rebuilt.cases, 'case')}, {rebuilt.open:,} of them open; "
            f"{count(rebuilt.verdicts, 'verdict')}"
        )


def _labels(broker: Broker) -> Iterator[list[tuple[int, Label]]]:
    from consumers.cases import labels_in
    from tidegate.pipeline import LABELS
    from tidegate.stream.side_topic import read_partition

    for batch in read_partition(broker, LABELS, 0):
        yield labels_in(batch)
