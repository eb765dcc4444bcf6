"""`tidegate status`: what the processes say of themselves, why one is missing, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from cli.options import (
    JsonOption,
    KafkaOption,
    ProfileOption,
    print_json,
    ranges,
    settings_with,
    typeable,
)
from tidegate.words import count

if TYPE_CHECKING:
    from tidegate.broker.ports import Broker
    from tidegate.dead_letters.listing import Waiting
    from tidegate.host.exits import Exit
    from tidegate.messages.heartbeats import Heartbeat, Held
    from tidegate.settings import Settings

_NEWEST_LETTERS = 10_000
"""Of each partition of the dead letters, so many are looked at."""
_MEND_REFUSAL = "give that scorer the bundle (it looks every 10 s), or `tidegate models rollback`"
_COLUMNS = (
    "process",
    "pid",
    "partitions",
    "ready",
    "lag",
    "processed",
    "rejected",
    "bundle",
    "port",
)


class Server(NamedTuple):
    """A web server of this machine, and whether GET /healthz answers 200."""

    name: str
    address: str
    healthy: bool


class Cause(NamedTuple):
    """Why something is missing, and what to do about it."""

    fault: str
    why: str
    mend: str


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(status)


def status(
    profile: ProfileOption = "", kafka: KafkaOption = "", as_json: JsonOption = False
) -> None:
    """Show every process that gave a sign of life in the last 5 s, and dead letters that wait.

    What is missing comes with its reason and the mend. Exit code 1 unless every stage is ready and
    no partition is held.

    Example: [bold]tidegate status --json[/bold]
    """
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.dead_letters.listing import waiting_letters
    from tidegate.host.exits import read_exits
    from tidegate.host.supervisor import holder

    settings = settings_with(profile=profile, kafka=kafka)
    broker = KafkaBroker(settings)
    broker.check()
    beats, missing, held = _heartbeats(settings, broker)
    servers = _servers(settings)
    faults = list(missing)
    if holder(settings.home):  # in a cluster the servers run elsewhere
        faults += [f"{name}: no answer at {address}" for name, address, ok in servers if not ok]
    causes = explain(faults, read_exits(settings.home), settings.home)
    causes += [cause_of_hold(stage, each) for stage, each in held]
    waiting = waiting_letters(broker, _NEWEST_LETTERS)
    if as_json:
        _print_json(beats, missing, causes, servers, waiting)
    else:
        show(beats, servers, causes, waiting)
    if missing or held:
        raise typer.Exit(1)


def _heartbeats(
    settings: Settings, broker: Broker
) -> tuple[list[Heartbeat], list[str], list[tuple[str, Held]]]:
    """The living processes, what is missing, and what is held.

    Raises Retry when topic status cannot be read.
    """
    from tidegate.profile import load_profile
    from tidegate.status.heartbeats import heartbeats

    with heartbeats(broker, load_profile(settings.profile)) as board:
        board.wait(10)
        return board(), board.missing(), board.held()


def _servers(settings: Settings) -> list[Server]:
    ports = {"ingest": settings.port, "dashboard": settings.dashboard_port}
    addresses = {name: f"http://{settings.host}:{port}/healthz" for name, port in ports.items()}
    return [Server(name, address, _healthy(address)) for name, address in addresses.items()]


def _healthy(address: str) -> bool:
    from tidegate.errors import Retry
    from tidegate.http import ask

    try:
        return ask("TIDEGATE_HOST", "GET", address).status == 200
    except Retry:
        return False


def explain(faults: list[str], exits: Mapping[str, Exit], home: Path) -> list[Cause]:
    """Why each `STAGE: FAULT` is so, by what the supervisor of this home folder noted."""
    causes = []
    for fault in faults:
        stage = fault.partition(":")[0]
        ended = [name for name in exits if name.partition(".")[0] == stage]
        if ended:
            causes += [_of_exit(fault, name, exits[name], home) for name in ended]
        else:
            causes.append(_without_exit(fault, stage))
    return causes


def _of_exit(fault: str, process: str, end: Exit, home: Path) -> Cause:
    log = home / "log" / f"{process}.log"
    if end.gave_up:
        mend = f"mend that, then end `tidegate up` and start it again; more in {log}"
        return Cause(fault, f"{process} gave up with {end.said}", mend)
    mend = f"nothing yet: it was started again {count(end.restarts, 'time')}; more in {log}"
    return Cause(fault, f"{process} ended with {end.said}", mend)


def cause_of_hold(stage: str, held: Held) -> Cause:
    """Why a partition does not go on, and what to type."""
    from tidegate.messages.documents import lost_range

    fault = f"{stage}: partition {held.partition} is held at offset {held.offset}"
    if held.lost:
        first, last = lost_range(held.offset, held.until, held.lost)
        return Cause(
            fault,
            f"{count(held.lost, 'record')} lost between offset {first} and {last}",
            f"`tidegate skip {stage} --partition {held.partition} --accept-loss` goes on at "
            f"offset {held.until}, where the log begins, without them",
        )
    command = f"tidegate skip {stage} --partition {held.partition} --until {held.until}"
    return Cause(
        fault,
        f"too many of its records are rejects ({', '.join(held.reasons)})",
        "mend the producer or the profile; it is tried again by itself. "
        f"`{command} --dry-run` shows these records; without --dry-run they become dead letters",
    )


def _without_exit(fault: str, stage: str) -> Cause:
    if "no live process" in fault or "no answer" in fault:
        mend = f"start `tidegate up` here, or `tidegate run {stage}` on any machine"
        return Cause(fault, "it does not run, or is just starting", mend)
    mend = "wait a moment, and look at the lag"
    return Cause(fault, "too few processes run, or they are still restoring their state", mend)


def _print_json(
    beats: list[Heartbeat],
    missing: list[str],
    causes: list[Cause],
    servers: list[Server],
    waiting: Waiting,
) -> None:
    import msgspec

    print_json(
        {
            "ready": not missing,
            "missing": missing,
            "causes": [cause._asdict() for cause in causes],
            "processes": msgspec.to_builtins([msgspec.structs.asdict(beat) for beat in beats]),
            "servers": [server._asdict() for server in servers],
            "dead_letters": {"waiting": waiting.count, **msgspec.to_builtins(waiting)},
        }
    )


def show(
    beats: list[Heartbeat], servers: list[Server], causes: list[Cause], waiting: Waiting
) -> None:
    """The processes as a table, below it the dead letters, and what is missing with its cause."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0))  # fits into 80 columns
    for name in _COLUMNS:
        table.add_column(name, no_wrap=True)
    for beat in beats:
        table.add_row(
            beat.process,
            str(beat.pid),
            ranges(beat.partitions),
            "ends" if beat.stopping else "yes" if beat.restored else "no",
            f"{beat.lag:,}",
            f"{beat.processed:,}",
            f"{beat.rejected:,}",
            beat.bundle[:8],
            str(beat.metrics_port),
        )
    for server in servers:
        port = server.address.rpartition(":")[2].partition("/")[0]
        table.add_row(server.name, "", "", "yes" if server.healthy else "no", *[""] * 4, port)
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    console.print(letters_line(waiting), markup=False)
    for beat in beats:
        if beat.refused:
            console.print(f"[red]refused[/]   by {beat.process}: {escape(beat.refused)}")
            console.print(typeable(f"          do:  {_MEND_REFUSAL}"), markup=False)
        for each in beat.restoring:
            console.print(f"{beat.process}: {each}", markup=False)
    for cause in causes:
        console.print(f"[red]not ready[/] {escape(cause.fault)}")
        console.print(f"          why: {cause.why}", markup=False)
        console.print(typeable(f"          do:  {cause.mend}"), markup=False)


def letters_line(waiting: Waiting) -> str:
    """Dead letters that no redrive has dealt with, by reason."""
    if not waiting.count:
        return "no dead letter waits" + ("" if waiting.complete else " among the newest")
    least = "" if waiting.complete else "at least "
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in waiting.reasons.items())
    listed = "`tidegate dead-letters --waiting` lists them"
    return typeable(f"dead letters that wait: {least}{waiting.count:,} ({reasons}); {listed}")
