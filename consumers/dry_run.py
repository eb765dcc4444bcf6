"""What would become of a dead letter that is put back: its stage's own code says so.

The one record goes through the stage on a state that is empty and thrown away; nothing is written.
What hangs on a state that is not looked at stays unknown: which ids a keyed step remembers that
have no row, and how many verdicts of a source it has counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, cast

from db.rows import ScoredRows
from db.store import Store
from model.hashing import partitions_of
from tidegate.broker.addresses import address_of
from tidegate.broker.ports import Broker
from tidegate.broker.records import Batch, TopicPartition
from tidegate.dead_letters.judgement import ATTEMPTS, Judgement
from tidegate.dead_letters.letters import DeadLetter, record_of, transaction_id
from tidegate.dead_letters.putting_back import headers_of, obstacle
from tidegate.errors import Retry, Stop, Unfinished
from tidegate.messages.frame_column import FrameColumn
from tidegate.pipeline import FRAMES, MODELS, READERS, SCORED, STAGES
from tidegate.profile import Profile
from tidegate.stream.poison import process
from tidegate.stream.side_topic import read_partition
from tidegate.stream.stage import NoState, Output, Stage

_AN_HOUR_MS = 3_600_000
"""Longer than any stage waits for what a record needs."""
StageOf = Callable[[str], Stage[Any]]


class _Made(NamedTuple):
    """The transaction that a stage has made something of."""

    id: str
    body: bytes


def dry_run(
    profile: Profile,
    broker: Broker,
    store: Store,
    stage_of: StageOf,
    letter: DeadLetter,
    *,
    edited: DeadLetter | None = None,
    now_us: int,
) -> Judgement:
    """Judge a letter, or its `edited` copy. `stage_of` makes a stage by its name; it may raise
    Retry, as the broker and the store do for what is away.
    """
    meant = edited or letter
    if fault := obstacle(profile, meant):
        return Judgement("fails", *fault)
    if edited is None and letter.attempt >= ATTEMPTS:
        return Judgement("quarantined", detail=str(letter.attempt))
    try:
        found = _Trial(profile, broker, store, meant, now_us).run(stage_of(_reader(meant)))
    except (Retry, Unfinished) as error:
        return Judgement("not_known", detail=str(error))
    except Stop as error:  # the stage would end rather than go on
        return Judgement("fails", "other_profile", str(error))
    named = transaction_id(profile, letter)
    if edited is None or found.outcome == "fails" or not found.id or found.id == named:
        return found
    return Judgement(found.outcome, found.reason, found.detail, found.id, moved=named)


def _reader(letter: DeadLetter) -> str:
    """The stage that a record which is put back comes to: its own, or one that reads its topic."""
    topic, own = letter.told["topic"], letter.told.get("stage", "")
    if own in STAGES and STAGES[own].input == topic:
        return own
    return next(name for name in READERS if STAGES[name].input == topic)


class _Trial:
    """One record on its way through one stage."""

    def __init__(
        self, profile: Profile, broker: Broker, store: Store, letter: DeadLetter, now_us: int
    ) -> None:
        self._profile, self._broker, self._store = profile, broker, store
        self._letter, self._now_us = letter, now_us
        self._topic = letter.told["topic"]
        self._key, self._value = record_of(profile, replace(letter, value=letter.plain))

    def run(self, stage: Stage[Any]) -> Judgement:
        """What the stage makes of it. Raises Retry, Unfinished, Stop."""
        source, count = self._source()
        offset = address_of(source.topic, self._end(source), 0)
        batch = Batch(
            source,
            [offset],
            [self._key],
            [self._value],
            [self._now_us // 1000],
            [headers_of(self._letter)],
            received_us=self._now_us,
            log_us=self._now_us,
        )
        output = self._output(stage, count, batch)
        named = transaction_id(self._profile, self._letter)
        if output.rejects:
            return self._refused("fails", output, named)
        if output.waits:
            waited = replace(batch, timestamps=[batch.timestamps[0] - _AN_HOUR_MS])
            return self._refused("waits", self._output(stage, count, waited), named)
        if output.passed:
            return Judgement("passed_over", next(iter(output.passed)), id=named)
        made = _made(self._profile, output) if self._of_transactions else None
        return self._beside_row(made, source, offset) if made else Judgement("passes", id=named)

    @property
    def _of_transactions(self) -> bool:
        return self._topic in FRAMES or STAGES["preprocess"].input == self._topic

    def _source(self) -> tuple[TopicPartition, int]:
        """The partition that it would come to, and how many there are."""
        consumer = self._broker.consumer(None)
        try:
            count = len(consumer.partitions(self._topic))
        finally:
            consumer.close()
        if self._topic in FRAMES:
            number = int(self._letter.told.get("partition") or 0) % count
        else:
            number = int(partitions_of([self._key or b""], count)[0])
        return TopicPartition(self._topic, number), count

    def _end(self, source: TopicPartition) -> int:
        consumer = self._broker.consumer(None)
        try:
            return consumer.bounds(source)[1]
        finally:
            consumer.close()

    def _output(self, stage: Stage[Any], count: int, batch: Batch) -> Output:
        """As the runner asks: a record that makes the stage raise is a reject."""
        state = stage.new_state(batch.source.partition, count)
        if stage.side == MODELS:
            for models in read_partition(self._broker, MODELS, 0):
                stage.absorb(NoState(), models)
        [(_, output)] = process(stage, state, batch, lambda: None)
        return output

    def _refused(self, outcome: Any, output: Output, named: str) -> Judgement:  # noqa: ANN401
        """With the stage's words, if it has any."""
        if not output.rejects:
            return Judgement(outcome, id=named)
        reject = output.rejects[0]
        detail = self._profile.masks.said(reject.detail, self._letter.plain)
        return Judgement(outcome, reject.reason, detail, named)

    def _beside_row(self, made: _Made, source: TopicPartition, offset: int) -> Judgement:
        """A row with this id takes no second one: an equal body is a repeat, another one a
        conflict, or an update that a first step passes over as long as it remembers the id.
        """
        by_place = self._profile.stored_id(f"{source.topic}-{source.partition}-{offset}")
        if made.id == by_place:  # it has no id, and is called after the place that it gets
            return Judgement("passes")
        row = self._store.get(made.id)
        if row is None:
            return Judgement("passes", id=made.id)
        if row["body_hash"] == made.body.hex():
            return Judgement("repeat", id=made.id)
        envelope = self._profile.envelope
        if envelope and envelope.updates == "ignore" and source.topic == STAGES["preprocess"].input:
            return Judgement("passed_over", "update", id=made.id)
        detail = "this id was taken by a transaction with another body"
        return Judgement("fails", "conflicting_duplicate", detail, made.id)


def _made(profile: Profile, output: Output) -> _Made:
    """Id and body of what a stage made of one transaction."""
    if isinstance(output.rows, ScoredRows):
        ids: Sequence[bytes] = output.rows.frames.ids
        rows = output.rows.frames.rows
    else:
        first = output.emits[0]
        column = cast(FrameColumn, first.values)
        layout = profile.scored_layout if first.topic == SCORED else profile.features_layout
        ids, rows = column.ids, column.rows_as(layout.dtype)
    return _Made(ids[0].decode(), rows["body_hash"][0].tobytes())
