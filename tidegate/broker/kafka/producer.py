"""Producers: transactional for the stages, idempotent with delivery reports for ingest."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from queue import Empty
from typing import TYPE_CHECKING, cast

import confluent_kafka as ck
from confluent_kafka import KafkaError, KafkaException, Message

from tidegate.broker.blocks import inner_of
from tidegate.broker.kafka.config import FENCED, error_of, is_fatal, transaction_error
from tidegate.broker.kafka.consumer import KafkaConsumer
from tidegate.broker.records import Headers, Position, TopicPartition
from tidegate.errors import Aborted, Fenced, Retry
from tidegate.worker import Worker

if TYPE_CHECKING:
    from tidegate.broker.ports import Consumer

_LOG = logging.getLogger(__name__)
_CALL = 8.0
"""Seconds a transactional call may take before its producer is given up; below the transaction's
own 10 s.
"""
_OVERDUE = 2.0
"""Seconds after that until nobody waits for it any more. librdkafka 2.16 does not always come back
from send_offsets_to_transaction when its broker is started anew, whatever the timeout.
"""


class KafkaTransactions:
    """Implements the port `TransactionalProducer`.

    Making one ends what an older one of its id left open.
    """

    def __init__(
        self,
        config: dict[str, object],
        make: Callable[[dict[str, object]], ck.Producer] = ck.Producer,
        seconds: float = _CALL,
    ) -> None:
        self._client, self._seconds = make(config), seconds
        with _translated("init_transactions"):
            self._client.init_transactions(_CALL)
        self._worker = Worker[None]("kafka-transaction")

    def begin(self) -> None:
        with _translated("begin_transaction"):
            self._client.begin_transaction()

    def produce(
        self,
        topic: str,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        headers: Sequence[Headers | None] | None = None,
        partitions: Sequence[int] | None = None,
    ) -> None:
        send = self._client.produce
        with _translated("produce"):
            if partitions is not None:
                extras = headers or [None] * len(values)
                for key, value, extra, at in zip(keys, values, extras, partitions, strict=True):
                    self._when_drained(partial(send, topic, value, key, at, headers=_plain(extra)))
            elif headers is None:
                for key, value in zip(keys, values, strict=True):
                    try:
                        send(topic, value, key)
                    except BufferError:
                        self._when_drained(partial(send, topic, value, key))
            else:
                for key, value, extra in zip(keys, values, headers, strict=True):
                    self._when_drained(partial(send, topic, value, key, headers=_plain(extra)))

    def touch(self, partitions: Sequence[TopicPartition]) -> None:
        """An abort throws away what has not arrived, so this waits for the broker."""
        with _translated("produce"):
            for topic, number in partitions:
                self._when_drained(partial(self._client.produce, topic, b"", partition=number))
            left = self._client.flush(self._seconds)
        if left:
            raise Aborted(f"{left} empty records did not arrive", rebuild=True)

    def _when_drained(self, send: Callable[[], None]) -> None:
        """Send; while the local queue is full, wait for the broker."""
        deadline = time.monotonic() + _CALL
        while time.monotonic() < deadline:
            try:
                send()
            except BufferError:
                self._client.poll(0.01)
            else:
                return
        raise Aborted("the local queue stays full: the broker takes nothing", rebuild=True)

    def send_offsets(
        self, consumer: Consumer, positions: Mapping[TopicPartition, Position]
    ) -> None:
        """Send positions; the group refuses them from a member of an older generation (KIP-447)."""
        consumer, positions = inner_of(consumer, positions)
        if not isinstance(consumer, KafkaConsumer):
            raise TypeError("offsets of a Kafka consumer travel in a Kafka transaction")
        offsets = [
            ck.TopicPartition(*p, position.offset, position.note)
            for p, position in positions.items()
        ]
        group = consumer.client.consumer_group_metadata()
        send = self._client.send_offsets_to_transaction
        self._worker.start(partial(send, offsets, group, self._seconds))
        try:
            outcome = self._worker.outcome(self._seconds + _OVERDUE)
        except Empty:
            why = "send_offsets_to_transaction: no answer from librdkafka itself"
            raise Aborted(why, rebuild=True) from None
        if isinstance(outcome, Exception):
            with _translated("send_offsets_to_transaction"):
                raise outcome

    def commit(self) -> None:
        with _translated("commit_transaction"):
            self._client.commit_transaction(self._seconds)

    def abort(self) -> None:
        with _translated("abort_transaction"):
            self._client.abort_transaction(self._seconds)

    def close(self) -> None:
        """Throw away what was not committed: the id's next producer ends it.

        The client's own close would try to abort, and wait for a broker that may be away.
        """
        self._client.purge()
        self._worker.close()
        del self._client


@contextmanager
def _translated(call: str) -> Iterator[None]:
    try:
        yield
    except KafkaException as exception:
        raise transaction_error(exception, call) from exception


class KafkaProducer:
    """Implements `tidegate.broker.ports.Producer`.

    One thread serves the delivery reports; make it after a fork. After a fatal error librdkafka
    takes nothing more: that thread then makes a new client. What the old one held is reported as
    undelivered, so whoever sent it sends it again.
    """

    def __init__(
        self,
        config: dict[str, object],
        make: Callable[[dict[str, object]], ck.Producer] = ck.Producer,
    ) -> None:
        self._config, self._make = {**config, "error_cb": self._noted}, make
        self._note = cast("Callable[[KafkaError], None] | None", config.get("error_cb"))
        self._broken = threading.Event()
        self._client = make(self._config)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="kafka-delivery", daemon=True)
        self._thread.start()

    def produce(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        on_delivery: Callable[[Exception | None], None],
        headers: Headers | None = None,
    ) -> None:
        def delivered(error: KafkaError | None, _: Message) -> None:
            on_delivery(None if error is None else undelivered(error))

        try:
            self._client.produce(topic, value, key, on_delivery=delivered, headers=_plain(headers))
        except BufferError as error:
            raise Retry("the local queue is full") from error
        except KafkaException as exception:
            raise self._refused(exception) from exception

    def produce_all(
        self,
        topic: str,
        records: Sequence[tuple[bytes | None, bytes | None]],
        on_delivery: Callable[[Exception | None], None],
    ) -> None:
        def delivered(error: KafkaError | None, _: Message) -> None:
            on_delivery(None if error is None else undelivered(error))

        send = self._client.produce
        try:
            for key, value in records:
                send(topic, value, key, on_delivery=delivered)
        except BufferError as error:
            raise Retry("the local queue is full") from error
        except KafkaException as exception:
            raise self._refused(exception) from exception

    def flush(self, timeout: float) -> int:
        return self._client.flush(timeout)

    def close(self) -> None:
        """Waits a short while for what is under way."""
        self._client.flush(2)
        self._closed.set()
        self._thread.join()
        self._client.purge()
        del self._client

    def _serve(self) -> None:
        while not self._closed.is_set():
            self._client.poll(0.1)
            if self._broken.is_set():
                self._renew()

    def _noted(self, error: KafkaError) -> None:
        """Called by librdkafka while the thread polls."""
        if self._note is not None:
            self._note(error)
        if is_fatal(error):
            self._broken.set()

    def _refused(self, exception: KafkaException) -> Retry:
        if is_fatal(error_of(exception)):
            self._broken.set()
        return Retry(f"produce: {exception}")

    def _renew(self) -> None:
        """Replace the client; the old one's reports are served to the last."""
        old = self._client
        try:
            self._client = self._make(self._config)
        except KafkaException as exception:
            _LOG.error("the producer failed for good, and no new one can be made: %s", exception)
            self._closed.wait(1.0)
            return
        self._broken.clear()
        _LOG.error("the producer failed for good: a new one takes its place")
        old.purge()
        old.flush(1)


def _plain(headers: Headers | None) -> list[tuple[str, str | bytes | None]]:
    return [*headers] if headers else []


def undelivered(error: KafkaError) -> Exception:
    """What a delivery report with this error says: Fenced, or Retry with the reason."""
    if error.code() == KafkaError.INVALID_TIMESTAMP:
        return Retry(
            "Kafka refuses the time of a record: this machine's clock and Kafka's are more than an "
            "hour apart; set them right, or let Kafka stamp records (`tidegate topics apply`)"
        )
    return Fenced(error.str()) if error.code() in FENCED else Retry(error.str())
