"""From request bodies to acknowledged records: no HTTP here, no Kafka either."""

from __future__ import annotations

from _thread import allocate_lock
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from producers.api.ids import fresh_id
from producers.api.known import Known
from producers.api.problems import SAFE_TO_RETRY, Problem, from_rejected, invalid
from tidegate.broker.ports import Producer
from tidegate.errors import ConfigError, Rejected, Retry
from tidegate.messages.vault import Vault
from tidegate.metrics import ACKNOWLEDGED
from tidegate.pipeline import RAW
from tidegate.profile import Profile
from tidegate.profile.field_types import String
from tidegate.profile.made_ids import derived_id

ACK_SECONDS = 10.0
"""How long a request waits for delivery reports: longer than message.timeout.ms, which decides."""


class Acks:
    """The delivery reports of one request. `delivered` is for the producer's one poll thread."""

    __slots__ = ("_done", "_left", "error")

    def __init__(self, expected: int) -> None:
        self._left = expected
        self._done = allocate_lock()
        self._done.acquire()
        self.error: Exception | None = None

    def delivered(self, error: Exception | None) -> None:
        if error is not None:
            self.error = error
        self._left -= 1
        if not self._left:
            self._done.release()

    def wait(self, seconds: float) -> bool:
        """True when all records are durable; False on a failed or missing report."""
        return self._done.acquire(timeout=seconds) and self.error is None


@dataclass(slots=True)
class Admitted:
    """A valid transaction: `known` when it is durable already, `generated` when the id is ours.

    `account` is empty where the profile has none.
    """

    id: str
    key: bytes
    account: bytes
    value: bytes
    hash: bytes
    generated: bool
    known: bool


class Publisher:
    """Puts the records of a request on a topic and waits for all of their delivery reports."""

    def __init__(self, producer: Producer, ack_seconds: float = ACK_SECONDS) -> None:
        self._producer, self._ack_seconds = producer, ack_seconds

    def publish(self, topic: str, records: Sequence[tuple[bytes, bytes]], **retry: object) -> None:
        """Publish records, which are durable on return.

        Raises Problem 429 (the queue is full) or 503; `retry` (the generated ids) is in it.
        """
        acks = Acks(len(records))
        try:
            self._producer.produce_all(topic, records, acks.delivered)
        except Retry as error:
            raise Problem(
                "too_many_requests", f"the queue to Kafka is full; {SAFE_TO_RETRY}", **retry
            ) from error
        if not acks.wait(self._ack_seconds):
            raise Problem(
                "not_durable", f"{acks.error or 'no delivery report'}; {SAFE_TO_RETRY}", **retry
            )

    def close(self) -> None:
        """End the producer."""
        self._producer.close()


class Ingest:
    """Checks transactions of one profile and publishes them on the raw topic.

    `vault` encrypts those of an erasable profile.
    """

    def __init__(
        self, profile: Profile, publisher: Publisher, known: Known, vault: Vault | None = None
    ) -> None:
        self._profile, self._publisher, self._known = profile, publisher, known
        self._most = cast(String, profile.fields[profile.id_field]).max_length
        self._vault = vault

    def scope(self, client: str) -> str:
        """What a client's ids begin with, where they are its own; empty where all share them."""
        return f"{client}:" if client and self._profile.ids == "per_client" else ""

    def admit(
        self, raw: bytes, idempotency_key: str | None, now_us: int, client: str = ""
    ) -> Admitted:
        """Check one transaction that a client's key, if any, sent and that came at `now_us`.

        Raises Problem 400, 409, 413 or 422.
        """
        profile, scope = self._profile, self.scope(client)
        try:
            tx = profile.decode(raw, now_us, scope)
        except Rejected as rejected:
            faults = profile.faults(raw, now_us)
            if scope and not faults and rejected.reason == "out_of_bounds":
                raise self._too_long() from rejected
            raise from_rejected(rejected, faults) from rejected
        own_id = profile.id_of(tx)
        if own_id is None:
            made = derived_id(idempotency_key, scope) if idempotency_key else fresh_id()
            profile.set_id(tx, profile.stored_id(made))
        transaction_id = str(profile.id_of(tx))
        if len(transaction_id) > self._most and (own_id is None or scope):
            raise self._too_long()
        value = profile.canonical(tx)
        key = profile.key_of(tx)
        body_hash = profile.body_hash(value)
        account = key if profile.account else b""
        before = self._known.get(transaction_id.encode(), account)
        if before is not None and before != body_hash:
            raise conflict(transaction_id, "known with another body; the first stays")
        known = before is not None
        return Admitted(transaction_id, key, account, value, body_hash, own_id is None, known)

    def _too_long(self) -> Problem:
        return invalid(
            self._profile.id_field,
            f"the whole id, with the client's name, has more than {self._most} characters",
        )

    def publish(self, admitted: Sequence[Admitted], **retry: object) -> None:
        """Make them durable (those that are known are).

        Raises Problem 429 or 503; `retry` (the generated ids) is in it.
        """
        new = [transaction for transaction in admitted if not transaction.known]
        if new:
            self._publisher.publish(RAW, self._records(new, retry), **retry)
            self._known.put((tx.id.encode(), tx.account, tx.hash) for tx in new)
        ACKNOWLEDGED.inc(len(admitted))

    def close(self) -> None:
        """End what its keys are read by."""
        if self._vault is not None:
            self._vault.close()

    def _records(
        self, new: Sequence[Admitted], retry: dict[str, object]
    ) -> list[tuple[bytes, bytes]]:
        """Keys and values as the raw topic holds them."""
        if self._vault is None:
            return [(tx.key, tx.value) for tx in new]
        keys = [tx.key for tx in new]
        try:
            values = self._vault.encrypt(keys, [tx.value for tx in new])
        except (Retry, ConfigError) as error:
            raise Problem("database_away", f"{error}; {SAFE_TO_RETRY}", **retry) from error
        return list(zip(keys, values, strict=True))


def conflict(transaction_id: str, detail: str) -> Problem:
    """The 409 of an id that stands for another body already."""
    return Problem(
        "conflicting_duplicate", f"{transaction_id} is {detail}", transaction_id=transaction_id
    )
