"""`tidegate models`: which bundles there are, which one scores, and how that changes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from cli.audited import note
from cli.options import JsonOption, KafkaOption, ProfileOption, print_json, settings_with, typeable
from tidegate.words import count

if TYPE_CHECKING:
    from model.bundles.bundle import Bundle
    from model.bundles.promotion import Promoted
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.messages.heartbeats import Heartbeat
    from tidegate.profile import Profile
    from tidegate.settings import Settings
    from tidegate.status.heartbeats import heartbeats

app = typer.Typer(no_args_is_help=True, help="List, compare, promote and roll back model bundles.")
Hash = Annotated[str, typer.Argument(metavar="HASH", help="A bundle's hash, or how it begins.")]
Wait = Annotated[
    float,
    typer.Option(
        "--wait",
        metavar="SECONDS",
        help="How long all scorers may take to load it, and then to switch; 0: do not ask them.",
    ),
]


@app.command(name="list")
def list_(
    profile: ProfileOption = "", kafka: KafkaOption = "", as_json: JsonOption = False
) -> None:
    """Show all bundles, newest first, and which one is the champion of the profile.

    Example: [bold]tidegate models list --json[/bold]
    """
    from model.bundles.catalog import listing
    from model.bundles.shared import known_bundles

    settings, loaded, broker = _system(profile, kafka)
    rows = listing(known_bundles(settings), _champion(broker, loaded), loaded.hash.decode())
    if as_json:
        print_json(rows)
        return
    for row in rows:
        mark = "" if row["this_profile"] else "other profile"
        if row["champion"]:
            mark = "champion"
        typer.echo(
            f"{row['bundle']}  {row['profile']:<12} {mark:<14} "
            f"{row['fault'] or _metrics(row['metrics'])}"
        )
        if row["warning"]:
            typer.echo(f"{'':<18}WARNING: {row['warning']}")
    if not rows:
        typer.echo(typeable("no bundle yet: run `tidegate train`"))


@app.command()
def show(bundle: Hash, profile: ProfileOption = "", as_json: JsonOption = False) -> None:
    """Show what a bundle was trained on and how good it was.

    Example: [bold]tidegate models show 3f2a[/bold]
    """
    import msgspec

    from model.bundles.manifest import chance_warning

    found = _find(profile, bundle).manifest
    manifest = msgspec.to_builtins(found)
    if as_json:
        print_json(manifest)
        return
    for name, value in manifest.items():
        typer.echo(f"{name:<14}{', '.join(map(str, value)) if isinstance(value, list) else value}")
    if warning := chance_warning(found):
        typer.echo(f"{'WARNING':<14}{warning}")


@app.command()
def diff(
    first: Hash, second: Hash, profile: ProfileOption = "", as_json: JsonOption = False
) -> None:
    """Show what differs between two bundles.

    Example: [bold]tidegate models diff 3f2a 91bc[/bold]
    """
    from model.bundles.catalog import differences

    changes = differences(_find(profile, first).manifest, _find(profile, second).manifest)
    if as_json:
        print_json(changes)
    else:
        typer.echo(
            "\n".join(f"{name:<34}{a} -> {b}" for name, (a, b) in changes.items())
            or "nothing differs"
        )


@app.command()
def promote(
    bundle: Hash,
    profile: ProfileOption = "",
    kafka: KafkaOption = "",
    wait: Wait = 30.0,
    as_json: JsonOption = False,
) -> None:
    """Make a bundle the champion. Once every scorer has loaded it, they switch between two batches.

    Example: [bold]tidegate models promote 3f2a[/bold]
    """
    from model.bundles.catalog import usable
    from model.bundles.shared import known_bundles

    settings, loaded, broker = _system(profile, kafka)
    chosen = usable(known_bundles(settings, bundle), bundle, loaded)
    note(settings, "model promoted", chosen.hash)
    _switch(loaded, broker, chosen.hash, wait, as_json)


@app.command()
def rollback(
    profile: ProfileOption = "",
    kafka: KafkaOption = "",
    wait: Wait = 30.0,
    as_json: JsonOption = False,
) -> None:
    """Make the champion before this one the champion again.

    Example: [bold]tidegate models rollback[/bold]
    """
    from model.bundles.catalog import find
    from model.bundles.promotion import current_champion
    from model.bundles.shared import known_bundles
    from tidegate.errors import ConfigError

    settings, loaded, broker = _system(profile, kafka)
    current = current_champion(broker, loaded.hash.decode())
    if current is None or not current.champion.previous:
        raise ConfigError(
            f"profile {loaded.name} has had no champion before this one: nothing to go back to"
        )
    previous = current.champion.previous
    chosen = find(known_bundles(settings, previous), previous).hash
    note(settings, "model promoted", chosen, rollback=True)
    _switch(loaded, broker, chosen, wait, as_json)


def _system(profile: str, kafka: str) -> tuple[Settings, Profile, KafkaBroker]:
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.profile import load_profile

    settings = settings_with(profile=profile, kafka=kafka)
    broker = KafkaBroker(settings)
    broker.check()
    return settings, load_profile(settings.profile), broker


def _find(profile: str, bundle: str) -> Bundle:
    from model.bundles.catalog import find
    from model.bundles.shared import known_bundles

    return find(known_bundles(settings_with(profile=profile), bundle), bundle)


def _champion(broker: KafkaBroker, profile: Profile) -> str:
    from model.bundles.promotion import current_champion

    current = current_champion(broker, profile.hash.decode())
    return current.champion.bundle if current else ""


def _metrics(metrics: object) -> str:
    return (
        ", ".join(f"{name} {value:.3f}" for name, value in metrics.items())
        if isinstance(metrics, dict)
        else ""
    )


def _switch(profile: Profile, broker: KafkaBroker, bundle: str, wait: float, as_json: bool) -> None:
    """Promote once every living scorer has loaded the bundle, and wait until all score with it.

    Raises Retry when one does not, ConfigError when one cannot. With `wait` 0 none is asked.
    """
    from model.bundles.promotion import promote as promote_bundle
    from model.bundles.promotion import promote_by_all
    from tidegate.status.heartbeats import heartbeats

    name, by = profile.hash.decode(), "tidegate models"
    if not wait:
        promoted, scorers = promote_bundle(broker, bundle, name, by=by), []
    else:
        with heartbeats(broker, profile) as beats:
            promoted = promote_by_all(beats, broker, bundle, name, by=by, timeout=wait)
            scorers = _reported(beats, promoted, wait)
    if as_json:
        print_json(
            {
                "bundle": bundle,
                "previous": promoted.champion.previous,
                "offset": promoted.offset,
                "scorers": scorers,
            }
        )
    else:
        used = ""
        if wait:
            used = (
                f"; used by {count(len(scorers), 'scorer')}" if scorers else "; no scorer runs now"
            )
        typer.echo(f"champion: {bundle}{used}")


def _reported(beats: heartbeats, promoted: Promoted, wait: float) -> list[str]:
    """The living scorers, once all of them score with the champion.

    Raises ConfigError as soon as one refuses it, Retry when one is late.
    """
    from tidegate.errors import Retry

    deadline = time.monotonic() + wait
    while behind := _behind(scorers := beats.scorers(), promoted):
        if time.monotonic() > deadline:
            raise Retry(
                f"after {wait:g} s {', '.join(behind)} still score with another bundle: see "
                "their logs"
            )
        time.sleep(0.2)
    return [beat.process for beat in scorers]


def _behind(scorers: list[Heartbeat], promoted: Promoted) -> list[str]:
    """The scorers that do not score with the champion yet. Raises ConfigError for a refusal."""
    from tidegate.errors import ConfigError

    if refusals := promotion_refusals(scorers, promoted.offset):
        raise ConfigError(
            f"{promoted.champion.bundle} is promoted, but not used by every scorer. "
            f"{'; '.join(refusals)}. Each goes on with the champion before it, and tries again "
            "every 10 s: mend that, or run `tidegate models rollback`"
        )
    return [beat.process for beat in scorers if beat.models_offset <= promoted.offset]


def promotion_refusals(scorers: list[Heartbeat], offset: int) -> list[str]:
    """What each scorer that has read the promotion at `offset` and refuses it says."""
    return [
        f"{beat.process} refuses {beat.refused}"
        for beat in scorers
        if beat.refused and beat.models_offset > offset
    ]
