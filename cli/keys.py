"""`tidegate keys`: who may use the API, and for what."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.audited import typist
from cli.options import DbOption, JsonOption, print_json, say, settings_with, typeable
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from tidegate.access.keys import Key

app = typer.Typer(no_args_is_help=True, help="Make, list, replace and end the keys of the API.")
Name = Annotated[
    str, typer.Option("--name", help="Of the client: letters, digits, and . _ - between them.")
]
Scopes = Annotated[
    list[str],
    typer.Option(
        "--scope", help="What it may do: ingest, read, review, models, unmask, admin. Repeatable."
    ),
]
Expires = Annotated[
    str, typer.Option("--expires", help="How long it holds: 90d, 12h, 30m; empty: for good.")
]
Rate = Annotated[
    int,
    typer.Option(
        "--rate",
        min=0,
        max=1_000_000,
        help="Transactions, verdicts and other requests a second that each worker takes; 0: any.",
    ),
]
Overlap = Annotated[
    str, typer.Option("--overlap", help="How long the key before goes on holding: 1d, 12h, 0m.")
]
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_UNITS = {"d": 86_400, "h": 3600, "m": 60}


@app.command()
def create(
    name: Name,
    scope: Scopes,
    expires: Expires = "",
    rate: Rate = 0,
    db: DbOption = "",
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it: it is shown this once, and only its hash is kept.

    Example: [bold]tidegate keys create --name shop --scope ingest --expires 90d[/bold]
    """
    from db.keys import create as create_key
    from tidegate.clock import now_us

    _check(name, scope)
    now = now_us()
    expires_us = now + duration_us("--expires", expires) if expires else None
    _show(create_key(database(db), name, scope, now, expires_us, rate, by=typist()), as_json)


@app.command(name="list")
def list_(db: DbOption = "", as_json: JsonOption = False) -> None:
    """Show all keys, oldest first, never the keys themselves.

    Example: [bold]tidegate keys list[/bold]
    """
    from db.keys import all_keys
    from tidegate.clock import now_us

    now = now_us()
    rows = [facts(key, now) for key in all_keys(settings_with(db=db).db_url)]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        typer.echo(
            f"{row['id']}  {row['name']:<24} {row['state']:<8} made {row['created']}  "
            f"until {row['revoked'] or row['expires'] or '-':<20} {' '.join(row['scopes'])}"
            + (f", {row['rate']:,} a second" if row["rate"] else "")
        )
    if not rows:
        typer.echo(
            typeable("no key yet: `tidegate keys create --name admin --scope admin` makes one")
        )


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(metavar="KEY", help="A name, or the id of one key.")],
    db: DbOption = "",
) -> None:
    """End a key at once, or all of a name: the API takes it for 5 s at most.

    Example: [bold]tidegate keys revoke shop[/bold]
    """
    from db.keys import revoke as revoke_keys
    from tidegate.clock import now_us

    for ended in revoke_keys(database(db), key, now_us(), by=typist()):
        typer.echo(f"revoked {ended.id} {ended.name}")


@app.command()
def rotate(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the client.")],
    overlap: Overlap = "1d",
    db: DbOption = "",
    as_json: JsonOption = False,
) -> None:
    """Make a new key with the same name and scopes and print it; the one before holds a while.

    Example: [bold]tidegate keys rotate shop --overlap 1h[/bold]
    """
    from db.keys import rotate as rotate_key
    from tidegate.clock import now_us

    overlap_us = duration_us("--overlap", overlap)
    _show(rotate_key(database(db), name, now_us(), overlap_us, by=typist()), as_json)


def duration_us(option: str, text: str) -> int:
    """`90d`, `12h` or `30m` in us. Raises ConfigError for anything else."""
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not (number.isascii() and number.isdigit() and len(number) <= 5):
        raise ConfigError(f"{option} {text!r}: expected days, hours or minutes: 90d, 12h, 30m")
    return int(number) * _UNITS[unit] * 1_000_000


def facts(key: Key, now_us: int) -> dict[str, Any]:
    """What may be told of a key."""
    state = "holds" if key.holds(now_us) else "revoked" if key.revoked_us else "expired"
    return {
        "id": key.id,
        "name": key.name,
        "scopes": list(key.scopes),
        "rate": key.rate,
        "state": state,
        "created": moment(key.created_us),
        "expires": moment(key.expires_us) if key.expires_us else None,
        "revoked": moment(key.revoked_us) if key.revoked_us else None,
    }


def moment(us: int) -> str:
    """A time in us for people, and for scripts."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(us // 1_000_000, UTC).isoformat().replace("+00:00", "Z")


def check_name(option: str, name: str) -> None:
    """Raises ConfigError for what is no name of a client or a user."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{option} {name!r}: up to 64 letters and digits, with . _ - between them, are expected"
        )


def _check(name: str, scopes: list[str]) -> None:
    from tidegate.access.scopes import SCOPES

    check_name("--name", name)
    for scope in scopes:
        if scope not in SCOPES:
            raise ConfigError(f"--scope {scope}: choose among {', '.join(SCOPES)}")


def database(db: str) -> str:
    """The URL of the database, which has its tables then: a key may come before the first start."""
    from cli.running.steps import migrate

    settings = settings_with(db=db)
    settings.home.mkdir(parents=True, exist_ok=True)
    migrate(settings)
    return settings.db_url


def _show(made: tuple[Key, str], as_json: bool) -> None:
    key, text = made
    from tidegate.clock import now_us

    if as_json:
        print_json({**facts(key, now_us()), "key": text})
        return
    typer.echo(text)
    say(f"that is key {key.id} of {key.name}: keep it now, it is not shown again")
