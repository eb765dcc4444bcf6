"""What a consumer takes out of librdkafka, taken apart: records by partition and by column, events.

`map` over the methods of C's own type makes no call of Python's for each message.
"""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import cast

from confluent_kafka import KafkaError, Message

from tidegate.broker.kafka.config import consumer_error
from tidegate.broker.records import Batch, Headers, TopicPartition

_QUIET = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TRANSPORT,
        KafkaError._MAX_POLL_EXCEEDED,
        KafkaError._RESOLVE,
        KafkaError._TIMED_OUT,
    }
)
"""Told as events while librdkafka mends them by itself."""


def by_partition(messages: list[Message]) -> dict[TopicPartition, list[Message]]:
    """Messages come out of the client in runs of one partition."""
    groups: dict[TopicPartition, list[Message]] = {}
    places = zip(map(Message.topic, messages), map(Message.partition, messages), strict=True)
    start = 0
    for (topic, partition), run in groupby(places):
        end = start + len(list(run))
        source = TopicPartition(topic or "", partition or 0)
        groups.setdefault(source, []).extend(messages[start:end])
        start = end
    return groups


def batch_of(source: TopicPartition, messages: list[Message]) -> Batch:
    """The columns of one partition's messages, in their order."""
    offsets = cast("list[int]", list(map(Message.offset, messages)))
    headers = cast("list[Headers | None]", list(map(Message.headers, messages)))
    stamps = list(map(itemgetter(1), map(Message.timestamp, messages)))
    keys, values = list(map(Message.key, messages)), list(map(Message.value, messages))
    return Batch(source, offsets, keys, values, stamps, headers)


def without_events(
    messages: list[Message], errors: list[KafkaError | None]
) -> tuple[list[Message], dict[TopicPartition, int], set[TopicPartition]]:
    """The records, the ends of the partitions that were read to their end, and the partitions whose
    next offset the log does not have. `errors` are the messages' own.
    """
    records = [message for message, error in zip(messages, errors, strict=True) if error is None]
    ends: dict[TopicPartition, int] = {}
    lost: set[TopicPartition] = set()
    for message, error in zip(messages, errors, strict=True):
        if error is None:
            continue
        if error.code() == KafkaError._PARTITION_EOF:
            ends[TopicPartition(message.topic() or "", message.partition() or 0)] = (
                message.offset() or 0
            )
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            lost.add(TopicPartition(message.topic() or "", message.partition() or 0))
        elif error.code() not in _QUIET:
            raise consumer_error(error, "poll")
    return records, ends, lost
