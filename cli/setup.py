"""`tidegate setup`: everything the stages need before they start, done once and checked at every
start.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Db, Kafka, Profile, settings_with
from tidegate.errors import ConfigError, Retry

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidegate.profile import Profile as LoadedProfile
    from tidegate.settings import Settings

_SECONDS = 60.0
Models = Annotated[
    Path | None,
    typer.Option(
        "--models", metavar="FOLDER", help="Take the first model from here instead of training one."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(setup)


def setup(profile: Profile = "", kafka: Kafka = "", db: Db = "", models: Models = None) -> None:
    """Create topics and tables, and a first model if there is none; for clusters, where `tidegate
    up` does not run.

    Example: [bold]tidegate setup --kafka broker-1:9092 --db
    postgresql+psycopg://tidegate@db/tidegate[/bold]
    """
    from cli.running import steps as bootstrap
    from cli.running.handover import check_profile
    from tidegate.profile import load_profile

    settings = settings_with(profile=profile, kafka=kafka, db=db)
    loaded = load_profile(settings.profile)
    settings.home.mkdir(parents=True, exist_ok=True)
    _insist("migrations", lambda: bootstrap.migrate(settings))
    _insist("topics", lambda: bootstrap.make_topics(settings))
    _insist("profile", lambda: check_profile(settings, loaded))
    _first_bundle(settings, loaded, models)
    _insist("champion", lambda: _first_champion(settings, loaded))


def _first_champion(settings: Settings, profile: LoadedProfile) -> None:
    from cli.running import steps as bootstrap

    if warning := bootstrap.promote_first(settings, profile):
        typer.echo(f"WARNING: {warning}", err=True)


def _insist(what: str, step: Callable[[], None]) -> None:
    """Do a step, again while something is still starting. Raises Retry when it is not there within
    60 s.
    """
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            step()
        except Retry as error:
            if time.monotonic() > deadline:
                raise
            typer.echo(f"{what}: waiting: {error}", err=True)
            time.sleep(1.0)
        else:
            typer.echo(f"{what}: done")
            return


def _first_bundle(settings: Settings, profile: LoadedProfile, models: Path | None) -> None:
    from cli.running import steps as bootstrap
    from tidegate.host.spawn import tidegate

    if bootstrap.has_bundle(settings, profile):
        return
    if models and (given := _given(models, profile)):
        shutil.copytree(given, settings.bundles_dir / given.name)
        typer.echo(f"model: {given.name} taken from {models}")
        return
    if subprocess.run(tidegate("train"), check=False).returncode:  # noqa: S603 - our own command
        raise ConfigError("training the first model failed: what it said stands above")


def _given(models: Path, profile: LoadedProfile) -> Path | None:
    """The bundle of this profile in a folder of bundles, if there is one."""
    for manifest in sorted(models.glob("*/manifest.json")):
        if json.loads(manifest.read_text())["profile_hash"] == profile.hash.decode():
            return manifest.parent
    return None
