"""`tidegate status`: what the processes say of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from cli.options import JsonOption, KafkaOption, ProfileOption, print_json, ranges, settings_with

if TYPE_CHECKING:
    from tidegate.messages.documents import Heartbeat


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(status)


def status(
    profile: ProfileOption = "", kafka: KafkaOption = "", as_json: JsonOption = False
) -> None:
    """Show every process that gave a sign of life in the last 5 s. Exit code 1 unless every stage
    is ready.

    Example: [bold]tidegate status --json[/bold]
    """
    from cli.running.steps import heartbeats, now_us
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.errors import Retry
    from tidegate.profile import load_profile

    settings = settings_with(profile=profile, kafka=kafka)
    KafkaBroker(settings).check()
    with heartbeats(settings, load_profile(settings.profile)) as board:
        if not board.wait(10):
            raise Retry(f"topic status cannot be read: {board.problem}")
        beats, missing = board(), board.missing(now_us())
    if as_json:
        import msgspec

        print_json(
            {"ready": not missing, "missing": missing, "processes": msgspec.to_builtins(beats)}
        )
    else:
        _show(beats, missing)
    if missing:
        raise typer.Exit(1)


def _show(beats: list[Heartbeat], missing: list[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0))  # fits into 80 columns
    for name in (
        "process",
        "pid",
        "partitions",
        "ready",
        "lag",
        "processed",
        "rejected",
        "bundle",
        "port",
    ):
        table.add_column(name, no_wrap=True)
    for beat in beats:
        table.add_row(
            beat.process,
            str(beat.pid),
            ranges(beat.partitions),
            "yes" if beat.restored else "no",
            f"{beat.lag:,}",
            f"{beat.processed:,}",
            f"{beat.rejected:,}",
            beat.bundle[:8],
            str(beat.metrics_port),
        )
    console = Console()
    console.print(table)
    for fault in missing:
        console.print(f"[red]not ready[/] {fault}")
