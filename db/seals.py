"""The head of the audit on a topic of its own, which nobody who writes entries may write.

Whoever changes the table may cut entries off at its end, or make the whole chain anew, but cannot
take back what was sealed of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from db.audit import hash_of, head
from tidegate.broker.ports import Broker
from tidegate.broker.write import write
from tidegate.errors import ConfigError
from tidegate.messages.documents import encode
from tidegate.messages.seal import Seal, decode_seal
from tidegate.pipeline import AUDIT
from tidegate.stream.side_topic import read_partition


def seals(broker: Broker) -> Iterator[Seal]:
    """All of them, oldest first. Raises Retry; ConfigError without the topic, or for a forgery."""
    for batch in read_partition(broker, AUDIT, 0):
        for offset, value in zip(batch.offsets, batch.values, strict=True):
            try:
                yield decode_seal(value or b"")
            except msgspec.DecodeError as error:
                raise ConfigError(
                    f"topic {AUDIT}, offset {offset}: this is no seal ({error}): look who may "
                    "write to that topic"
                ) from error


class Sealer:
    """Writes a seal whenever entries were added. It only reads the table."""

    def __init__(self, broker: Broker, url: str) -> None:
        """Reads the seals that are there. Raises as `seals` does."""
        self._broker, self._url = broker, url
        self._last: Seal | None = None
        for self._last in seals(broker):
            pass

    def seal(self) -> Seal | None:
        """The new seal, durable; None when nothing was added since the last one.

        Raises Retry; ConfigError when the table has not what was sealed last.
        """
        last, newest = self._last, head(self._url)
        if last and hash_of(self._url, last.seq) != bytes.fromhex(last.hash):
            raise ConfigError(
                f"the audit's entry {last.seq} is not the one that was sealed, or is gone: nothing "
                "is sealed any more; `tidegate audit verify` says where it begins"
            )
        if newest is None or (last and newest[0] == last.seq):
            return None
        made = Seal(newest[0], newest[1].hex())
        write(self._broker, AUDIT, b"head", encode(made), what=f"the seal of entry {made.seq}")
        self._last = made
        return made
