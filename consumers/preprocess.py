"""The preprocess stage: validate, drop duplicates, and fill in the windows of one keyed step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from consumers.handed_frames import made_again, take_frames
from consumers.keyed_verdicts import KeyedVerdicts
from consumers.raw_records import identify, take_own
from consumers.repeats import READ_AGAIN, REPEAT, conflict, look_up, measured, redriven
from model.features.id_tables import NEW, OTHER, SAME
from model.features.intake import Intake
from model.features.plan import Plan
from model.features.state import KeyedState
from model.hashing import key_hashes, split
from model.sip import NO_SECRET, SipKey
from tidegate.broker.records import Batch
from tidegate.messages.frame_column import FrameColumn
from tidegate.messages.frames import NONE, Frames
from tidegate.pipeline import BY_ENTITY_2, FEATURES, LABELS, RAW
from tidegate.profile import Profile
from tidegate.stream.stage import Emit, Output, Reject

_FORMAT = 7
_BODY = 16
"""Bytes of a body's hash in a frame."""
T = TypeVar("T")


class PartitionState(KeyedState):
    """The state of one of `partitions` partitions: which one decides what labels belong here."""

    def __init__(self, plan: Plan, partition: int, partitions: int) -> None:
        super().__init__(plan)
        self.partition = partition
        self.partitions = partitions


class Raw(NamedTuple):
    """A batch of the raw topic: what is taken of it, and what is `known` of each id.

    `lines` are the canonical transactions, a line each, `ingested` the ingest times in us.
    """

    intake: Intake
    rejects: list[Reject]
    ids: list[bytes]
    lines: bytes
    ingested: NDArray[np.int64]
    known: NDArray[np.int8]


class _Handed(NamedTuple):
    """A batch of frames: those that were not made `again`, whose indices are `at`."""

    rows: NDArray[Any]
    frames: FrameColumn
    at: list[int]
    ingested: NDArray[np.int64]
    known: NDArray[np.int8]
    rejects: list[Reject]
    again: int


