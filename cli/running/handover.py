"""Changing the profile of a home folder: allowed when nothing of the other profile is under way."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tidegate.broker.kafka import KafkaBroker
from tidegate.broker.records import Position, TopicPartition
from tidegate.errors import ConfigError, Retry
from tidegate.pipeline import FRAMES, INPUTS, STAGES, StageSpec, group_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tidegate.broker.ports import Broker, Consumer
    from tidegate.profile import Profile
    from tidegate.settings import Settings

_SECONDS = 20.0


def changes_profile(settings: Settings, profile: Profile) -> bool:
    """Whether the home folder has run another profile than this one.

    The version of Tidegate before noted the hash of all that the file says.
    """
    former, before = _former(settings), f"{profile.name} {profile.version.decode()}"
    return bool(former) and former.split()[:2] not in (_named(profile).split(), before.split())


def check_profile(settings: Settings, profile: Profile) -> str:
    """Note the home folder's profile.

    Returns a sentence for people when it differs from the last one in nothing that states and
    models depend on. Raises ConfigError when records are still under way that only the last one
    can read: frames, and of a profile of another name everything.
    """
    changed = changes_profile(settings, profile)
    former, version = _former(settings), profile.version.decode()
    own = FRAMES if former.split()[:1] == [profile.name] else INPUTS
    if changed and (topics := under_way(KafkaBroker(settings), settings, own)):
        raise ConfigError(
            f"{settings.home} ran profile {former}, now {_named(profile)} is asked for, "
            f"and records of the old one are under way in {', '.join(topics)}: run the old profile "
            "until `tidegate status` shows no lag, or choose another TIDEGATE_HOME. A partition "
            "that the old one holds goes on after `tidegate skip`"
        )
    _note(settings).write_text(f"{_named(profile)} {version}\n")
    if not former or changed or former.split()[2:] in ([], [version]):
        return ""
    return (
        f"profile {profile.name} changed in nothing that states and models depend on: both go on. "
        "Changed thresholds hold from the next model on: `tidegate train --promote`"
    )


def _note(settings: Settings) -> Path:
    return settings.home / "profile"


def _former(settings: Settings) -> str:
    """Name, hash and version of the profile that ran here last, empty for none."""
    note = _note(settings)
    return note.read_text().strip() if note.exists() else ""


def _named(profile: Profile) -> str:
    return f"{profile.name} {profile.hash.decode()}"


def under_way(broker: Broker, settings: Settings, topics: Sequence[str]) -> list[str]:
    """Those of these topics with committed records that their stage has not committed yet."""
    return [
        stage.input
        for stage in STAGES.values()
        if stage.input in topics and _pending(broker, settings, stage)
    ]


def _pending(broker: Broker, settings: Settings, stage: StageSpec) -> bool:
    consumer = broker.consumer(None)
    try:
        partitions = consumer.partitions(stage.input)
        done = committed(broker, settings, stage)
        bounds = {source: consumer.bounds(source) for source in partitions}
        starts = {
            source: max(start, done[source].offset if source in done else 0)
            for source, (start, _) in bounds.items()
        }
        ends = {source: end for source, (_, end) in bounds.items() if starts[source] < end}
        return bool(ends) and _any_record(
            consumer, {source: starts[source] for source in ends}, ends
        )
    finally:
        consumer.close()


def committed(
    broker: Broker, settings: Settings, stage: StageSpec
) -> dict[TopicPartition, Position]:
    """Where a stage goes on, by partition, as its last commit says."""
    if stage.into_database:
        return _stored(settings, stage)
    watcher = broker.watcher(group_of(stage.name))
    try:
        return watcher.committed(watcher.partitions(stage.input))
    finally:
        watcher.close()


def _stored(settings: Settings, stage: StageSpec) -> dict[TopicPartition, Position]:
    """The offsets in the database: the stage's commits."""
    from sqlalchemy import select

    from db.engine import open_database, retrying
    from db.notify.tables import delivery_offsets
    from db.positions import address_in
    from db.tables import offsets

    table = delivery_offsets if stage.name == "notify" else offsets
    query = select(table).where(table.c.topic == stage.input)
    database = open_database(settings.db_url, "read")
    try:
        with retrying(database), database.engine.connect() as connection:
            rows = connection.execute(query).all()
    finally:
        database.close()
    return {TopicPartition(row.topic, row.partition): Position(address_in(row)) for row in rows}


def _any_record(
    consumer: Consumer, starts: dict[TopicPartition, int], ends: dict[TopicPartition, int]
) -> bool:
    """Whether there is a record between starts and ends.

    What lies there may be transaction markers only.
    """
    consumer.assign(starts)
    deadline = time.monotonic() + _SECONDS
    while any((consumer.position(source) or starts[source]) < end for source, end in ends.items()):
        if consumer.poll(1, 0.2):
            return True
        if time.monotonic() > deadline:
            raise Retry(
                f"{', '.join({source.topic for source in starts})} could not be read to its end"
            )
    return False
