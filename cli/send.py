"""`tidegate send FILE`: a file of transactions through the HTTP endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from cli.progress import steps
from tidegate.clock import day_of
from tidegate.errors import ConfigError
from tidegate.host.gate import stop_on_signals
from tidegate.words import count

if TYPE_CHECKING:
    from producers.files.sent import Sent
    from tidegate.settings import Settings

File = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="CSV, Parquet, JSON lines or xlsx, a folder or pattern of them, a URL, or -.",
    ),
]
Rate = Annotated[
    float, typer.Option("--rate", help="Most transactions per second; 0: as fast as it goes.")
]
Limit = Annotated[int, typer.Option("--limit", help="Send the first N rows only; 0: all.")]
NoWait = Annotated[
    bool, typer.Option("--no-wait", help="Return when all is acknowledged, not when all are rows.")
]
Restart = Annotated[
    bool,
    typer.Option("--restart", help="Send also the rows that were acknowledged before."),
]
AsIs = Annotated[
    bool,
    typer.Option(
        "--as-is", help="Keep the file's order; else rows are sent in the order of their times."
    ),
]


Stream = Annotated[
    bool,
    typer.Option(
        "--stream",
        help="Send while the file is read for the first time, as it stands; else nothing is sent "
        "before the whole file has been read.",
    ),
]
RejectsFile = Annotated[
    Path | None,
    typer.Option(
        "--rejects",
        metavar="FILE",
        help="Where refused rows are written, to be mended and sent; else beside the journal.",
    ),
]
ShowValues = Annotated[
    bool, typer.Option("--show-values", help="Print also what the refused rows hold.")
]


@with_file_options
def send(
    file: File,
    profile: ProfileOption = "",
    url: UrlOption = "",
    key_file: KeyFileOption = "",
    rate: Rate = 0.0,
    limit: Limit = 0,
    no_wait: NoWait = False,
    restart: Restart = False,
    as_is: AsIs = False,
    stream: Stream = False,
    max_refused: MaxRefusedOption = "5%",
    rejects: RejectsFile = None,
    show_values: ShowValues = False,
    written: Written = AS_FOUND,
    kafka: KafkaOption = "",
    db: DbOption = "",
    as_json: JsonOption = False,
) -> None:
    """Send a file, and wait until every transaction is a row or a dead letter.

    Rows that this Kafka has acknowledged before are not sent again, so that an interrupted run goes
    on, and of a file that has grown only the new rows are sent.

    Exit code 1 when rows were refused or became dead letters.

    Example: [bold]tidegate send transactions.parquet --limit 200000 --rate 5000[/bold]
    """
    from model.files.reader import Reader
    from producers.files.send import check_limits
    from producers.files.send import send as send_rows
    from producers.files.sending import Options
    from tidegate.profile import load_profile

    check_limits(rate, limit)
    options = Options(
        rate=rate,
        limit=limit,
        restart=restart,
        as_is=as_is or stream,
        stream=stream,
        most_refused=share("--max-refused", max_refused),
        rejects=rejects,
        show_values=show_values,
    )
    settings = settings_with(profile=profile, kafka=kafka, db=db, key_file=key_file)
    loaded = load_profile(settings.profile)
    if loaded.ids == "per_client" and key_shown(settings) and not no_wait:
        raise ConfigError(
            "the profile keeps ids by client, and what became of a row is looked for by the id in "
            "the file: send it with --no-wait"
        )
    reader = Reader(file, written.of(loaded), form=written.form)
    client = api_client(settings, url)
    stop_on_signals(client.stop)
    waiting: dict[str, Any] = {}
    if not no_wait:
        from db.store import Store
        from tidegate.broker.kafka import KafkaBroker

        waiting = {
            "broker": KafkaBroker(settings),
            "existing": Store(settings.db_url, reader.profile).existing,
        }
    log = client.url if no_wait and url else log_of(settings)
    if loaded.ids == "per_client":
        log += _client_of(settings)
    with steps(quiet=as_json) as progress:
        sent = send_rows(
            reader, client, settings.home, options, log=log, progress=progress, **waiting
        )
    _report(sent, as_json, interrupted=client.stop.is_set())


def log_of(settings: Settings) -> str:
    """What the raw topic is known by, and where its rows go: new ones have acknowledged nothing.

    Raises Retry when Kafka is away.
    """
    from sqlalchemy import make_url

    from tidegate.broker.kafka import KafkaBroker
    from tidegate.pipeline import RAW

    broker = KafkaBroker(settings)
    topic, _ = broker.topic_ids([RAW]).get(RAW, ("", 0))
    return f"{broker.cluster_id()} {topic} {make_url(settings.db_url).render_as_string()}"


def _client_of(settings: Settings) -> str:
    """What a client is known by whose ids are its own; "" for who shows no key.

    A key that was renewed has acknowledged nothing: its rows are posted again, and are the same.
    """
    from tidegate.access.keys import digest

    key = key_shown(settings)
    return f" {digest(key).hex()}" if key else ""


def _report(sent: Sent, as_json: bool, *, interrupted: bool) -> None:
    import msgspec

    if as_json:
        print_json({**msgspec.to_builtins(sent), "interrupted": interrupted})
    else:
        typer.echo(_words(sent, interrupted))
    if interrupted or sent.rejected or sent.dead_letters:
        raise typer.Exit(1)


def _words(sent: Sent, interrupted: bool) -> str:
    span = (
        f", {day_of(sent.from_us)} to {day_of(sent.to_us)}" if sent.from_us and sent.to_us else ""
    )
    lines = [
        f"read {count(sent.read, 'row')}{span}; posted {sent.posted:,} in {sent.seconds:.1f} s, "
        f"accepted {sent.accepted:,}"
    ]
    if sent.acknowledged_before:
        lines.append(
            f"{count(sent.acknowledged_before, 'row')} not posted: acknowledged before "
            "(--restart posts them again)"
        )
    if sent.rows is not None:
        lines.append(
            f"{count(sent.rows, 'row')} and {count(sent.dead_letters or 0, 'dead letter')} of "
            f"{count(sent.distinct, 'transaction')}"
        )
    lines += [f"note: {remark}" for remark in sent.remarks]
    if sent.unknown_columns:
        lines.append(
            f"columns left out, the profile does not know them: {', '.join(sent.unknown_columns)}"
        )
    lines += _refused(sent)
    if interrupted:
        lines.append("interrupted; the same command goes on from here")
    return "\n".join(lines)


def _refused(sent: Sent) -> list[str]:
    if not sent.rejected:
        return []
    by_reason = ", ".join(f"{times:,} {why}" for why, times in sent.rejected_by_reason.items())
    return [
        f"{count(sent.rejected, 'row')} refused ({by_reason}), listed in {sent.rejections_file} to "
        "be mended and sent, such as:",
        *(f"  {refused.sentence}" for refused in sent.first_rejections[:5]),
    ]
