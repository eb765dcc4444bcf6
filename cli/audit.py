"""`tidegate audit`: who did what, and whether somebody changed that afterwards."""

from __future__ import annotations

import json
import re
import threading
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.keys import moment
from cli.options import DbOption, JsonOption, KafkaOption, period, print_json, settings_with
from tidegate.errors import ConfigError, Retry
from tidegate.words import count

if TYPE_CHECKING:
    from db.audit import Entry
    from tidegate.messages.seal import Seal
    from tidegate.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Check and print who did what.")
Head = Annotated[
    str,
    typer.Option(
        "--head",
        metavar="SEQ:HASH",
        help="What an earlier verify printed must still be there; the seals on Kafka are not read.",
    ),
]
Every = Annotated[
    int | None,
    typer.Option(
        "--every", metavar="SECONDS", min=60, help="Go on until SIGTERM, and look so often."
    ),
]
Since = Annotated[str, typer.Option("--since", metavar="DATE", help="Only from this day on (UTC).")]


@app.command()
def verify(
    head: Head = "", kafka: KafkaOption = "", db: DbOption = "", as_json: JsonOption = False
) -> None:
    """Compute the hash of every entry again; exit code 1 at the first that does not hold.

    The seals on the topic `audit` find out what was cut off at the end, or made anew as a whole.
    Without Kafka a head that was printed earlier, and kept elsewhere, does so.

    Example: [bold]tidegate audit verify --head 17:9f2c…[/bold]
    """
    from db.audit import verify as verify_all

    settings = settings_with(kafka=kafka, db=db)
    sealed = _known(head) if head else _sealed(settings)
    found = verify_all(settings.db_url, sealed)
    last = max((seq for seq, _ in sealed), default=0)
    printed = f"{found.entries}:{found.head.hex()}"
    if as_json:
        facts = {"entries": found.entries, "head": printed, "sealed": last, "wrong": found.wrong}
        print_json(facts)
    elif found.wrong is None:
        entries = count(found.entries, "entry", "entries")
        held = f"sealed up to {last}" if last else "none is sealed"
        typer.echo(f"{entries} hold{'s' if found.entries == 1 else ''}, {held}; head {printed}")
    else:
        typer.echo(f"entry {found.wrong} is not as it was written or sealed, or is gone")
    if found.wrong is not None:
        raise typer.Exit(1)


@app.command()
def seal(every: Every = None, kafka: KafkaOption = "", db: DbOption = "") -> None:
    """Write the newest entry's number and hash to the topic `audit`, if entries were added.

    On a cluster only its own user of Kafka may write there. Exit code 78: what was sealed last is
    not in the table any more.

    Example: [bold]tidegate audit seal --every 60[/bold]
    """
    from db.seals import Sealer
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.host.gate import stop_on_signals

    settings = settings_with(kafka=kafka, db=db)
    broker = KafkaBroker(settings)
    broker.check()
    sealer = Sealer(broker, settings.db_url)
    if every is None:
        _say(sealer.seal())
        return
    stop = threading.Event()
    stop_on_signals(stop)
    while not stop.is_set():
        try:
            _say(sealer.seal())
        except Retry as error:
            typer.echo(f"waiting: {error}", err=True)
        stop.wait(every)


def _say(made: Seal | None) -> None:
    if made:
        typer.echo(f"sealed {made.seq}:{made.hash}")


def _sealed(settings: Settings) -> list[tuple[int, bytes]]:
    """What the topic says. Raises ConfigError, Retry where it cannot be read."""
    from db.seals import seals
    from tidegate.broker.kafka import KafkaBroker

    broker = KafkaBroker(settings)
    broker.check()
    return [(found.seq, bytes.fromhex(found.hash)) for found in seals(broker)]


@app.command()
def export(since: Since = "", db: DbOption = "") -> None:
    """Print the entries, oldest first, one JSON document a line.

    Example: [bold]tidegate audit export --since 2026-01-01[/bold]
    """
    from db.audit import export as entries

    since_us, _ = period(since, "")
    for entry in entries(settings_with(db=db).db_url, since_us or 0):
        typer.echo(json.dumps(_facts(entry)))


def _facts(entry: Entry) -> dict[str, Any]:
    return {
        **entry._asdict(),
        "at": moment(entry.at_us),
        "detail": json.loads(entry.detail),
        "hash": entry.hash.hex(),
    }


def _known(head: str) -> list[tuple[int, bytes]]:
    found = re.fullmatch(r"([0-9]{1,18}):([0-9a-f]{64})", head)
    if not found:
        raise ConfigError(
            f"--head {head!r}: expected what `tidegate audit verify` prints, SEQ:HASH"
        )
    return [(int(found[1]), bytes.fromhex(found[2]))] if int(found[1]) else []
