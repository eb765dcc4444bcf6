"""`tidegate erase`: the rows of one account go."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cli.audited import typist
from cli.options import DbOption, JsonOption, ProfileOption, print_json, settings_with
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from tidegate.profile import Profile

Account = Annotated[
    str,
    typer.Argument(
        metavar="ACCOUNT", help="The account; -: read it from standard input, where nobody sees it."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(erase)


def erase(
    account: Account, profile: ProfileOption = "", db: DbOption = "", as_json: JsonOption = False
) -> None:
    """Delete an account's rows from the database, and tell the audit that it was done.

    What Kafka's topics hold of it stays until their retention removes it.

    Example: [bold]tidegate erase u-17[/bold]
    """
    from db.migrate import migrate
    from db.retention import erase as erase_rows
    from tidegate.profile import load_profile

    settings = settings_with(profile=profile, db=db)
    wanted = _account(load_profile(settings.profile), account)
    migrate(settings.db_migrate_url)
    rows = erase_rows(settings.db_url, wanted, typist())
    if as_json:
        print_json({"rows": rows})
    else:
        typer.echo(
            f"{rows:,} rows of the account are deleted. What is still under way becomes a row: "
            "run it again in a minute. Kafka's topics keep what they hold: see docs/privacy.md"
        )


def _account(profile: Profile, account: str) -> str:
    """The account as rows have it. Raises ConfigError."""
    if profile.account is None:
        raise ConfigError(f"profile {profile.name} has no account whose rows could be erased")
    named = sys.stdin.readline().rstrip("\n") if account == "-" else account
    if not named:
        raise ConfigError("which account? Standard input was empty")
    return profile.stored(profile.account, named)
