"""Apache Kafka behind the ports of `tidegate.broker`.

Nothing outside of this package imports confluent_kafka.
"""

from __future__ import annotations

from tidegate.broker.kafka.admin import TopicState
from tidegate.broker.kafka.cluster import KafkaBroker

__all__ = ["KafkaBroker", "TopicState"]
