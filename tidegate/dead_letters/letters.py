"""Reading dead letters: what the headers say, and whose transaction it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from tidegate.broker.ports import Consumer
from tidegate.broker.records import Batch, Headers
from tidegate.errors import Rejected, Stop
from tidegate.messages.ciphertext import is_closed
from tidegate.messages.frame_column import FrameColumn
from tidegate.messages.frame_marks import is_new_frame
from tidegate.messages.vault import Vault
from tidegate.pipeline import DLQ, FEEDBACK, FRAMES, RAW, SCORED, WRONG_PARTITION
from tidegate.profile import Profile
from tidegate.profile.envelope import Passed, row_in
from tidegate.profile.token_records import TOKENISED, record_with_tokens
from tidegate.stream.dead_letters import attempt, told


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One record of the dead-letter topic. `place` is partition and offset on that topic,
    `identity` tidegate-key, `plain` the value, decrypted where it was encrypted as a whole.
    """

    place: tuple[int, int]
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    told: dict[str, str]
    plain: bytes | None

    @property
    def identity(self) -> str:
        """Equal for copies of one dead letter; "" on a record that no stage of Tidegate wrote."""
        return self.told.get("key", "")

    @property
    def attempt(self) -> int:
        """How often it has failed."""
        return attempt(self.headers)


def dead_letters(batch: Batch, vault: Vault | None = None) -> list[DeadLetter]:
    """The records of a batch of the dead-letter topic. With a `vault` raises Retry."""
    letters, plain = [], vault.decrypt(batch.values) if vault else batch.values
    for i, headers in enumerate(batch.headers):
        letters.append(
            DeadLetter(
                (batch.source.partition, batch.offsets[i]),
                batch.timestamps[i],
                batch.keys[i],
                batch.values[i],
                headers or [],
                told(headers),
                plain[i],
            )
        )
    return letters


def identity_of(letter: DeadLetter) -> str:
    """What marks go by; a record that no stage wrote goes by its place."""
    return letter.identity or f"{DLQ}/{letter.place[0]}/{letter.place[1]}"


def read_all(
    consumer: Consumer, topic: str, newest: int = 0, vault: Vault | None = None
) -> Iterator[DeadLetter]:
    """Every record of a topic up to its end as it is now, in order within each partition.

    `newest` leaves out what lies more than so many offsets before the end (0: nothing).
    """
    for partition in consumer.partitions(topic):
        first, end = consumer.bounds(partition)
        if newest:
            first = max(first, end - newest)
        consumer.assign({partition: first})
        while (consumer.position(partition) or first) < end:
            for batch in consumer.poll(2000, 1.0):
                yield from (
                    letter for letter in dead_letters(batch, vault) if letter.place[1] < end
                )


def transaction_id(profile: Profile, letter: DeadLetter) -> str:
    """The id of the transaction (or of the one a verdict is about), "" where it cannot be read."""
    topic, value = letter.told.get("topic", ""), letter.plain or b""
    if topic in FRAMES:
        return _id_in_frame(profile, value, scored=topic == SCORED)
    if topic == RAW:
        place = f"{topic}-{letter.told.get('partition')}-{letter.told.get('offset')}"
        return id_on_raw(profile, value, place, letter.headers)
    named = str((_document(value) or {}).get("transaction_id") or "")
    return profile.stored_id(named) if named else ""


def id_on_raw(profile: Profile, value: bytes, place: str, headers: Headers | None) -> str:
    """The id of a transaction on the raw topic, "" where it cannot be read.

    `place` is what the first stage calls a record without an id: `TOPIC-PARTITION-OFFSET`. Of an
    envelope that is refused, the id is that of the row as it lies there.
    """
    row = _out_of_envelope(profile, value, headers)
    document = _document(value if row is None else row)
    if document is None:
        return ""
    if profile.envelope and row is None:
        document = row_in(document)
    given = document.get(profile.id_field)
    return profile.stored_id(place if given is None else str(given))


def _out_of_envelope(
    profile: Profile, value: bytes | None, headers: Headers | None
) -> bytes | None:
    """The row that the first stage takes; None where its envelope is refused, or holds none."""
    if profile.envelope is None:
        return value
    try:
        row = profile.envelope.open(value, headers)
    except Rejected:
        return None
    return None if isinstance(row, Passed) else row


def _document(value: bytes) -> dict[str, object] | None:
    try:
        document = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def record_of(profile: Profile, letter: DeadLetter) -> tuple[bytes | None, bytes | None]:
    """Key and value to put it back with. One from before its profile kept tokens gets them; what
    is encrypted stays so.
    """
    topic = letter.told.get("topic", "")
    if is_closed(letter.value):
        return letter.key, letter.value
    if profile.tokens and topic in TOKENISED:
        return record_with_tokens(profile, topic, letter.value, letter.headers)
    return _key_of(profile, letter), letter.value


def records_of(
    profile: Profile, letters: Sequence[DeadLetter], vault: Vault | None
) -> list[tuple[bytes | None, bytes | None]]:
    """Keys and values to put them back with; with a `vault` plain transactions are encrypted.

    Raises Retry.
    """
    records = [record_of(profile, letter) for letter in letters]
    if vault is None:
        return records
    raw = [place for place, letter in enumerate(letters) if letter.told.get("topic") == RAW]
    encrypted = vault.encrypt_plain([records[place] for place in raw])
    for place, value in zip(raw, encrypted, strict=True):
        records[place] = records[place][0], value
    return records


def edited_copy(profile: Profile, letter: DeadLetter, value: bytes) -> DeadLetter:
    """The letter with another record, and the key that belongs to that."""
    copy = replace(letter, value=value, plain=value)
    topic = letter.told.get("topic", "")
    if topic == RAW:
        return replace(copy, key=_own_key(profile, copy))
    if topic == FEEDBACK:
        return replace(copy, key=transaction_id(profile, copy).encode() or letter.key)
    return copy


def message_of(topic: str, value: bytes | None) -> bytes | None:
    """What to put back for a value: a frame of this version goes as a block of one."""
    if topic in FRAMES and value is not None and is_new_frame(value):
        return FrameColumn.of_frame(value).block()
    return value


def _key_of(profile: Profile, letter: DeadLetter) -> bytes | None:
    """The key to put it back with: its own, or the right one where that was wrong, or missing."""
    wrong = letter.key is None or letter.told.get("reason") == WRONG_PARTITION
    if wrong and letter.told.get("topic") == RAW:
        return _own_key(profile, letter)
    return letter.key


def _own_key(profile: Profile, letter: DeadLetter) -> bytes | None:
    """The key of a raw record that is decoded; where it cannot be, or where the record has nothing
    to be one, that which it has.
    """
    try:
        row = _out_of_envelope(profile, letter.value, letter.headers)
        tx = profile.decode(row or b"")
    except Rejected:  # of another profile by now: it fails again, and says why
        return letter.key
    nameless = getattr(tx, profile.account or profile.id_field) is None
    return letter.key if nameless else profile.key_of(tx)


def _id_in_frame(profile: Profile, value: bytes, *, scored: bool) -> str:
    layout = profile.scored_layout if scored else profile.features_layout
    size = layout.dtype.itemsize
    try:
        fault = layout.check(value)
    except Stop:  # of another profile
        return ""
    if fault is not None:
        return ""
    length = int(np.frombuffer(value[:size], layout.dtype)["id_len"][0])
    return value[size : size + length].decode("utf-8", "replace")
