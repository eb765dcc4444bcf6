"""Operational events: the topics that tell of the pipeline, followed without a group."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable

import msgspec

from consumers.notify.conditions import Condition, Known, Lasting, step
from consumers.notify.pipeline_state import of_heartbeats, of_learner, of_letters
from db.notify.facts import CONDITIONS, keep_fact
from db.notify.outbox import Outbox
from tidegate.broker.ports import Broker
from tidegate.broker.records import Batch, TopicPartition
from tidegate.broker.tail import Tail
from tidegate.messages.documents import Champion, OnlineWeights, decode_model
from tidegate.messages.findings import decode_finding
from tidegate.notify.config import Config
from tidegate.notify.events import Event
from tidegate.pipeline import DLQ, MODELS, OPERATIONS, PROMOTIONS, STATUS, stage_inputs
from tidegate.profile import Profile
from tidegate.status.board import Board
from tidegate.stream.dead_letters import told

_HOUR_MS = 3_600_000
_DAY_US = 86_400_000_000
_LETTERS = 20_000
"""So many of the newest dead letters are looked at after a start, and remembered at most."""
_KEPT_US = 60_000_000
"""How old what is kept of the conditions that last may be: so much is forgotten by a restart."""
_SETTLED_SECONDS = 5.0
"""A topic that has been read for so long has told of everybody who lives."""


class Operations:
    """Follows the topics while the stage runs; `turn` writes what is to be told.

    Events from before `since_us`, and such as the outbox may have forgotten, are not told.
    """

    def __init__(
        self,
        broker: Broker,
        profile: Profile,
        config: Config,
        outbox: Outbox,
        since_us: int,
        clock: Callable[[], int],
    ) -> None:
        self._profile, self._config, self._outbox = profile, config, outbox
        self._since_us, self._clock = since_us, clock
        inputs = stage_inputs(len(profile.entities), learner=profile.models.learns)
        self._board = Board(broker, inputs)
        self._lock = threading.Lock()
        self._news: list[Event] = []
        self._letters = deque[tuple[int, str, str]](maxlen=_LETTERS)
        self._next_letters: dict[TopicPartition, int] = {}
        self._champion = ""
        self._frozen: dict[str, bool] = {}
        self._known: Known | None = None
        self._kept_us = 0
        self._status = Tail(broker, STATUS, self._board.absorb, from_start=True)
        self._tails = [
            self._status,
            Tail(broker, MODELS, self._absorb_models, from_start=True),
            Tail(broker, DLQ, self._absorb_letters, newest=_LETTERS),
            Tail(broker, PROMOTIONS, self._absorb_promotions, from_start=True),
            Tail(broker, OPERATIONS, self._absorb_findings, from_start=True),
        ]

    def start(self) -> Operations:
        for tail in self._tails:
            tail.start()
        return self

    def close(self) -> None:
        for tail in self._tails:
            tail.close()

    def turn(self) -> None:
        """Write what is new; nothing about what lasts before all heartbeats were heard.

        Raises Retry; then it is written at the next turn.
        """
        with self._lock:
            news, now_us = list(self._news), self._clock()
        if news:
            self._outbox.add(event for event in news if self._is_told(event, now_us))
            with self._lock:
                del self._news[: len(news)]
        if min(tail.reading_for() for tail in self._tails) >= _SETTLED_SECONDS:
            self._look(now_us)

    def _is_told(self, event: Event, now_us: int) -> bool:
        return event.at_us >= max(self._since_us, now_us - self._config.keep_days * _DAY_US)

    def _look(self, now_us: int) -> None:
        """Tell what has begun to last, and what is over."""
        known = self._load() if self._known is None else self._known
        wrong = {condition.key: condition for condition in self.wrong(now_us)}
        after, events = step(known, wrong, now_us, self._config.bounds.patience_us)
        aged = bool(after) and now_us - self._kept_us >= _KEPT_US
        if events or aged or after.keys() != known.keys():
            with self._outbox.transaction() as connection:
                self._outbox.place(connection, events)
                keep_fact(connection, CONDITIONS, after)
            self._kept_us = now_us
        self._known = after

    def _load(self) -> Known:
        return msgspec.convert(self._outbox.fact(CONDITIONS) or {}, dict[str, Lasting])

    def wrong(self, now_us: int) -> list[Condition]:
        """What is wrong now. Raises Retry."""
        with self._lock:
            while self._letters and self._letters[0][0] < now_us // 1000 - _HOUR_MS:
                self._letters.popleft()
            letters = Counter((stage, reason) for _, stage, reason in self._letters)
            champion, frozen = self._champion, self._frozen.get(self._champion, False)
        return [
            *of_heartbeats(
                self._board.processes(),
                self._board.missing(),
                self._board.drift(),
                self._config.bounds,
            ),
            *of_letters(letters),
            *of_learner(champion, frozen=frozen),
        ]

    def _absorb_letters(self, batch: Batch) -> None:
        """After an outage the reader begins with the newest again: each counts once."""
        with self._lock:
            known = self._next_letters.get(batch.source, 0)
            self._next_letters[batch.source] = max(known, batch.next_offset)
            records = zip(batch.offsets, batch.headers, batch.timestamps, strict=True)
            for offset, headers, at_ms in records:
                if offset < known:
                    continue
                said = told(headers)
                stage, reason = said.get("stage", "unknown"), said.get("reason", "unknown")
                self._letters.append((at_ms, stage, reason))

    def _absorb_models(self, batch: Batch) -> None:
        for value in batch.values:
            message = _decoded(value)
            with self._lock:
                if isinstance(message, Champion) and self._is_ours(message):
                    self._champion = message.bundle
                elif isinstance(message, OnlineWeights):
                    self._frozen[message.bundle] = message.frozen

    def _absorb_promotions(self, batch: Batch) -> None:
        for offset, value in zip(batch.offsets, batch.values, strict=True):
            message = _decoded(value)
            if isinstance(message, Champion) and self._is_ours(message):
                with self._lock:
                    self._news.append(_promoted(message, f"promotions/{offset}"))

    def _is_ours(self, champion: Champion) -> bool:
        return champion.profile == self._profile.hash.decode()

    def _absorb_findings(self, batch: Batch) -> None:
        for offset, value in zip(batch.offsets, batch.values, strict=True):
            try:
                found = decode_finding(value or b"")
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue  # of a newer version
            if found.profile != self._profile.hash.decode():
                continue
            data = {"good": found.good, "detail": found.detail}
            text = f"{found.told}\n{found.detail}".strip()
            key = f"operations/{batch.source.partition}/{offset}"
            with self._lock:
                self._news.append(Event(key, found.what, found.told, text, found.at_us, data))


def _decoded(value: bytes | None) -> object:
    """A message about models; None for a tombstone or one of a newer version."""
    try:
        return decode_model(value) if value else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _promoted(champion: Champion, key: str) -> Event:
    by = f" by {champion.by}" if champion.by else ""
    after = f", after {champion.previous}" if champion.previous else ""
    told_of = {"model": champion.bundle, "previous": champion.previous, "by": champion.by}
    subject = f"Model {champion.bundle} was promoted{by}{after}"
    return Event(key, "promoted", subject, subject, champion.promoted_us, told_of)
