"""`tidegate rescore`: score rows again that were decided without a failed or late detector."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from cli.options import DbOption, JsonOption, KafkaOption, ProfileOption, print_json, settings_with

if TYPE_CHECKING:
    from tidegate.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(rescore)


def rescore(
    profile: ProfileOption = "",
    kafka: KafkaOption = "",
    db: DbOption = "",
    as_json: JsonOption = False,
) -> None:
    """Score rows again that lack a detector's score.

    The new score is a revision beside the row; no decision changes.

    Exit code 1 when a detector fails again, or a row's policy is gone.

    Example: [bold]tidegate rescore[/bold]
    """
    degraded, revised, failures, undecided = _run(
        settings_with(profile=profile, kafka=kafka, db=db)
    )
    if as_json:
        print_json(
            {
                "degraded": degraded,
                "revised": revised,
                "failures": failures,
                "undecided": undecided,
            }
        )
    else:
        typer.echo(
            f"{degraded:,} rows without a revision lack a detector's score, {revised:,} of them "
            "have one now"
        )
        for name, error in failures.items():
            typer.echo(f"{name} fails again: {error}", err=True)
        for error in undecided.values():
            typer.echo(f"rows left out: {error}", err=True)
    if revised < degraded:
        raise typer.Exit(1)


def _run(settings: Settings) -> tuple[int, int, dict[str, str], dict[str, str]]:
    from consumers.replay.logs import Logs
    from consumers.replay.rescore import rescore as score_again
    from db.migrate import migrate
    from db.revisions import read_degraded, write_revisions
    from model.bundles.shared import local_bundles
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.profile import load_profile
    from tidegate.stream.snapshot import Snapshots

    profile, broker = load_profile(settings.profile), KafkaBroker(settings)
    broker.check()
    migrate(settings.db_migrate_url)
    rows = read_degraded(settings.db_url, profile.hash.decode(), len(profile.models.names))
    logs = Logs(broker, Snapshots(settings.snapshots_url))
    try:
        rescored = score_again(
            profile, rows, logs, local_bundles(settings), lambda: time.time_ns() // 1000
        )
    finally:
        logs.close()
    write_revisions(settings.db_url, rescored.revisions)
    return (
        len(rows),
        len(rescored.revisions),
        {name: str(error) for name, error in rescored.failures.items()},
        {version: str(error) for version, error in rescored.undecided.items()},
    )
