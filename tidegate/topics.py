"""The one list of topics, `topics.yaml`: read, created on a cluster, compared with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import yaml

from tidegate import shipped
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from tidegate.broker.kafka import KafkaBroker, TopicState

_UNITS = {"h": 3_600_000, "d": 86_400_000}
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

_MEND = {STAMPED_BY: "; `tidegate topics apply` sets it if it is allowed to (ALTER_CONFIGS)"}


class _Defaults(msgspec.Struct, forbid_unknown_fields=True):
    partitions: _Count
    replication: _Count
    retention: _Retention
    cleanup: _Cleanup
    max_bytes: _Bytes


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

    `retention_ms` -1: for good. `max_bytes`: largest batch of records.
    """

    name: str
    key: str
    message: str
    partitions: int
    replication: int
    retention_ms: int
    cleanup: str
    max_bytes: int

    @property
    def config(self) -> dict[str, str]:
        """Kafka's settings of the topic."""
        in_sync = {_IN_SYNC: str(_FEWEST_IN_SYNC)} if self.replication > _FEWEST_IN_SYNC else {}
        return in_sync | {
            "cleanup.policy": self.cleanup,
            "retention.ms": str(self.retention_ms),
            "max.message.bytes": str(self.max_bytes),
            STAMPED_BY: "LogAppendTime",
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
    return Topic(
        name,
        entry.key,
        entry.message,
        entry.partitions or defaults.partitions,
        replication or entry.replication or defaults.replication,
        -1 if retention == "forever" else int(retention[:-1]) * _UNITS[retention[-1]],
        entry.cleanup or defaults.cleanup,
        entry.max_bytes or defaults.max_bytes,
    )


def _one_line(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error))


def apply_topics(broker: KafkaBroker, topics: list[Topic]) -> list[str]:
    """Create what is missing; the names created.

    What exists gets the broker's time stamps where the cluster lets us, and is left as it is
    otherwise: see `check_topics`. Raises Retry.
    """
    existing = broker.admin.existing()
    for name, state in broker.admin.states([topic.name for topic in topics]).items():
        if state.config.get(STAMPED_BY) != "LogAppendTime":
            broker.admin.set_config(name, STAMPED_BY, "LogAppendTime")
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
