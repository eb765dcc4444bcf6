"""Decisions as server-sent events, from any place of the scored topic on.

Each reader has a consumer of his own, so that he begins where he says, and nothing is kept for him
here: who reads slowly lets the log wait. The id of an event is the place behind it.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np

from producers.api.told import Told
from tidegate.broker.addresses import address_of, messages, shown
from tidegate.broker.ports import Broker
from tidegate.broker.records import Batch
from tidegate.errors import ConfigError, Retry, TidegateError
from tidegate.messages.frames import DECISIONS, Frames
from tidegate.messages.vault import Vault
from tidegate.pipeline import SCORED

MAX_READERS = 16
"""Each reader holds one of the server's threads and a consumer."""
PING_SECONDS = 5.0
"""How often a reader to whom nothing is told hears something all the same."""
SLOW_SECONDS = 20.0
"""Who takes longer to read what he was last sent is told to resume, and gives up his place."""
_RECORDS = 500
_POLL_SECONDS = 0.5
_BREATH = 0.02
_PLACE = r"\d{1,19}(?:-\d{1,4})?"
_CURSOR = re.compile(rf"([\w.+/=-]{{1,64}})~({_PLACE}(?:\.{_PLACE}){{0,9999}})", re.ASCII)
_encode = msgspec.json.Encoder().encode


class Cursor(NamedTuple):
    """The next address of each partition of the scored topic that has this id.

    Its text has a message's offset for each, and the index within it where that is not 0.
    """

    topic_id: str
    offsets: tuple[int, ...]

    def __str__(self) -> str:
        places = ".".join(shown(SCORED, address).replace("/", "-") for address in self.offsets)
        return f"{self.topic_id}~{places}"

    @staticmethod
    def read(text: str) -> Cursor | None:
        """The cursor that an event's id was; None for any other text."""
        match = _CURSOR.fullmatch(text)
        return Cursor(match[1], tuple(map(_address, match[2].split(".")))) if match else None


def _address(place: str) -> int:
    offset, _, index = place.partition("-")
    return address_of(SCORED, int(offset), int(index or 0))


class OtherLog(TidegateError):
    """A cursor that is no place of this log."""


class Wanted(NamedTuple):
    """Which decisions a reader is told; None: all."""

    decision: str | None
    account: str | None

    def among(self, frames: Frames) -> list[int]:
        """The places of those that are wanted."""
        account = None if self.account is None else self.account.encode()
        chosen = np.ones(len(frames.ids), bool)
        if self.decision is not None:
            chosen = frames.rows["decision"] == DECISIONS.index(self.decision)
        return [
            place
            for place in np.flatnonzero(chosen).tolist()
            if account is None or frames.accounts[place] == account
        ]


class Feed:
    """The body of one answer. `close` (the reader has gone) gives his place back."""

    def __init__(
        self,
        broker: Broker,
        topic: str,
        told: Told,
        wanted: Wanted,
        cursor: Cursor | None,
        *,
        still_in: Callable[[], bool],
        leave: Callable[[], None],
        vault: Vault | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begins behind `cursor`, or at the log's end. `vault` is an erasable profile's.

        Raises OtherLog, Retry while Kafka is away, ConfigError while there is no such topic.
        """
        self._told, self._wanted, self._still_in, self._leave = told, wanted, still_in, leave
        self._vault, self._clock = vault, clock
        self._pause, self._open = threading.Event(), True
        self._missed = 0
        self._consumer = broker.follower()
        try:
            self._sources = sorted(self._consumer.partitions(topic))
            self._id = broker.topic_ids([topic])[topic][0]
            self._offsets = self._starts(cursor)
            self._consumer.assign(dict(zip(self._sources, self._offsets, strict=True)))
        except BaseException:
            self._consumer.close()
            raise

    def _starts(self, cursor: Cursor | None) -> list[int]:
        bounds = [self._consumer.bounds(source) for source in self._sources]
        if cursor is None:
            return [end for _, end in bounds]
        fits = len(cursor.offsets) <= len(bounds) and all(
            offset <= end for offset, (_, end) in zip(cursor.offsets, bounds, strict=False)
        )
        if cursor.topic_id != self._id or not fits:
            raise OtherLog("this place is one of another log: begin without Last-Event-ID")
        wanted = [*cursor.offsets, *[0] * (len(bounds) - len(cursor.offsets))]
        pairs = list(zip(wanted, bounds, strict=True))
        self._missed = sum(messages(SCORED, max(0, first - at)) for at, (first, _) in pairs)
        return [max(first, offset) for offset, (first, _) in pairs]

    def __iter__(self) -> Iterator[bytes]:
        yield b"retry: 1000\n\n" + self._place()
        if self._missed:
            yield self._event("gap", {"missed": self._missed})
        try:
            yield from self._events()
        except (Retry, ConfigError) as error:
            yield self._event("resume", {"detail": str(error)})

    def _events(self) -> Iterator[bytes]:
        heard = self._clock()
        while self._open and self._still_in():
            chunk = b"".join(self._read())
            now = self._clock()
            if not chunk and now - heard < PING_SECONDS:
                continue
            yield chunk or self._place()
            heard = self._clock()
            if heard - now > SLOW_SECONDS:
                yield self._event("resume", {"detail": f"it took {heard - now:.0f} s to read"})
                return

    def _read(self) -> Iterator[bytes]:
        """The events of what one poll brings."""
        batches = self._consumer.poll(_RECORDS, _POLL_SECONDS)
        for batch in batches:
            place = self._sources.index(batch.source)
            for behind, decision in self._told_of(batch):
                self._offsets[place] = behind
                yield self._event("decision", decision)
            self._offsets[place] = batch.next_offset
        if not batches:
            self._past_markers()
            self._pause.wait(_BREATH)  # the broker in memory does not wait for records

    def _told_of(self, batch: Batch) -> list[tuple[int, dict[str, Any]]]:
        """The wanted decisions of a batch, each with the address behind it.

        Other profiles', and those of accounts that were erased, are passed over. Raises Retry.
        """
        column, ours = self._told.layout.own(batch.values)
        if not ours:
            return []
        frames = self._told.layout.unpack(column)
        places = self._kept(frames, self._wanted.among(frames))
        told = self._told.decisions(frames.take(np.array(places, np.intp)))
        return [(batch.behind(ours[place]), one) for place, one in zip(places, told, strict=True)]

    def _kept(self, frames: Frames, places: list[int]) -> list[int]:
        """Those of the places whose accounts were not erased."""
        if self._vault is None:
            return places
        erased = self._vault.erased([frames.payloads[place] for place in places])
        return [place for place, gone in zip(places, erased, strict=True) if not gone]

    def _past_markers(self) -> None:
        positions = [self._consumer.position(source) for source in self._sources]
        pairs = zip(self._offsets, positions, strict=True)
        self._offsets = [offset if now is None else max(offset, now) for offset, now in pairs]

    def _event(self, kind: str, data: dict[str, Any]) -> bytes:
        head = f"id: {Cursor(self._id, tuple(self._offsets))}\nevent: {kind}\ndata: "
        return head.encode() + _encode(data) + b"\n\n"

    def _place(self) -> bytes:
        """Where the reader stands: an id without data, which no reader is told of."""
        return f"id: {Cursor(self._id, tuple(self._offsets))}\n\n".encode()

    def close(self) -> None:
        """End it, once: called when it has ended, and when the reader has gone."""
        if self._open:
            self._open = False
            self._pause.set()
            self._consumer.close()
            self._leave()
