"""The preprocess stage: validate, drop duplicates, and fill in the windows of one keyed step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from operator import attrgetter
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from consumers.keyed_verdicts import KeyedVerdicts
from consumers.repeats import READ_AGAIN, REPEAT, conflict, look_up, measured, redriven
from model.features.columns import to_bytes
from model.features.intake import Intake, take
from model.features.known_ids import NEW, OTHER, SAME
from model.features.plan import Plan
from model.features.state import KeyedState
from model.hashing import partitions_of
from model.sip import NO_SECRET, SipKey
from tidegate.broker.records import Batch
from tidegate.messages.frames import NONE, Frames
from tidegate.pipeline import BY_ENTITY_2, FEATURES, LABELS, RAW, WRONG_PARTITION
from tidegate.profile import Profile
from tidegate.stream.stage import Emit, Output, Reject

_FORMAT = 5
T = TypeVar("T")


class PartitionState(KeyedState):
    """The state of one of `partitions` partitions: which one decides what labels belong here."""

    def __init__(self, plan: Plan, partition: int, partitions: int) -> None:
        super().__init__(plan)
        self.partition = partition
        self.partitions = partitions


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
        self.snapshot_tag = f"{profile.hash.decode()}-{step + 1}-{_FORMAT}-{limits}"
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
        """Fold the verdicts on this partition's entities; pass over messages that are none."""
        self._verdicts.absorb(state, batch, (state.partition, state.partitions))
        state.labels_next = batch.next_offset

    def process(self, state: PartitionState, batch: Batch) -> Output:
        if len(batch) == 0:
            return Output()
        output = self._first(state, batch) if self.step == 0 else self._later(state, batch)
        return measured(state, output, self.name, batch.source.partition)

    def _first(self, state: PartitionState, batch: Batch) -> Output:
        """Decode, drop duplicates, fold."""
        profile, received_us = self.profile, _received(state, batch)
        (txs, columns, indices, _, passed), rejects = self._take(state, batch, received_us)
        if not txs:
            return Output(rejects=rejects, passed=passed)
        ids = self._name(txs, batch, indices)
        payloads = profile.canonical_all(txs)
        bodies = b"".join([blake2b(payload, digest_size=16).digest() for payload in payloads])
        ingested = received_us[indices]
        known = look_up(state, self._key, ids, bodies, ingested)
        rows = self._layout.empty(len(txs))
        rows["body_hash"] = np.frombuffer(bodies, "V16")
        rows["event_us"], rows["amount_minor"] = columns.times, columns.amounts
        rows["ingest_us"] = ingested
        rows["keys"], rows["values"] = columns.hashes, columns.values
        for field in ("partition", "offset", "labels", "time_us"):
            rows["steps"][field] = NONE
        accounts = columns.texts[profile.account] if profile.account else [b""] * len(txs)
        frames = Frames(rows, ids, accounts, payloads, [b""] * len(txs))
        keys = columns.texts[self._next] if self._next else ids
        output = self._without_repeats(known, indices, Output(rejects=rejects, passed=passed))
        if not (known == NEW).all():
            new = np.flatnonzero(known == NEW)
            frames, keys, indices = frames.take(new), _at(keys, new), _at(indices, new)
        if len(frames.rows):
            self._fold(state, frames.rows, batch, indices)
            topic = BY_ENTITY_2 if self._next else FEATURES
            output.emits.append(Emit(topic, keys, self._layout.pack(frames)))
        return output

    def _later(self, state: PartitionState, batch: Batch) -> Output:
        """Drop what has come before, and fold frames; their tails pass through untouched."""
        good, faults = self._layout.good(batch.values)
        output = Output(rejects=[Reject(i, fault.reason, fault.detail) for i, fault in faults])
        if not good:
            return output
        values = [batch.values[i] or b"" for i in good]
        rows = self._layout.rows(values)
        again = self._read_again(state, rows, redriven(batch.headers, good))
        if again.any():
            output.passed = Counter({READ_AGAIN: int(again.sum())})
            at = np.flatnonzero(~again)
            good, values, rows = _at(good, at), _at(values, at), rows[at]
        if not good:
            return output
        ids, bodies = self._layout.ids(rows, values), rows["body_hash"].tobytes()
        ingested = _received(state, batch)[good]
        known = look_up(state, self._key, ids, bodies, ingested)
        self._without_repeats(known, good, output)
        if not (known == NEW).all():
            new = np.flatnonzero(known == NEW)
            good, values, rows, ids = _at(good, new), _at(values, new), rows[new], _at(ids, new)
        if good:
            self._fold(state, rows, batch, good)
            output.emits.append(Emit(FEATURES, ids, self._layout.with_rows(rows, values)))
        return output

    def _read_again(
        self, state: PartitionState, rows: NDArray[Any], put_back: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Which frames the step before has made again. Dead letters that were put back are out of
        its order, and come once.
        """
        again = np.zeros(len(rows), np.bool_)
        source = rows["steps"][~put_back, self.step - 1]
        again[~put_back] = state.seen.sources.repeats(
            source["partition"], source["offset"], rows["ingest_us"][~put_back]
        )
        return again

    def _without_repeats(
        self, known: NDArray[np.int8], indices: list[int], output: Output
    ) -> Output:
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
        return output

    def _fold(
        self, state: PartitionState, rows: NDArray[Any], batch: Batch, indices: list[int]
    ) -> None:
        """Fill in this step's features and its trace; `indices` are the rows' in the batch."""
        values = np.ascontiguousarray(rows["values"])
        hashes = np.ascontiguousarray(rows["keys"]).view(np.int64)
        entity = (
            np.ascontiguousarray(hashes[:, self.plan.key])
            if self.plan.key >= 0
            else rows["event_us"].copy()
        )
        times = np.ascontiguousarray(rows["event_us"])
        ingested = _received(state, batch)[indices]
        state.fold(entity, hashes, times, ingested, values)
        rows["values"] = values
        trace = rows["steps"][:, self.step]
        trace["partition"] = batch.source.partition
        trace["offset"] = np.array(batch.offsets)[indices]
        trace["labels"] = state.labels_next if self.side else NONE
        trace["time_us"] = batch.received_us

    def _take(
        self, state: PartitionState, batch: Batch, received_us: NDArray[np.int64]
    ) -> tuple[Intake, list[Reject]]:
        """The transactions that belong to this partition, and the rejects."""
        values = [value or b"" for value in batch.values]
        intake = take(self.profile, values, received_us, batch.headers)
        rejects = [Reject(i, fault.reason, fault.detail) for i, fault in intake.rejects]
        home = self._home(state, intake)
        misplaced = np.flatnonzero(home != state.partition)
        if not len(misplaced):
            return intake, rejects
        rejects += [
            _misplaced(intake.at[i], self.profile, batch, int(home[i])) for i in misplaced.tolist()
        ]
        own = np.array(intake.at)[home == state.partition]
        headers = [batch.headers[i] for i in own]
        kept = take(self.profile, [values[i] for i in own], received_us[own], headers)
        return kept._replace(at=own[kept.at].tolist(), passed=intake.passed), rejects

    def _home(self, state: PartitionState, intake: Intake) -> NDArray[np.int64]:
        """The partition of each transaction's key; without a key any, and so this one."""
        profile = self.profile
        keys = (
            intake.columns.texts[profile.account]
            if profile.account
            else to_bytes(list(map(attrgetter(profile.id_field), intake.txs)))
        )
        home = partitions_of(keys, state.partitions)
        home[np.fromiter(map(len, keys), np.int64, len(keys)) == 0] = state.partition
        return home

    def _name(self, txs: list[msgspec.Struct], batch: Batch, indices: list[int]) -> list[bytes]:
        """The ids; a transaction without one is named after its place on the raw topic."""
        ids = list(map(attrgetter(self.profile.id_field), txs))
        if None in ids:
            topic, partition = batch.source
            for i, name in enumerate(ids):
                if name is None:
                    ids[i] = f"{topic}-{partition}-{batch.offsets[indices[i]]}"
                    self.profile.set_id(txs[i], ids[i])
        return to_bytes(ids)


def _at(column: Sequence[T], places: NDArray[np.intp]) -> list[T]:
    return [column[i] for i in places.tolist()]


def _misplaced(index: int, profile: Profile, batch: Batch, home: int) -> Reject:
    field = profile.account or profile.id_field
    detail = (
        f"partition {batch.source.partition}, but its {field} belongs to partition {home}: the "
        f"producer's key must be the {field} as text, and its partitioner murmur2; "
        "`tidegate redrive --reason wrong_partition` puts it there"
    )
    return Reject(index, WRONG_PARTITION, detail)


def _received(state: KeyedState, batch: Batch) -> NDArray[np.int64]:
    """Ingest times i8[n] us: the records' own, but never back and never missing.

    A record stamped 0 or -1 by its producer has the time of those before it in the log.
    """
    stamped = np.array(batch.timestamps, np.int64) * 1000
    return np.maximum.accumulate(np.maximum(stamped, max(state.clock_us, 1)))
