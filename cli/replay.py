"""`tidegate replay`: one decision again, from the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import DbOption, JsonOption, KafkaOption, ProfileOption, print_json, settings_with

if TYPE_CHECKING:
    from tidegate.profile import Profile
    from tidegate.settings import Settings

Id = Annotated[str, typer.Argument(metavar="ID", help="The transaction's id.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(replay)


def replay(
    transaction_id: Id,
    profile: ProfileOption = "",
    kafka: KafkaOption = "",
    db: DbOption = "",
    as_json: JsonOption = False,
) -> None:
    """Compute a decision again from the log and compare it bit by bit.

    Exit code 1 when something differs.

    Example: [bold]tidegate replay t-1[/bold]
    """
    from consumers.replay.replay import Replay
    from db.account_keys import vault_of
    from db.store import Store
    from model.bundles.shared import local_bundles
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.errors import ConfigError
    from tidegate.profile import load_profile
    from tidegate.stream.snapshot import Snapshots

    settings = settings_with(profile=profile, kafka=kafka, db=db)
    loaded, broker = load_profile(settings.profile), KafkaBroker(settings)
    broker.check()
    row = Store(settings.db_url, loaded).get(loaded.stored_id(transaction_id))
    if row is None:
        raise ConfigError(_why_not(loaded, settings, transaction_id))
    vault = vault_of(loaded, settings.db_url)
    differences = Replay(
        loaded, broker, Snapshots(settings.snapshots_url), local_bundles(settings), vault
    ).differences(row)
    if as_json:
        print_json(
            {
                "transaction_id": transaction_id,
                "same": not differences,
                "differences": [pair._asdict() for pair in differences],
            }
        )
    else:
        typer.echo(
            "\n".join(f"{pair.name}: {pair.was} in the row, {pair.now} now" for pair in differences)
            or f"{transaction_id}: score {row['score']:.6f} again, bit for bit"
        )
    if differences:
        raise typer.Exit(1)


def _why_not(profile: Profile, settings: Settings, transaction_id: str) -> str:
    """Why there is no row."""
    from db.erasing import erased_at, ids_secret
    from tidegate.clock import day_of

    stored = profile.stored_id(transaction_id)
    erased = erased_at(settings.db_url, ids_secret(profile), [stored])
    if stored in erased:
        return (
            f"transaction {transaction_id!r} was erased with its account on "
            f"{day_of(erased[stored])} (UTC): nothing is left to replay"
        )
    return f"there is no row of transaction {transaction_id!r}"
