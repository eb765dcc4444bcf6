"""`tidegate users`: who may sign in to the results pages, and as what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.audited import typist
from cli.keys import check_name, database, moment
from cli.options import DbOption, JsonOption, print_json, settings_with, typeable
from tidegate.errors import ConfigError

app = typer.Typer(no_args_is_help=True, help="Add, list and remove who signs in.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the user.")]
Role = Annotated[str, typer.Option("--role", help="viewer, analyst, operator or admin.")]
PasswordFile = Annotated[
    Path | None,
    typer.Option(
        "--password-file", metavar="FILE", help="Where the password is; else it is asked for."
    ),
]


@app.command()
def add(name: Name, role: Role, password_file: PasswordFile = None, db: DbOption = "") -> None:
    """Add a user; the password is typed, or read from a file.

    Example: [bold]tidegate users add ann --role analyst[/bold]
    """
    from db.users import add as add_user
    from tidegate.access.users import ROLES, User, hashed
    from tidegate.clock import now_us

    check_name("NAME", name)
    if role not in ROLES:
        raise ConfigError(f"--role {role}: choose one of {', '.join(ROLES)}")
    password = hashed(_password(password_file))
    add_user(database(db), User(name, password, role, now_us()), by=typist())
    typer.echo(f"{name} may sign in as {role}")


@app.command(name="list")
def list_(db: DbOption = "", as_json: JsonOption = False) -> None:
    """Show all users and their roles.

    Example: [bold]tidegate users list[/bold]
    """
    from db.users import all_users

    rows = [
        {"name": user.name, "role": user.role, "changed": moment(user.changed_us)}
        for user in all_users(settings_with(db=db).db_url)
    ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        typer.echo(f"{row['name']:<24} {row['role']:<10} since {row['changed']}")
    if not rows:
        typer.echo(typeable("no user yet: `tidegate users add NAME --role admin` adds one"))


@app.command()
def password(name: Name, password_file: PasswordFile = None, db: DbOption = "") -> None:
    """Give a user a new password; who is signed in by the old one is signed out within 5 s.

    Example: [bold]tidegate users password ann[/bold]
    """
    from db.users import set_password
    from tidegate.access.users import hashed
    from tidegate.clock import now_us

    new = hashed(_password(password_file))
    set_password(database(db), name, new, now_us(), by=typist())
    typer.echo(f"{name} has a new password")


@app.command()
def remove(name: Name, db: DbOption = "") -> None:
    """Remove a user, who is signed out within 5 s.

    Example: [bold]tidegate users remove ann[/bold]
    """
    from db.users import remove as remove_user

    remove_user(database(db), name, by=typist())
    typer.echo(f"{name} is removed")


def _password(file: Path | None) -> str:
    from tidegate.access.users import SHORTEST

    if file is None:
        found: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        try:
            found = file.read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"--password-file {file}: {error}") from error
    if not SHORTEST <= len(found) <= 1024:
        raise ConfigError(f"a password has {SHORTEST} to 1024 characters")
    return found
