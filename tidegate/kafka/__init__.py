"""Apache Kafka behind the ports of `tidegate.broker`. Nothing outside of this package imports confluent_kafka."""

from __future__ import annotations

from tidegate.kafka.admin import TopicState
from tidegate.kafka.cluster import KafkaBroker

__all__ = ["KafkaBroker", "TopicState"]