class PreprocessStage:
    """Keyed step `step` (0-based) of a profile; implements the port `Stage`.

    Step 0 also decodes. `key` is the deployment's, by which ids are hashed.
    """

    reach = 0

    def __init__(self, profile: Profile, step: int = 0, key: SipKey = NO_SECRET) -> None:
        self.profile = profile
        self.step = step
        self.plan = Plan(profile, step)
        self.name = "preprocess" if step == 0 else f"preprocess-{step + 1}"
        self.input = RAW if step == 0 else BY_ENTITY_2
        self.side = LABELS if self.plan.keeps_verdicts else None
        limits = f"{profile.remember.time}us-{profile.remember.memory}b"
        limits += f"-{profile.remember.keys}k" if profile.remember.keys else ""
        self.snapshot_tag = f"{profile.hash.decode()}-{step + 1}-{_FORMAT}-{limits}"
        self.also = profile.version
        self._key = key
        self._verdicts = KeyedVerdicts(profile, self.plan, step, key)
        self._layout = profile.features_layout
        self._next = profile.entities[step + 1] if step + 1 < profile.steps else None

    def new_state(self, partition: int, partitions: int) -> PartitionState:
        return PartitionState(self.plan, partition, partitions)

    def load_state(
        self, partition: int, partitions: int, arrays: Mapping[str, NDArray[np.generic]]
    ) -> PartitionState:
        state = self.new_state(partition, partitions)
        state.load(arrays)
        return state

    def absorb(self, state: PartitionState, batch: Batch) -> None:
        """Fold the verdicts on this partition's entities that may count; pass over all else."""
        self._verdicts.absorb(state, batch, (state.partition, state.partitions))
        state.labels_next = batch.next_offset

    def side_from(self, state: PartitionState) -> int:
        """See `model.features.verdict_reach`."""
        return self._verdicts.since_ms(state)

    def process(self, state: PartitionState, batch: Batch) -> Output:
        if len(batch) == 0:
            return Output()
        output = self._first(state, batch) if self.step == 0 else self._later(state, batch)
        return measured(state, output, self.name, batch.source.partition)

    def replay(self, state: PartitionState, batch: Batch) -> Output:
        """Fold a batch that was committed before: the state becomes what `process` made it."""
        if len(batch) == 0:
            return Output()
        if self.step == 0:
            raw = self._read_raw(state, batch, self.plan.replayed)
            columns = raw.intake.columns
            folded = columns.times, columns.hashes, columns.values, raw.ingested
            self._refold(state, raw.known == NEW, *folded)
        else:
            handed = self._read_frames(state, batch)
            rows = handed.rows
            folded = rows["event_us"], rows["keys"], rows["values"], handed.ingested
            self._refold(state, handed.known == NEW, *folded)
        state.take_evicted()  # they were counted when the batch was committed
        return Output()

    def _read_raw(
        self, state: PartitionState, batch: Batch, only: Collection[int] | None = None
    ) -> Raw:
        """Decode (`only` these columns); look up the ids, and note new ones."""
        received_us = _received(state, batch)
        place = state.partition, state.partitions
        intake, rejects = take_own(self.profile, batch, received_us, place, only)
        ids = identify(self.profile, intake, batch)
        lines = self.profile.canonical_lines(intake.txs)
        ingested = received_us[intake.at]
        known = look_up(state, self._key, ids, split(lines), ingested)
        return Raw(intake, rejects, ids, lines, ingested, known)

    def _read_frames(self, state: PartitionState, batch: Batch) -> _Handed:
        """Leave out frames that were made again; look up the ids of the others, and note new ones.

        Dead letters that were put back are out of the order of the step before, and come once.
        """
        frames, good, rejects = take_frames(self._layout, batch)
        rows = frames.rows_as(self._layout.dtype)
        put_back = redriven(batch.headers, good)
        again = made_again(state.seen.sources, rows, self.step - 1, put_back)
        if again.any():
            first = np.flatnonzero(~again)
            good, frames, rows = _at(good, first), frames.take(first), rows[first]
        ingested = _received(state, batch)[good]
        bodies = np.frombuffer(rows["body_hash"].tobytes(), np.uint8)
        ends = _BODY * np.arange(1, len(rows) + 1)
        known = look_up(state, self._key, frames.ids, (bodies, ends), ingested)
        return _Handed(rows, frames, good, ingested, known, rejects, int(again.sum()))

    def _first(self, state: PartitionState, batch: Batch) -> Output:
        """Decode, drop duplicates, fold."""
        raw = self._read_raw(state, batch)
        output = Output(rejects=raw.rejects, passed=raw.intake.passed)
        self._without_repeats(raw.known, raw.intake.at, output)
        frames, indices, ingested = self._frames(raw), raw.intake.at, raw.ingested
        keys = self._next_keys(raw)
        if not (raw.known == NEW).all():
            new = np.flatnonzero(raw.known == NEW)
            frames, ingested = frames.take(new), ingested[new]
            keys, indices = _at(keys, new), _at(indices, new)
        if len(frames.rows):
            self._fold(state, frames.rows, ingested, batch, indices)
            topic = BY_ENTITY_2 if self._next else FEATURES
            packed = self._layout.pack(frames)
            output.emits.append(Emit(topic, keys, packed, hashes=key_hashes(keys)))
        return output

    def _next_keys(self, raw: Raw) -> list[bytes]:
        """By what the frames go on: the next entity. Where a transaction has none, its id spreads
        such frames evenly, and still brings those of one id to one partition.
        """
        if self._next is None:
            return raw.ids
        texts = raw.intake.columns.texts[self._next]
        return [text or own for text, own in zip(texts, raw.ids, strict=True)]

    def _frames(self, raw: Raw) -> Frames:
        columns, accounts = raw.intake.columns, [b""] * len(raw.ids)
        rows = self._layout.empty(len(raw.ids))
        payloads = raw.lines.split(b"\n")[:-1]
        rows["body_hash"] = np.frombuffer(self.profile.body_hashes(payloads), "V16")
        rows["event_us"], rows["amount_minor"] = columns.times, columns.amounts
        rows["ingest_us"] = raw.ingested
        rows["keys"], rows["values"] = columns.hashes, columns.values
        for field in ("partition", "offset", "labels", "time_us"):
            rows["steps"][field] = NONE
        if self.profile.account:
            accounts = columns.texts[self.profile.account]
        return Frames(rows, raw.ids, accounts, payloads, [b""] * len(raw.ids))

    def _later(self, state: PartitionState, batch: Batch) -> Output:
        """Drop what has come before, and fold frames; their tails pass through untouched."""
        handed = self._read_frames(state, batch)
        passed = Counter({READ_AGAIN: handed.again})
        output = Output(rejects=handed.rejects, passed=passed)
        self._without_repeats(handed.known, handed.at, output)
        rows, frames, indices, ingested = handed[:4]
        if not (handed.known == NEW).all():
            new = np.flatnonzero(handed.known == NEW)
            rows, ingested = rows[new], ingested[new]
            frames, indices = frames.take(new), _at(indices, new)
        if len(rows):
            self._fold(state, rows, ingested, batch, indices)
            ids, folded = frames.ids, FrameColumn.of_rows(rows, frames.tails)
            output.emits.append(Emit(FEATURES, ids, folded, hashes=key_hashes(ids)))
        return output

    def _without_repeats(self, known: NDArray[np.int8], indices: list[int], output: Output) -> None:
        """Reject what conflicts, and count what is dropped."""
        conflicting = np.flatnonzero(known == OTHER).tolist()
        passed = Counter(output.passed)
        envelope = self.profile.envelope
        if envelope and envelope.updates == "ignore":
            passed["update"] += len(conflicting)
        else:
            output.rejects += [conflict(indices[i]) for i in conflicting]
        passed[REPEAT] += int((known == SAME).sum())
        output.passed = +passed

    def _fold(
        self,
        state: PartitionState,
        rows: NDArray[Any],
        ingested: NDArray[np.int64],
        batch: Batch,
        indices: list[int],
    ) -> None:
        """Fill in this step's features and its trace; `indices` are the rows' in the batch."""
        values = np.ascontiguousarray(rows["values"])
        entity, hashes, times = self._keyed(rows["event_us"], rows["keys"])
        state.fold(entity, hashes, times, ingested, values)
        rows["values"] = values
        trace = rows["steps"][:, self.step]
        trace["partition"] = batch.source.partition
        trace["offset"] = np.array(batch.offsets)[indices]
        trace["labels"] = state.labels_next if self.side else NONE
        trace["time_us"] = batch.received_us

    def _refold(
        self,
        state: PartitionState,
        new: NDArray[np.bool_],
        times: NDArray[np.int64],
        hashes: NDArray[np.uint64],
        values: NDArray[np.float64],
        ingested: NDArray[np.int64],
    ) -> None:
        """Fold the `new` ones of n transactions again; nothing is filled in."""
        if not new.any():
            return
        if not new.all():
            times, hashes, values, ingested = times[new], hashes[new], values[new], ingested[new]
        replayed = np.ascontiguousarray(values[:, self.plan.replayed])
        state.refold(*self._keyed(times, hashes), ingested, replayed)

    def _keyed(
        self, times: NDArray[np.int64], hashes: NDArray[np.uint64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Entities, hashes and times as a state folds them; without windows any entity will do."""
        times = np.ascontiguousarray(times)
        hashed = np.ascontiguousarray(hashes).view(np.int64)
        entity = np.ascontiguousarray(hashed[:, self.plan.key]) if self.plan.key >= 0 else times
        return entity, hashed, times


def _at(column: Sequence[T], places: NDArray[np.intp]) -> list[T]:
    return [column[i] for i in places.tolist()]


def _received(state: KeyedState, batch: Batch) -> NDArray[np.int64]:
    """Ingest times i8[n] us: the records' own, but never back and never missing.

    A record stamped 0 or -1 by its producer has the time of those before it in the log.
    """
    stamped = np.array(batch.timestamps, np.int64) * 1000
    return np.maximum.accumulate(np.maximum(stamped, max(state.clock_us, 1)))
