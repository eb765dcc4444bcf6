"""`tidegate export`: stored transactions as a file, or as a view for BI tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.audited import note
from cli.options import DbOption, ProfileOption, say, settings_with
from tidegate.errors import ConfigError

_FORMATS = {".csv": "csv", ".parquet": "parquet"}
Filter = Annotated[
    list[str],
    typer.Option(
        "--filter",
        metavar="NAME=VALUE",
        help="As in the address of the search page: id, account, second, decision, verdict, "
        "min_score, max_score, min_amount, max_amount, since, until, model, reason; all hold.",
    ),
]
Output = Annotated[
    Path,
    typer.Option("--output", metavar="FILE", help="The file to write; it must not be there."),
]
Form = Annotated[
    str, typer.Option("--format", metavar="csv|parquet", help="By the file's name if not given.")
]
Unmask = Annotated[
    bool, typer.Option("--unmask", help="With what is masked; the audit is told who did it.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(export)
    app.command("export-view")(view)


def export(
    output: Output,
    form: Form = "",
    filters: Filter = [],  # noqa: B006 - typer reads it, nobody changes it
    unmask: Unmask = False,
    profile: ProfileOption = "",
    db: DbOption = "",
) -> None:
    """Write the transactions that are meant, newest first: their payload, features and scores.

    Example: [bold]tidegate export --output blocked.parquet --filter decision=block[/bold]
    """
    from dashboard.transactions.asked import asked
    from db.export.columns import columns_of, exported
    from db.export.formats import written
    from db.store import Store
    from tidegate.profile import load_profile

    kind = form or _FORMATS.get(output.suffix.lower(), "")
    if kind not in _FORMATS.values():
        raise ConfigError("say --format csv or --format parquet")
    settings = settings_with(profile=profile, db=db)
    loaded = load_profile(settings.profile)
    said = asked(loaded, _pairs(filters))
    for name, wrong in said.faults.items():
        raise ConfigError(f"--filter {name}: {wrong}")
    if unmask:
        note(settings, "exported", "transactions", format=kind, filters=sorted(said.texts))
    store, count = Store(settings.db_read_url, loaded), 0
    try:
        with output.open("xb") as file:
            rows = exported(store, loaded, said.filters, masked=not unmask)
            for part in written("csv" if kind == "csv" else "parquet", columns_of(loaded), rows):
                count += file.write(part)
    except FileExistsError:
        raise ConfigError(f"{output} is there already: name another file") from None
    except BaseException:
        output.unlink(missing_ok=True)  # half a file would pass for a whole one
        raise
    finally:
        store.close()
    say(f"{output}: {count:,} bytes")


def view(
    name: Annotated[str, typer.Option("--name", help="Of the view.")] = "tidegate_transactions",
    profile: ProfileOption = "",
) -> None:
    """Print the SQL of a view that has features and scores by name, for PostgreSQL.

    Example: [bold]tidegate export-view | psql[/bold]
    """
    from db.export.view import view_of
    from tidegate.profile import load_profile

    typer.echo(view_of(load_profile(settings_with(profile=profile).profile), name), nl=False)


def _pairs(filters: list[str]) -> dict[str, str]:
    from dashboard.transactions.asked import FIELDS

    pairs = dict(text.partition("=")[::2] for text in filters)
    for name in pairs:
        if name not in FIELDS:
            raise ConfigError(f"--filter {name}: there are {', '.join(FIELDS)}")
    return pairs
