"""`tidegate skip`: let a stage pass over what it holds a partition for: bad records, lost ones."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from cli.audited import note, typist
from cli.bad_records import BadRecord, judge_of, refused
from cli.options import DbOption, JsonOption, KafkaOption, ProfileOption, print_json, settings_with
from tidegate.errors import ConfigError
from tidegate.pipeline import RAW, READERS, STAGES

if TYPE_CHECKING:
    from tidegate.broker.ports import Broker
    from tidegate.broker.records import Position, TopicPartition
    from tidegate.settings import Settings

StageName = Annotated[str, typer.Argument(metavar="STAGE", help=f"One of {', '.join(READERS)}.")]
Partition = Annotated[
    int | None, typer.Option("--partition", min=0, help="The partition of its input.")
]
AllPartitions = Annotated[
    bool,
    typer.Option("--all-partitions", help="With --accept-loss: each that has lost records."),
]
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


def skip(
    stage: StageName,
    partition: Partition = None,
    until: Until = 0,
    accept_loss: AcceptLoss = False,
    all_partitions: AllPartitions = False,
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
    --accept-loss instead of --until it goes on although its topic no longer has the next records,
    in one partition or in --all-partitions.

    Example: [bold]tidegate skip preprocess --partition 2 --until 5120 --dry-run[/bold]
    """
    from db.account_keys import vault_of
    from tidegate.broker.addresses import address_of, offset_of, shown
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.broker.records import TopicPartition
    from tidegate.profile import load_profile

    if stage not in READERS:
        raise ConfigError(f"there is no stage {stage!r}: one of {', '.join(READERS)}")
    _check_options(partition, until, accept_loss=accept_loss, all_partitions=all_partitions)
    settings = settings_with(profile=profile, kafka=kafka, db=db)
    broker = KafkaBroker(settings)
    broker.check()
    if partition is None or accept_loss:
        _accept(broker, settings, stage, partition, dry_run=dry_run, as_json=as_json)
        return
    source = TopicPartition(STAGES[stage].input, partition)
    start = _start(broker, settings, stage, source, address_of(source.topic, until))
    loaded = load_profile(settings.profile)
    vault = vault_of(loaded, settings.db_url) if source.topic == RAW else None
    to = address_of(source.topic, until)
    bad = list(refused(broker, source, start, to, judge_of(loaded, stage), vault))
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
                "from": offset_of(source.topic, start),
                "until": until,
                "ordered": not dry_run,
                "records": [record._asdict() for record in bad],
            }
        )
    else:
        _show(bad, stage, shown(source.topic, start), until, dry_run=dry_run)


def _check_options(
    partition: int | None, until: int, *, accept_loss: bool, all_partitions: bool
) -> None:
    """Raises ConfigError for options that leave open what to skip, or contradict each other."""
    if accept_loss == bool(until):
        raise ConfigError("give either --until OFFSET or --accept-loss")
    if until and all_partitions:
        raise ConfigError(
            "--all-partitions goes with --accept-loss: an offset is one of a partition, which "
            "--partition NUMBER names"
        )
    if all_partitions == (partition is not None):
        raise ConfigError("give either --partition NUMBER or, with --accept-loss, --all-partitions")


def _accept(
    broker: Broker,
    settings: Settings,
    stage: str,
    partition: int | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Go on without what a partition has lost, or all of them where none is named."""
    from cli.loss import losses, show_losses
    from tidegate.broker.records import TopicPartition
    from tidegate.stream.skips import give

    topic = STAGES[stage].input
    sources = partitions(broker, topic) if partition is None else [TopicPartition(topic, partition)]
    places = {source: place(broker, settings, stage, source) for source in sources}
    found = losses(broker, places, stage, by=typist())
    for loss in () if dry_run else found:
        source = TopicPartition(topic, loss.partition)
        note(settings, "loss accepted", stage, place=str(source))
        give(broker, loss)
    show_losses(found, dry_run=dry_run, as_json=as_json, is_list=partition is None)


def partitions(broker: Broker, topic: str) -> list[TopicPartition]:
    """The partitions of a topic, in order."""
    consumer = broker.consumer(None)
    try:
        return sorted(consumer.partitions(topic))
    finally:
        consumer.close()


def _start(
    broker: Broker, settings: Settings, stage: str, source: TopicPartition, until: int
) -> int:
    """Where the stage goes on. Raises ConfigError when `until` is not between there and the end."""
    from tidegate.broker.addresses import shown

    position, first, end = place(broker, settings, stage, source)
    start = max(first, position.offset if position else 0)
    if not start < until <= end:
        raise ConfigError(
            f"--until {shown(source.topic, until)}: {stage} goes on at offset "
            f"{shown(source.topic, start)} of {source.topic}/{source.partition}, which ends at "
            f"{shown(source.topic, end)}"
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


def order(
    broker: Broker, stage: str, source: TopicPartition, until: int, rejects: int, *, by: str
) -> None:
    """Order a stage to pass over bad records."""
    from tidegate.messages.documents import Skip
    from tidegate.stream.skips import give, topic_id

    given_us = time.time_ns() // 1000
    identity = topic_id(broker, source.topic)
    give(broker, Skip(stage, source.partition, identity, until, rejects, by, given_us))


def _show(bad: list[BadRecord], stage: str, start: str, until: int, *, dry_run: bool) -> None:
    for record in bad[:_SHOWN]:
        value = f"  {record.value!r}" if record.value is not None else ""
        typer.echo(
            f"{record.place:>10}  key {record.key or '(none)'}  {record.bytes} bytes  "
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
