"""`tidegate up`: everything on this machine, by one command."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.options import DbOption, KafkaOption, ProfileOption, settings_with
from tidegate.errors import ConfigError
from tidegate.pipeline import STAGES

_SCALED = ", ".join(stage.name for stage in STAGES.values() if not stage.single)
Scale = Annotated[
    list[str] | None,
    typer.Option("--scale", metavar="STAGE=N", help=f"Run N processes of a stage: {_SCALED}."),
]
Simulate = Annotated[
    float,
    typer.Option("--simulate", metavar="TX_PER_S", help="Send simulated traffic and verdicts."),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(up)


def up(
    profile: ProfileOption = "",
    kafka: KafkaOption = "",
    db: DbOption = "",
    scale: Scale = None,
    simulate: Simulate = 0.0,
) -> None:
    """Start Kafka, topics, database, first model, API, dashboard and every stage, and keep them up.

    Ctrl-C or SIGTERM drains and stops everything; the next start goes on where it stopped.

    Example: [bold]tidegate up --profile wallet --scale score=3[/bold]
    """
    from cli.running.launch import Launch
    from cli.running.processes import parse_scale

    scales = parse_scale(scale or [])
    settings = settings_with(profile=profile, kafka=kafka, db=db)
    if simulate < 0:
        raise ConfigError(f"--simulate {simulate}: a number of transactions per second is expected")
    raise typer.Exit(Launch(settings, scales, simulate).run())
