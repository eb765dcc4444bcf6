"""`tidegate models shadow` and `compare`: a challenger scores the stream beside the champion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.audited import note
from cli.options import DbOption, JsonOption, KafkaOption, ProfileOption, print_json, settings_with
from tidegate.errors import ConfigError
from tidegate.words import count

if TYPE_CHECKING:
    from model.evaluation.shadow import Comparison

Bundle = Annotated[str, typer.Argument(metavar="HASH", help="A bundle's hash, or how it begins.")]
Off = Annotated[bool, typer.Option("--off", help="Let none score beside the champion any more.")]
Capacity = Annotated[
    int, typer.Option("--capacity", min=1, help="How many transactions a day are reviewed.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(shadow)
    app.command()(compare)


def shadow(
    bundle: Bundle = "",
    off: Off = False,
    profile: ProfileOption = "",
    kafka: KafkaOption = "",
    as_json: JsonOption = False,
) -> None:
    """Let a bundle score the live stream beside the champion, without deciding anything.

    Example: [bold]tidegate models shadow 3f2a[/bold]
    """
    from model.bundles.catalog import usable
    from model.bundles.promotion import set_shadow
    from model.bundles.shared import known_bundles
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.profile import load_profile

    if bool(bundle) == off:
        raise ConfigError("give the hash of a bundle, or --off")
    settings = settings_with(profile=profile, kafka=kafka)
    broker, loaded = KafkaBroker(settings), load_profile(settings.profile)
    broker.check()
    chosen = usable(known_bundles(settings, bundle), bundle, loaded).hash if bundle else ""
    note(settings, "shadow set", chosen)
    set_shadow(broker, chosen, loaded.hash.decode(), by="tidegate models shadow")
    if as_json:
        print_json({"shadow": chosen or None})
    else:
        typer.echo(f"shadow: {chosen or 'none'}")


def compare(
    capacity: Capacity = 100,
    profile: ProfileOption = "",
    kafka: KafkaOption = "",
    db: DbOption = "",
    as_json: JsonOption = False,
) -> None:
    """Compare the shadow with the champion on the rows that both scored.

    Shows how often they agree, and their precision where there are verdicts.

    Example: [bold]tidegate models compare --capacity 50[/bold]
    """
    from db.comparison import compare_shadow
    from model.bundles.shared import local_bundles
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.profile import load_profile

    settings = settings_with(profile=profile, kafka=kafka, db=db)
    loaded, broker = load_profile(settings.profile), KafkaBroker(settings)
    broker.check()
    compared = compare_shadow(loaded, settings.db_url, broker, local_bundles(settings), capacity)
    if compared is None:
        raise ConfigError(
            f"profile {loaded.name} has no shadow: name one with `tidegate models shadow HASH`"
        )
    name, comparison = compared
    if as_json:
        print_json(
            {
                **comparison._asdict(),
                "shadow": name,
                "champion": comparison.champion._asdict(),
                "challenger": comparison.shadow._asdict(),
            }
        )
    else:
        _show(name, comparison, capacity)


def _show(name: str, comparison: Comparison, capacity: int) -> None:
    if comparison.agreement is None:
        typer.echo(f"{name} has scored no row yet")
        return
    typer.echo(
        f"{name} and the champion decide {comparison.agreement:.2%} of "
        f"{count(comparison.rows, 'row')} alike; "
        f"flagged: {comparison.flagged_by_champion:,} by the champion, "
        f"{comparison.flagged_by_shadow:,} by the shadow, {comparison.flagged_by_both:,} by both"
    )
    for role, top in (("champion", comparison.champion), ("shadow", comparison.shadow)):
        precision = "unknown" if top.precision is None else f"{top.precision:.1%}"
        typer.echo(
            f"{role:<9} {count(capacity, 'review')} a day: precision {precision}, "
            f"from {count(top.verdicts, 'verdict')} on {count(top.reviewed, 'row')}"
        )
