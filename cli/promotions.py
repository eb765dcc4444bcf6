"""`tidegate models history`: every promotion, rollback, shadow and canary that was ordered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from cli.keys import moment
from cli.options import JsonOption, KafkaOption, ProfileOption, print_json, settings_with

if TYPE_CHECKING:
    from model.bundles.changes import Change


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(history)


def history(
    profile: ProfileOption = "", kafka: KafkaOption = "", as_json: JsonOption = False
) -> None:
    """Show who was made champion, shadow or canary of the profile, when and by whom, oldest first.

    Each is told before it is done: one that failed right then is here as well.

    Example: [bold]tidegate models history --json[/bold]
    """
    from model.bundles.changes import changes
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.profile import load_profile

    settings = settings_with(profile=profile, kafka=kafka)
    loaded, broker = load_profile(settings.profile), KafkaBroker(settings)
    broker.check()
    rows = [facts(change) for change in changes(broker, loaded.hash.decode())]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        typer.echo(
            f"{row['at']}  {row['role']:<9} {row['bundle'] or 'none':<16} {_more(row)}".rstrip()
        )
    if not rows:
        typer.echo("nothing yet")


def facts(change: Change) -> dict[str, Any]:
    """One order, as `--json` shows it."""
    from tidegate.messages.documents import Canary, Champion

    order = change.order
    row: dict[str, Any] = {
        "at": moment(change.at_ms * 1000),
        "role": type(order).__name__.lower(),
        "bundle": order.bundle,
        "by": order.by,
    }
    if isinstance(order, Champion):
        row["previous"] = order.previous
    if isinstance(order, Canary):
        row["share"] = order.share
    return row


def _more(row: dict[str, Any]) -> str:
    words = [f"by {row['by']}"] if row["by"] else []
    if row.get("previous"):
        words.append(f"after {row['previous']}")
    if row["bundle"] and "share" in row:
        words.append(f"for {row['share']:.1%} of the accounts")
    return ", ".join(words)
