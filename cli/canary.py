"""`tidegate models canary`: a challenger decides for a share of the accounts, and is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.audited import note
from cli.options import DbOption, JsonOption, KafkaOption, ProfileOption, print_json, settings_with
from tidegate.errors import ConfigError
from tidegate.words import count

if TYPE_CHECKING:
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.profile import Profile
    from tidegate.settings import Settings

Bundle = Annotated[str, typer.Argument(metavar="[HASH]", help="A bundle's hash, or how it begins.")]
Share = Annotated[
    float, typer.Option("--share", min=0.0, max=1.0, help="Of the accounts that it decides for.")
]
Off = Annotated[bool, typer.Option("--off", help="Let the champion decide for all accounts again.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(canary)


def canary(
    bundle: Bundle = "",
    share: Share = 0.05,
    off: Off = False,
    profile: ProfileOption = "",
    kafka: KafkaOption = "",
    db: DbOption = "",
    as_json: JsonOption = False,
) -> None:
    """Let a bundle decide for a share of the accounts.

    Without HASH, show what the canary and the champion have decided since.

    Example: [bold]tidegate models canary 3f2a --share 0.1[/bold]
    """
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.profile import load_profile

    if bundle and off:
        raise ConfigError("give the hash of a bundle, or --off")
    settings = settings_with(profile=profile, kafka=kafka, db=db)
    loaded, broker = load_profile(settings.profile), KafkaBroker(settings)
    broker.check()
    if bundle or off:
        _set(settings, loaded, broker, bundle, share, as_json)
    else:
        _compare(settings, loaded, broker, as_json)


def _set(
    settings: Settings,
    profile: Profile,
    broker: KafkaBroker,
    bundle: str,
    share: float,
    as_json: bool,
) -> None:
    from model.bundles.catalog import usable
    from model.bundles.promotion import set_canary
    from model.bundles.shared import known_bundles

    name = profile.hash.decode()
    chosen = usable(known_bundles(settings, bundle), bundle, profile).hash if bundle else ""
    note(settings, "canary set", chosen, share=share if chosen else 0.0)
    set_canary(broker, chosen, name, share if chosen else 0.0, by="tidegate models canary")
    if as_json:
        print_json({"canary": chosen or None, "share": share if chosen else 0.0})
    elif chosen:
        typer.echo(f"canary: {chosen}, for {share:.1%} of the accounts")
    else:
        typer.echo("canary: none")


def _compare(settings: Settings, profile: Profile, broker: KafkaBroker, as_json: bool) -> None:
    from db.comparison import compare_canary

    compared = compare_canary(profile, settings.db_url, broker)
    if compared is None:
        raise ConfigError(
            f"profile {profile.name} has no canary: name one with `tidegate models canary HASH`"
        )
    name, share, sides = compared
    if as_json:
        print_json(
            {
                "canary": name,
                "share": share,
                "bundles": {bundle: side._asdict() for bundle, side in sides.items()},
            }
        )
        return
    typer.echo(f"{name} decides for {share:.1%} of the accounts")
    for bundle, side in sides.items():
        precision = "unknown" if side.precision is None else f"{side.precision:.1%}"
        role = "canary" if bundle == name else ""
        typer.echo(
            f"{bundle} {role:<6} {count(side.rows, 'row')}, {side.flagged:,} flagged; "
            f"precision {precision}, from {count(side.verdicts, 'verdict')}"
        )
