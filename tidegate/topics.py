"""The one list of topics, `topics.yaml`: read, created on a cluster, compared with it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import yaml

from tidegate import shipped
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from tidegate.broker.kafka import KafkaBroker, TopicState

_UNITS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_IN_SYNC = "min.insync.replicas"
_FEWEST_IN_SYNC = 2
"""Of three replicas or more: so many brokers have a record before it is acknowledged."""
STAMPED_BY = "message.timestamp.type"
"""Who stamps records: the broker, so that no producer's clock says when one was taken in."""
_SETTINGS = ("cleanup.policy", "retention.ms", "max.message.bytes", STAMPED_BY)
_Count = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
_Bytes = Annotated[int, msgspec.Meta(ge=1024, le=100_000_000)]
_Retention = Annotated[str, msgspec.Meta(pattern=r"^(forever|[1-9]\d*[hd])$")]
_Cleanup = Literal["delete", "compact"]
_Duration = Annotated[str, msgspec.Meta(pattern=r"^[1-9]\d*[smhd]$")]
_SegmentBytes = Annotated[int, msgspec.Meta(ge=1 << 20, le=1 << 30)]
_Ratio = Annotated[float, msgspec.Meta(ge=0, le=1)]

_APPLIES = "; `tidegate topics apply` sets it if it is allowed to (ALTER_CONFIGS)"
_MEND = {STAMPED_BY: _APPLIES}


class _Compaction(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How soon what was overwritten is removed from a compacted topic."""

    segment: _Duration = "10m"
    segment_bytes: _SegmentBytes = 16_000_000
    dirty_ratio: _Ratio = 0.1
    tombstones: _Duration = "1h"

    @property
    def config(self) -> dict[str, str]:
        return {
            "segment.ms": str(_ms(self.segment)),
            "segment.bytes": str(self.segment_bytes),
            "min.cleanable.dirty.ratio": str(self.dirty_ratio),
            "delete.retention.ms": str(_ms(self.tombstones)),
        }


class _Defaults(msgspec.Struct, forbid_unknown_fields=True):
    partitions: _Count
    replication: _Count
    retention: _Retention
    cleanup: _Cleanup
    max_bytes: _Bytes
    compaction: _Compaction = _Compaction()


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    key: str
    message: str
    partitions: _Count | None = None
    replication: _Count | None = None
    retention: _Retention | None = None
    cleanup: _Cleanup | None = None
    max_bytes: _Bytes | None = None


class _File(msgspec.Struct, forbid_unknown_fields=True):
    defaults: _Defaults
    topics: dict[str, _Entry]


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as it should be.

    `retention_ms` -1: for good. `max_bytes`: largest batch of records. `compaction`: Kafka's
    settings of it; empty for a topic that is not compacted.
    """

    name: str
    key: str
    message: str
    partitions: int
    replication: int
    retention_ms: int
    cleanup: str
    max_bytes: int
    compaction: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> dict[str, str]:
        """Kafka's settings of the topic."""
        in_sync = {_IN_SYNC: str(_FEWEST_IN_SYNC)} if self.replication > _FEWEST_IN_SYNC else {}
        return in_sync | {
            "cleanup.policy": self.cleanup,
            "retention.ms": str(self.retention_ms),
            "max.message.bytes": str(self.max_bytes),
            STAMPED_BY: "LogAppendTime",
            **self.compaction,
        }


def load_topics(path: Path, replication: int = 0) -> list[Topic]:
    """Read the list; the shipped one if `path` is not there. `replication` > 0 overrides all.

    Raises ConfigError with the file, the place and the mend.
    """
    path = shipped.find(path)
    try:
        document = msgspec.convert(yaml.safe_load(path.read_text("utf-8")), _File)
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}: name the list of topics by TIDEGATE_TOPICS_FILE"
        ) from error
    except (yaml.YAMLError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {_one_line(error)}") from error
    return [
        _topic(name, entry, document.defaults, replication)
        for name, entry in document.topics.items()
    ]


def _topic(name: str, entry: _Entry, defaults: _Defaults, replication: int) -> Topic:
    retention = entry.retention or defaults.retention
    cleanup = entry.cleanup or defaults.cleanup
    return Topic(
        name,
        entry.key,
        entry.message,
        entry.partitions or defaults.partitions,
        replication or entry.replication or defaults.replication,
        -1 if retention == "forever" else _ms(retention),
        cleanup,
        entry.max_bytes or defaults.max_bytes,
        defaults.compaction.config if cleanup == "compact" else {},
    )


def _ms(duration: str) -> int:
    return int(duration[:-1]) * _UNITS[duration[-1]]


def _one_line(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error))


