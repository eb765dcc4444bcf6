"""`tidegate send FILE`: a file of transactions through the HTTP endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import DbOption, JsonOption, KafkaOption, ProfileOption, print_json, settings_with
from tidegate.host.gate import stop_on_signals
from tidegate.words import count

if TYPE_CHECKING:
    from producers.files.journal import Sent
    from producers.files.send import Progress

File = Annotated[Path, typer.Argument(metavar="FILE", help="CSV, Parquet or JSON lines.")]
Url = Annotated[
    str, typer.Option("--url", help="Address of the API; empty: TIDEGATE_HOST and TIDEGATE_PORT.")
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
    typer.Option("--restart", help="Begin the file again instead of where the last run ended."),
]
AsIs = Annotated[
    bool,
    typer.Option(
        "--as-is", help="Keep the file's order; else rows are sent in the order of their times."
    ),
]


def send(
    file: File,
    profile: ProfileOption = "",
    url: Url = "",
    rate: Rate = 0.0,
    limit: Limit = 0,
    no_wait: NoWait = False,
    restart: Restart = False,
    as_is: AsIs = False,
    kafka: KafkaOption = "",
    db: DbOption = "",
    as_json: JsonOption = False,
) -> None:
    """Send a file, and wait until every transaction is a row or a dead letter.

    An interrupted run can be resumed.

    Exit code 1 when rows were refused or became dead letters.

    Example: [bold]tidegate send transactions.parquet --limit 200000 --rate 5000[/bold]
    """
    from model.history.readers import Source
    from producers.client import Client
    from producers.files.send import check_limits
    from producers.files.send import send as send_source
    from tidegate.profile import load_profile

    check_limits(rate, limit)
    settings = settings_with(profile=profile, kafka=kafka, db=db)
    source = Source(file, load_profile(settings.profile))
    client = Client(url or f"http://{settings.host}:{settings.port}")
    stop_on_signals(client.stop)
    waiting: dict[str, Any] = {}
    if not no_wait:
        from db.store import Store
        from tidegate.broker.kafka import KafkaBroker

        waiting = {
            "broker": KafkaBroker(settings),
            "existing": Store(settings.db_url, source.profile).existing,
        }
    with _Bar(
        source.total if not limit else min(limit, source.total or limit), quiet=as_json
    ) as progress:
        sent = send_source(
            source,
            client,
            settings.home,
            rate=rate,
            limit=limit,
            restart=restart,
            as_is=as_is,
            progress=progress,
            place=f"{settings.kafka_address} {settings.db_url}",
            **waiting,
        )
    _report(sent, as_json, interrupted=client.stop.is_set())


class _Bar:
    """A progress bar of rows posted and rows settled."""

    def __init__(self, total: int | None, *, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        console = Console(stderr=True)
        self._bars = Bars(
            TextColumn("{task.description:8}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=quiet or not console.is_terminal,
        )
        self._posted = self._bars.add_task("posted", total=total)
        self._settled = self._bars.add_task("settled", total=total)

    def __enter__(self) -> Progress:
        self._bars.start()
        return self._show

    def __exit__(self, *_error: object) -> None:
        self._bars.stop()

    def _show(self, posted: int, settled: int) -> None:
        self._bars.update(self._posted, completed=posted)
        self._bars.update(self._settled, completed=settled)


def _report(sent: Sent, as_json: bool, *, interrupted: bool) -> None:
    import msgspec

    if as_json:
        print_json({**msgspec.to_builtins(sent), "interrupted": interrupted})
    else:
        typer.echo(_words(sent, interrupted))
    if interrupted or sent.rejected or sent.dead_letters:
        raise typer.Exit(1)


def _words(sent: Sent, interrupted: bool) -> str:
    lines = [f"posted {sent.posted:,} in {sent.seconds:.1f} s, accepted {sent.accepted:,}"]
    if sent.resumed_at:
        lines.append(f"resumed after row {sent.resumed_at:,}")
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
    if sent.rejected:
        lines.append(
            f"{count(sent.rejected, 'row')} refused, listed in {sent.rejections_file}, such as:"
        )
        lines += [
            f"  row {refused.row}: {refused.reason}: {refused.detail}"
            for refused in sent.first_rejections[:5]
        ]
    if interrupted:
        lines.append("interrupted; the same command goes on from here")
    return "\n".join(lines)
