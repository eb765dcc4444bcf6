"""`tidegate erase`: the rows of one account go."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cli.audited import typist
from cli.options import DbOption, JsonOption, ProfileOption, print_json, settings_with
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from db.erasing import Erasure
    from tidegate.profile import Profile

Account = Annotated[
    str,
    typer.Argument(
        metavar="ACCOUNT", help="The account; -: read it from standard input, where nobody sees it."
    ),
]
_LEFT = (
    "SQLite's write-ahead log may still hold what was deleted: somebody who reads kept it "
    "from being emptied. Run the same command again until it ends with exit code 0, and stop the "
    "pipeline for that if need be"
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(erase)


def erase(
    account: Account, profile: ProfileOption = "", db: DbOption = "", as_json: JsonOption = False
) -> None:
    """Delete an account's rows from the database, and tell the audit that it was done.

    What Kafka's topics hold of it cannot be read any more where the profile is `erasable`;
    otherwise it stays until their retention removes it.

    Example: [bold]tidegate erase u-17[/bold]
    """
    from db.erasing import erase as erase_account
    from db.erasing import ids_secret
    from db.migrate import migrate
    from tidegate.profile import load_profile

    settings = settings_with(profile=profile, db=db)
    loaded = load_profile(settings.profile)
    wanted = _account(loaded, account)
    migrate(settings.db_migrate_url)
    done = erase_account(settings.db_url, wanted, typist(), ids_secret(loaded))
    if as_json:
        print_json(_as_json(loaded, done))
    else:
        typer.echo(_told(loaded, done))
    if done.log_emptied is False:
        typer.echo(_LEFT, err=True)
        raise typer.Exit(1)


def _as_json(profile: Profile, done: Erasure) -> dict[str, int]:
    told: dict[str, int] = {"rows": done.rows}
    if profile.erasable:
        told["key_destroyed"] = done.key
    if done.log_emptied is not None:
        told["log_emptied"] = done.log_emptied
    return told


def _told(profile: Profile, done: Erasure) -> str:
    rows = f"{done.rows:,} rows of the account are deleted"
    if not profile.erasable:
        return (
            f"{rows}. What is still under way becomes a row: run it again in a minute. "
            "Kafka's topics keep what they hold: see docs/privacy.md"
        )
    key = "its key is destroyed" if done.key else "it has no key (any more)"
    return (
        f"{rows}, and {key}. What was sent in these seconds may have got a new one: run it again "
        "in a minute. See docs/privacy.md"
    )


def _account(profile: Profile, account: str) -> str:
    """The account as rows have it. Raises ConfigError."""
    if profile.account is None:
        raise ConfigError(f"profile {profile.name} has no account whose rows could be erased")
    named = sys.stdin.readline().rstrip("\n") if account == "-" else account
    if not named:
        raise ConfigError("which account? Standard input was empty")
    return profile.stored(profile.account, named)