def apply_topics(broker: KafkaBroker, topics: list[Topic]) -> list[str]:
    """Create what is missing; the names created.

    What exists gets the broker's time stamps, and what is compacted the settings of that, where the
    cluster lets us; it is left as it is otherwise: see `check_topics`. Raises Retry.
    """
    existing = broker.admin.existing()
    states = broker.admin.states([topic.name for topic in topics])
    for topic in topics:
        if topic.name in states:
            for setting in _other(topic, states[topic.name], (STAMPED_BY, *topic.compaction)):
                broker.admin.set_config(topic.name, setting, topic.config[setting])
    return [
        topic.name
        for topic in topics
        if topic.name not in existing
        and broker.admin.create(topic.name, topic.partitions, topic.replication, topic.config)
    ]


def check_topics(broker: KafkaBroker, topics: list[Topic]) -> list[str]:
    """One sentence for each difference between the list and the cluster; empty when they agree.

    Raises Retry.
    """
    states = broker.admin.states([topic.name for topic in topics])
    return [fault for topic in topics for fault in _differences(topic, states.get(topic.name))]


def _other(topic: Topic, state: TopicState, settings: Iterable[str]) -> list[str]:
    """Those of these settings that the cluster has otherwise than the list."""
    return [name for name in settings if state.config.get(name) != topic.config[name]]


def check_compaction(broker: KafkaBroker, topics: list[Topic]) -> list[str]:
    """One sentence for each compacted topic that keeps what was overwritten longer than it has to.

    A start is not refused for it: nothing is wrong, only slow and large. Raises Retry.
    """
    states = broker.admin.states([topic.name for topic in topics if topic.compaction])
    return [
        f"{topic.name}: {name} is {states[topic.name].config.get(name)}, the list says "
        f"{topic.config[name]}{_APPLIES}"
        for topic in topics
        if topic.name in states
        for name in _other(topic, states[topic.name], topic.compaction)
    ]


def check_in_sync(broker: KafkaBroker, topics: list[Topic]) -> list[str]:
    """One sentence for each topic of three replicas or more that acknowledges what only one has.

    A start is not refused for it: the topics of earlier versions are so. Raises Retry.
    """
    states = broker.admin.states([topic.name for topic in topics])
    return [fault for name, state in states.items() if (fault := in_sync_fault(name, state))]


def in_sync_fault(name: str, state: TopicState) -> str:
    """What is wrong with a topic's `min.insync.replicas`, and the mend; empty if nothing is."""
    fewest = int(state.config.get(_IN_SYNC) or 1)
    if state.replication <= _FEWEST_IN_SYNC or fewest >= _FEWEST_IN_SYNC:
        return ""
    return (
        f"{name}: {_IN_SYNC} is {fewest} with {state.replication} replicas, so what is "
        "acknowledged may be on one broker only: `kafka-configs.sh --alter --entity-type topics "
        f"--entity-name {name} --add-config {_IN_SYNC}={_FEWEST_IN_SYNC}`"
    )


def _differences(topic: Topic, state: TopicState | None) -> list[str]:
    if state is None:
        return [f"{topic.name}: does not exist; `tidegate topics apply` creates it"]
    pairs = [
        ("partitions", str(topic.partitions), str(state.partitions)),
        ("replication", str(topic.replication), str(state.replication)),
        *((name, topic.config[name], state.config.get(name, "")) for name in _SETTINGS),
    ]
    return [
        f"{topic.name}: {name} is {actual}, the list says {wanted}{_MEND.get(name, '')}"
        for name, wanted, actual in pairs
        if wanted != actual and not (name == "retention.ms" and topic.cleanup == "compact")
    ]
