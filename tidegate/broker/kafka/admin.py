"""Topics as the cluster has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from tidegate.broker.kafka.config import error_of
from tidegate.errors import Retry

_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class TopicState:
    """One topic: its id, partitions, replicas of partition 0, and its settings as strings."""

    topic_id: str
    partitions: int
    replication: int
    config: Mapping[str, str]


class Admin:
    """Looks at topics and creates them. All calls raise Retry when the cluster does not answer."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._client = AdminClient(config)

    def cluster_id(self) -> str:
        try:
            return str(self._client.describe_cluster(request_timeout=_TIMEOUT).result().cluster_id)
        except KafkaException as exception:
            raise Retry(f"describe_cluster: {exception}") from exception

    def existing(self) -> set[str]:
        try:
            return set(self._client.list_topics(timeout=_TIMEOUT).topics)
        except KafkaException as exception:
            raise Retry(f"list_topics: {exception}") from exception

    def topic_ids(self, topics: Sequence[str]) -> dict[str, tuple[str, int]]:
        """Id and number of partitions of those that exist."""
        existing = sorted(self.existing().intersection(topics))
        if not existing:
            return {}
        try:
            futures = self._client.describe_topics(
                TopicCollection(existing), request_timeout=_TIMEOUT
            )
            states = {name: future.result() for name, future in futures.items()}
        except KafkaException as exception:
            raise Retry(f"describe_topics: {exception}") from exception
        return {
            name: (str(state.topic_id), len(state.partitions)) for name, state in states.items()
        }

    def states(self, topics: Sequence[str]) -> dict[str, TopicState]:
        """The whole of those that exist."""
        ids = self.topic_ids(topics)
        if not ids:
            return {}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in ids]
        try:
            futures = self._client.describe_configs(resources, request_timeout=_TIMEOUT)
            configs = {resource.name: future.result() for resource, future in futures.items()}
            metadata = self._client.list_topics(timeout=_TIMEOUT).topics
        except KafkaException as exception:
            raise Retry(f"describe_configs: {exception}") from exception
        return {
            name: TopicState(
                topic_id,
                partitions,
                len(metadata[name].partitions[0].replicas),
                {entry.name: entry.value for entry in configs[name].values()},
            )
            for name, (topic_id, partitions) in ids.items()
        }

    def create(
        self, name: str, partitions: int, replication: int, config: Mapping[str, str]
    ) -> bool:
        """Create one topic; False if it exists. Raises Retry with the cluster's reason."""
        topic = NewTopic(
            name, num_partitions=partitions, replication_factor=replication, config=dict(config)
        )
        try:
            self._client.create_topics([topic], request_timeout=_TIMEOUT)[name].result()
        except KafkaException as exception:
            error = error_of(exception)
            if error is not None and error.code() == KafkaError.TOPIC_ALREADY_EXISTS:
                return False
            raise Retry(f"create topic {name}: {exception}") from exception
        return True

    def set_config(self, name: str, setting: str, value: str) -> bool:
        """Change one setting of a topic, and no other; False if the cluster refuses."""
        change = ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[change])
        try:
            futures = self._client.incremental_alter_configs([resource], request_timeout=_TIMEOUT)
            futures[resource].result()
        except KafkaException:
            return False
        return True
