"""`tidegate run STAGE`: one consumer in the foreground, the unit of horizontal scaling."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.options import DbOption, KafkaOption, ProfileOption, settings_with
from tidegate.errors import ConfigError
from tidegate.pipeline import STAGES

Stage = Annotated[
    str,
    typer.Argument(
        metavar="STAGE",
        help=f"One of {', '.join(STAGES)}.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(run)


def run(
    stage: Stage, profile: ProfileOption = "", kafka: KafkaOption = "", db: DbOption = ""
) -> None:
    """Run one stage in the foreground until SIGTERM. Start it as often as its topic has partitions.

    Exit code 78: a restart would not help; read the last line.

    Example: [bold]tidegate run score --kafka broker-1:9092 --db
    postgresql+psycopg://tidegate@db/tidegate[/bold]
    """
    from cli.running.stages import run_stage

    if stage not in STAGES:
        raise ConfigError(f"there is no stage {stage!r}: choose one of {', '.join(STAGES)}")
    run_stage(stage, settings_with(profile=profile, kafka=kafka, db=db))
