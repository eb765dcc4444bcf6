"""`tidegate batch FILE`: a file through the HTTP endpoint, and each row's decision."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.file_options import AS_FOUND, Written, with_file_options
from cli.options import (
    DbOption,
    JsonOption,
    KafkaOption,
    KeyFileOption,
    MaxRefusedOption,
    ProfileOption,
    UrlOption,
    api_client,
    key_shown,
    print_json,
    settings_with,
    share,
)
from tidegate.clock import now_us
from tidegate.errors import ConfigError
from tidegate.words import count

if TYPE_CHECKING:
    from producers.files.results import Summary

File = Annotated[
    str, typer.Argument(metavar="FILE", help="CSV, Parquet, JSON lines or xlsx, or a URL.")
]
Into = Annotated[
    Path,
    typer.Option(
        "--into",
        metavar="FOLDER",
        help="Where results.csv, results.parquet, the refused rows and the progress are written.",
    ),
]


@with_file_options
def batch(
    file: File,
    into: Into,
    profile: ProfileOption = "",
    url: UrlOption = "",
    key_file: KeyFileOption = "",
    max_refused: MaxRefusedOption = "5%",
    written: Written = AS_FOUND,
    kafka: KafkaOption = "",
    db: DbOption = "",
    as_json: JsonOption = False,
) -> None:
    """Send a file as `tidegate send` does, and write each row with what was decided of it.

    A text that a spreadsheet would run as a formula gets an apostrophe before it in the CSV.

    Example: [bold]tidegate batch payments.csv --into results[/bold]
    """
    from cli.send import log_of
    from db.store import Store
    from model.bundles.past_policies import Policies
    from model.bundles.shared import known_bundles
    from model.files.reader import Reader
    from producers.files import batch as work
    from producers.files.decided import RiskLevels, decided
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.host.gate import stop_on_signals
    from tidegate.profile import load_profile

    settings = settings_with(profile=profile, kafka=kafka, db=db, key_file=key_file)
    loaded = load_profile(settings.profile)
    if loaded.ids == "per_client" and key_shown(settings):
        raise ConfigError(
            "the profile keeps ids by client, and what became of a row is looked for by the id in "
            "the file: use `tidegate send --no-wait`"
        )
    into.mkdir(parents=True, exist_ok=True)
    reader = Reader(file, written.of(loaded), form=written.form)
    client = api_client(settings, url)
    stop_on_signals(client.stop)
    broker = KafkaBroker(settings)
    store = Store(settings.db_url, loaded)
    levels = RiskLevels(known_bundles(settings), Policies(broker, loaded))
    summary = work.run(
        reader,
        client,
        settings.home,
        into,
        share("--max-refused", max_refused),
        broker=broker,
        existing=store.existing,
        look=lambda ids: decided(store.brief(ids), levels),
        log=log_of(settings),
        began_us=now_us(),
    )
    if summary is None:
        typer.echo("interrupted; the same command goes on from here", err=True)
        raise typer.Exit(1)
    _report(summary, into, as_json)


def _report(summary: Summary, into: Path, as_json: bool) -> None:
    import msgspec

    if as_json:
        print_json(msgspec.to_builtins(summary))
        return
    typer.echo(f"{count(summary.rows, 'row')}: {_listed(summary.outcomes)}")
    typer.echo(f"decisions: {_listed(summary.decisions) or 'none'}")
    typer.echo(f"results in {into / 'results.csv'} and {into / 'results.parquet'}")


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in sorted(counts.items()))
