"""`tidegate skip`: let a stage pass over what it holds a partition for: bad records, lost ones."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from cli.audited import note, typist
from cli.options import DbOption, JsonOption, KafkaOption, ProfileOption, print_json, settings_with
from tidegate.errors import ConfigError
from tidegate.pipeline import (
    CONSUMERS,
    FEEDBACK,
    LABELS,
    RAW,
    SCORED,
    STAGES,
)

if TYPE_CHECKING:
    from tidegate.broker.ports import Broker
    from tidegate.broker.records import Batch, Position, TopicPartition
    from tidegate.messages.vault import Vault
    from tidegate.profile import Profile
    from tidegate.settings import Settings

    Fault = tuple[str, str]
    Judge = Callable[[bytes | None, int], Fault | None]

StageName = Annotated[str, typer.Argument(metavar="STAGE", help=f"One of {', '.join(CONSUMERS)}.")]
Partition = Annotated[int, typer.Option("--partition", min=0, help="The partition of its input.")]
Until = Annotated[int, typer.Option("--until", min=0, help="The first offset not to skip.")]
AcceptLoss = Annotated[
    bool,
    typer.Option("--accept-loss", help="Go on where the log begins: what lay before is lost."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the records; order nothing.")]
ShowValues = Annotated[
    bool, typer.Option("--show-values", help="Show the values too: they may be personal data.")
]
_SHOWN = 20
_WIDTH = 300


class BadRecord(NamedTuple):
    """A record that the stage would refuse.

    `value`, and the detail that may quote it, are left out unless they were asked for.
    """

    offset: int
    key: str
    reason: str
    detail: str
    bytes: int
    value: str | None


def skip(
    stage: StageName,
    partition: Partition,
    until: Until = 0,
    accept_loss: AcceptLoss = False,
    dry_run: DryRun = False,
    show_values: ShowValues = False,
    profile: ProfileOption = "",
    kafka: KafkaOption = "",
    db: DbOption = "",
    as_json: JsonOption = False,
) -> None:
    """Let a stage pass over the bad records before an offset: they become dead letters.

    The good records among them are processed, so nothing is lost, and `tidegate redrive` puts the
    others back. The order is a record on topic control; the stage may be stopped meanwhile. With
    --accept-loss instead of --until it goes on although its topic no longer has the next records.

    Example: [bold]tidegate skip preprocess --partition 2 --until 5120 --dry-run[/bold]
    """
    from db.account_keys import vault_of
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.broker.records import TopicPartition
    from tidegate.profile import load_profile

    if stage not in CONSUMERS:
        raise ConfigError(f"there is no stage {stage!r}: one of {', '.join(CONSUMERS)}")
    settings = settings_with(profile=profile, kafka=kafka, db=db)
    broker = KafkaBroker(settings)
    broker.check()
    source = TopicPartition(STAGES[stage].input, partition)
    if accept_loss == bool(until):
        raise ConfigError("give either --until OFFSET or --accept-loss")
    if accept_loss:
        from cli.loss import lost, show_loss
        from tidegate.stream.skips import give

        loss = lost(broker, place(broker, settings, stage, source), stage, source, by=typist())
        if not dry_run:
            note(settings, "loss accepted", stage, place=str(source))
            give(broker, loss)
        show_loss(loss, dry_run=dry_run, as_json=as_json)
        return
    start = _start(broker, settings, stage, source, until)
    loaded = load_profile(settings.profile)
    vault = vault_of(loaded, settings.db_url) if source.topic == RAW else None
    bad = list(refused(broker, source, start, until, judge_of(loaded, stage), vault))
    if not show_values:
        bad = [record._replace(value=None, detail="") for record in bad]
    if not dry_run:
        note(settings, "records skipped", stage, place=str(source), until=until, bad=len(bad))
        order(broker, stage, source, until, len(bad), by=typist())
    if as_json:
        print_json(
            {
                "stage": stage,
                "partition": partition,
                "from": start,
                "until": until,
                "ordered": not dry_run,
                "records": [record._asdict() for record in bad],
            }
        )
    else:
        _show(bad, stage, start, until, dry_run=dry_run)


def _start(
    broker: Broker, settings: Settings, stage: str, source: TopicPartition, until: int
) -> int:
    """Where the stage goes on. Raises ConfigError when `until` is not between there and the end."""
    position, first, end = place(broker, settings, stage, source)
    start = max(first, position.offset if position else 0)
    if not start < until <= end:
        raise ConfigError(
            f"--until {until}: {stage} goes on at offset {start} of "
            f"{source.topic}/{source.partition}, which ends at {end}"
        )
    return start


def place(
    broker: Broker, settings: Settings, stage: str, source: TopicPartition
) -> tuple[Position | None, int, int]:
    """The stage's position, and where its partition begins and ends.

    Raises ConfigError when there is no such partition.
    """
    from cli.running.handover import committed

    consumer = broker.consumer(None)
    try:
        if source not in consumer.partitions(source.topic):
            raise ConfigError(f"topic {source.topic} has no partition {source.partition}")
        position = committed(broker, settings, STAGES[stage]).get(source)
        return position, *consumer.bounds(source)
    finally:
        consumer.close()


def judge_of(profile: Profile, stage: str) -> Judge:
    """Why the stage would refuse a record, as far as that follows from the record alone."""
    topic = STAGES[stage].input
    if topic == RAW:
        return lambda value, us: _fault(lambda: profile.decode(value or b"", us))
    if topic == FEEDBACK:
        return lambda value, _: _fault_of_verdict(value)
    if topic == LABELS:
        return lambda value, _: _fault_of_label(value)
    layout = profile.scored_layout if topic == SCORED else profile.features_layout
    return lambda value, _: (
        (fault.reason, fault.detail) if (fault := layout.check(value)) is not None else None
    )


def _fault(decode: Callable[[], object]) -> Fault | None:
    from tidegate.errors import Rejected

    try:
        decode()
    except Rejected as error:
        return error.reason, error.detail
    return None


def _fault_of_verdict(value: bytes | None) -> Fault | None:
    from consumers.label import read_verdict
    from tidegate.stream.stage import Reject

    verdict = read_verdict(value, 0)
    return (verdict.reason, verdict.detail) if isinstance(verdict, Reject) else None


def _fault_of_label(value: bytes | None) -> Fault | None:
    import msgspec

    from consumers.learn import decode

    try:
        decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return "invalid_json", str(error)
    return None


def refused(
    broker: Broker,
    source: TopicPartition,
    start: int,
    until: int,
    judge: Judge,
    vault: Vault | None = None,
) -> Iterator[BadRecord]:
    """The bad records with `start` <= offset < `until`; `vault` decrypts, and what was erased is
    not bad.
    """
    from tidegate.stream.side_topic import read_range

    consumer = broker.consumer(None)
    try:
        for batch in read_range(consumer, source, start, until, 2000):
            plain = replace(batch, values=vault.decrypt(batch.values)) if vault else batch
            yield from _of(plain, judge)
    finally:
        consumer.close()


def _of(batch: Batch, judge: Judge) -> Iterator[BadRecord]:
    from tidegate.messages.ciphertext import ERASED

    for i, value in enumerate(batch.values):
        fault = None if value == ERASED else judge(value, batch.timestamps[i] * 1000)
        if fault is not None:
            yield BadRecord(
                batch.offsets[i],
                (batch.keys[i] or b"").decode("utf-8", "replace"),
                *fault,
                len(value or b""),
                (value or b"")[:_WIDTH].decode("utf-8", "replace"),
            )


def order(
    broker: Broker, stage: str, source: TopicPartition, until: int, rejects: int, *, by: str
) -> None:
    """Order a stage to pass over bad records."""
    from tidegate.messages.documents import Skip
    from tidegate.stream.skips import give, topic_id

    given_us = time.time_ns() // 1000
    identity = topic_id(broker, source.topic)
    give(broker, Skip(stage, source.partition, identity, until, rejects, by, given_us))


def _show(bad: list[BadRecord], stage: str, start: int, until: int, *, dry_run: bool) -> None:
    for record in bad[:_SHOWN]:
        value = f"  {record.value!r}" if record.value is not None else ""
        typer.echo(
            f"{record.offset:>10}  key {record.key or '(none)'}  {record.bytes} bytes  "
            f"{record.reason}" + (f": {record.detail}{value}" if record.value is not None else "")
        )
    if len(bad) > _SHOWN:
        typer.echo(f"           ... and {len(bad) - _SHOWN:,} more")
    reasons = ", ".join(
        f"{count:,} {reason}" for reason, count in Counter(r.reason for r in bad).most_common()
    )
    typer.echo(
        f"from offset {start} to {until}: {len(bad):,} bad records ({reasons or 'none'}); "
        f"the good ones among them are processed"
    )
    if dry_run:
        typer.echo("nothing was ordered; without --dry-run these become dead letters")
    else:
        typer.echo(f"ordered: {stage} does it at once if it runs, else when it starts")
