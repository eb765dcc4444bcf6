"""`tidegate dead-letters`: what could not be processed, and why."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import JsonOption, KafkaOption, ProfileOption, print_json, settings_with

if TYPE_CHECKING:
    from tidegate.dead_letters.listing import Entry

Reason = Annotated[
    str, typer.Option("--reason", help="Only those with this reason, like invalid_json.")
]
WaitingOption = Annotated[
    bool, typer.Option("--waiting", help="Only those that no redrive has dealt with.")
]
Limit = Annotated[int, typer.Option("--limit", min=0, help="The newest N; 0: all.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="dead-letters")(dead_letters)


def dead_letters(
    reason: Reason = "",
    waiting: WaitingOption = False,
    limit: Limit = 50,
    profile: ProfileOption = "",
    kafka: KafkaOption = "",
    as_json: JsonOption = False,
) -> None:
    """List what could not be processed, newest first: place, time, stage, transaction, reason.

    The place is what `redrive --offset` takes. The last column says what a redrive did with it.

    Example: [bold]tidegate dead-letters --reason invalid_json --limit 20[/bold]
    """
    import msgspec

    from db.account_keys import vault_of
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.dead_letters.listing import entries
    from tidegate.profile import load_profile

    settings = settings_with(profile=profile, kafka=kafka)
    broker = KafkaBroker(settings)
    broker.check()
    loaded = load_profile(settings.profile)
    vault = vault_of(loaded, settings.db_url)
    listed = entries(broker, loaded, reason=reason, waiting=waiting, limit=limit, vault=vault)
    if as_json:
        print_json(msgspec.to_builtins(listed))
    else:
        _show(listed)


def _show(listed: list[Entry]) -> None:
    for entry in listed:
        time = datetime.fromtimestamp(entry.time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
        typer.echo(
            f"{entry.place:<8} {time}  {entry.stage:<12} {entry.transaction_id or '(no id)'}  "
            f"{entry.reason}: {entry.detail}" + (f"  [{entry.action}]" if entry.action else "")
        )
    if not listed:
        typer.echo("no dead letter")
