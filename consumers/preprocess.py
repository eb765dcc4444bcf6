"""The preprocess stage: validate, drop duplicates, and fill in the windows of one keyed step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from hashlib import blake2b
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.features.columns import Columns, to_bytes
from model.features.intake import Intake, take
from model.features.known_ids import NEW, OTHER
from model.features.plan import Plan
from model.features.state import KeyedState
from model.features.verdict_reach import counts_from_ms, reach_us
from model.hashing import ID_SEED, KEY_SEED, hash_joined, join, partitions_of
from model.verdicts import label_numbers
from tidegate.broker.records import Batch
from tidegate.messages.documents import Label, decode_label
from tidegate.messages.frames import NONE, Frames
from tidegate.pipeline import BY_ENTITY_2, FEATURES, LABELS, RAW, WRONG_PARTITION
from tidegate.profile import Profile
from tidegate.stream.stage import Emit, Output, Reject

_FORMAT = 4


class PartitionState(KeyedState):
    """The state of one of `partitions` partitions: which one decides what labels belong here."""

    def __init__(self, plan: Plan, partition: int, partitions: int) -> None:
        super().__init__(plan)
        self.partition = partition
        self.partitions = partitions


class PreprocessStage:
    """Keyed step `step` (0-based) of a profile; implements the port `Stage`.

    Step 0 also decodes and dedupes.
    """

    reach = 0

    def __init__(self, profile: Profile, step: int = 0) -> None:
        self.profile = profile
        self.step = step
        self.plan = Plan(profile, step)
        self.name = "preprocess" if step == 0 else f"preprocess-{step + 1}"
        self.input = RAW if step == 0 else BY_ENTITY_2
        self.side = LABELS if self.plan.keeps_verdicts else None
        self._reach_us = reach_us(self.plan)
        self.snapshot_tag = f"{profile.hash.decode()}-{step + 1}-{_FORMAT}"
        self.also = profile.version
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
        labels = _first_of(state, batch, self.side_from(state))
        keyed = [
            (label, text)
            for label in labels
            if self.step < len(label.entities) and (text := label.entities[self.step]) is not None
        ]
        if keyed:
            keys = [text.encode() for _, text in keyed]
            own = np.flatnonzero(partitions_of(keys, state.partitions) == state.partition)
            self._fold_labels(state, [keyed[i][0] for i in own], [keys[i] for i in own])
        state.labels_next = batch.next_offset

    def side_from(self, state: PartitionState) -> int:
        """See `model.features.verdict_reach`."""
        return counts_from_ms(self._reach_us, state.clock_us)

    def _fold_labels(self, state: PartitionState, labels: list[Label], keys: list[bytes]) -> None:
        if not labels:
            return
        joined = join([label.transaction_id.encode() for label in labels])
        verdicts = np.empty((len(labels), 5), np.int64)
        verdicts[:, :2] = _hashes(*joined)
        verdicts[:, 2] = [label.given_us for label in labels]
        verdicts[:, 3] = label_numbers([label.label_id for label in labels])
        verdicts[:, 4] = [1 + label.fraud for label in labels]
        matures = (
            np.array([label.event_us for label in labels], np.int64) + self.profile.label_delay_us
        )
        state.absorb(
            verdicts,
            hash_joined(*join(keys), KEY_SEED).view(np.int64),
            matures,
            self._carried(labels),
        )

    def _carried(self, labels: list[Label]) -> NDArray[np.float64]:
        """The values f8[n, plan.carried] that verdicts bring along; NaN from other profiles."""
        carried = np.full((len(labels), len(self.plan.carried)), np.nan)
        if not self.plan.carried:
            return carried
        for i, label in enumerate(labels):
            if label.profile.encode() != self.profile.hash:
                continue
            if len(label.values) == len(self.profile.values):
                values = [label.values[column] for column in self.plan.carried]
                carried[i] = [np.nan if value is None else value for value in values]
        return carried

    def process(self, state: PartitionState, batch: Batch) -> Output:
        if len(batch) == 0:
            return Output()
        return self._first(state, batch) if self.step == 0 else self._later(state, batch)

    def replay(self, state: PartitionState, batch: Batch) -> Output:
        """Fold a batch that was committed before: the state becomes what `process` made it."""
        if len(batch) == 0:
            return Output()
        if self.step == 0:
            columns, received = self._read_again(state, batch)
            self._refold(state, columns.times, columns.hashes, columns.values, received)
            return Output()
        received = _received(state, batch)
        rows = self._layout.whole_rows(batch.values)
        if rows is None:
            good, _ = self._layout.good(batch.values)
            rows = self._layout.rows([batch.values[i] or b"" for i in good])
            received = received[good]
        self._refold(state, rows["event_us"], rows["keys"], rows["values"], received)
        return Output()

    def _read_again(self, state: PartitionState, batch: Batch) -> tuple[Columns, NDArray[np.int64]]:
        """The columns of the new transactions, and when they were received."""
        received_us = _received(state, batch)
        intake, _ = self._take(state, batch, received_us, self.plan.replayed)
        _, _, _, known = self._remember(state, intake, batch)
        columns, received = intake.columns, received_us[intake.at]
        if (known == NEW).all():
            return columns, received
        new = known == NEW
        kept = replace(
            columns,
            times=columns.times[new],
            hashes=columns.hashes[new],
            values=columns.values[new],
        )
        return kept, received[new]

    def _remember(
        self, state: PartitionState, intake: Intake, batch: Batch
    ) -> tuple[list[bytes], list[bytes], bytes, NDArray[np.int8]]:
        """The ids, the payloads, their hashes, and what is known of each id, which is noted."""
        ids = self._name(intake.txs, batch, intake.at)
        payloads = self.profile.canonical_all(intake.txs)
        bodies = b"".join([blake2b(payload, digest_size=16).digest() for payload in payloads])
        body = np.frombuffer(bodies, np.int64).reshape(-1, 2)
        return ids, payloads, bodies, state.ids.remember(_ids(*join(ids), body[:, 0]))

    def _refold(
        self,
        state: PartitionState,
        times: NDArray[np.int64],
        hashes: NDArray[np.uint64],
        values: NDArray[np.float64],
        received: NDArray[np.int64],
    ) -> None:
        times = np.ascontiguousarray(times)
        hashed = np.ascontiguousarray(hashes).view(np.int64)
        entity = np.ascontiguousarray(hashed[:, self.plan.key]) if self.plan.key >= 0 else times
        state.refold(
            entity, hashed, times, received, np.ascontiguousarray(values[:, self.plan.replayed])
        )

    def _first(self, state: PartitionState, batch: Batch) -> Output:
        """Decode, drop duplicates, fold."""
        frames, keys, rejects, indices, passed = self._decode(state, batch)
        if not len(frames.rows):
            return Output(rejects=rejects, passed=passed)
        self._fold(state, frames.rows, batch, indices)
        topic = BY_ENTITY_2 if self._next else FEATURES
        return Output([Emit(topic, keys, self._layout.pack(frames))], rejects, passed=passed)

    def _later(self, state: PartitionState, batch: Batch) -> Output:
        """Fold frames; their tails pass through untouched."""
        good, faults = self._layout.good(batch.values)
        rejects = [Reject(i, fault.reason, fault.detail) for i, fault in faults]
        if not good:
            return Output(rejects=rejects)
        values = [batch.values[i] or b"" for i in good]
        rows = self._layout.rows(values)
        self._fold(state, rows, batch, good)
        return Output(
            [Emit(FEATURES, self._layout.ids(rows, values), self._layout.with_rows(rows, values))],
            rejects,
        )

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
        state.fold(entity, hashes, times, _received(state, batch)[indices], values)
        rows["values"] = values
        trace = rows["steps"][:, self.step]
        trace["partition"] = batch.source.partition
        trace["offset"] = np.array(batch.offsets)[indices]
        trace["labels"] = state.labels_next if self.side else NONE
        trace["time_us"] = batch.received_us

    def _decode(
        self, state: PartitionState, batch: Batch
    ) -> tuple[Frames, list[bytes], list[Reject], list[int], Mapping[str, int]]:
        """The new transactions as frames, their keys, the rejects, the frames' indices, and how
        many records were passed by, by what they are.

        Keys are those of the next step. Duplicates are left out.
        """
        profile, received_us = self.profile, _received(state, batch)
        intake, rejects = self._take(state, batch, received_us)
        txs, columns, indices, _, passed = intake
        ids, payloads, bodies, known = self._remember(state, intake, batch)
        rows = self._layout.empty(len(txs))
        rows["body_hash"] = np.frombuffer(bodies, "V16")
        rows["event_us"], rows["amount_minor"] = columns.times, columns.amounts
        rows["ingest_us"] = received_us[indices]
        rows["keys"], rows["values"] = columns.hashes, columns.values
        for field in ("partition", "offset", "labels", "time_us"):
            rows["steps"][field] = NONE
        accounts = columns.texts[profile.account] if profile.account else [b""] * len(txs)
        frames = Frames(rows, ids, accounts, payloads, [b""] * len(txs))
        keys = columns.texts[self._next] if self._next else ids
        if (known == NEW).all():
            return frames, keys, rejects, indices, passed
        conflicting = np.flatnonzero(known == OTHER).tolist()
        if conflicting and profile.envelope and profile.envelope.updates == "ignore":
            passed = Counter(passed) + Counter(update=len(conflicting))
        else:
            rejects += [_conflict(indices[i]) for i in conflicting]
        new = np.flatnonzero(known == NEW)
        return frames.take(new), [keys[i] for i in new], rejects, [indices[i] for i in new], passed

    def _take(
        self,
        state: PartitionState,
        batch: Batch,
        received_us: NDArray[np.int64],
        only: Collection[int] | None = None,
    ) -> tuple[Intake, list[Reject]]:
        """The transactions that belong to this partition, and the rejects."""
        values = [value or b"" for value in batch.values]
        intake = take(self.profile, values, received_us, batch.headers, only)
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
        kept = take(self.profile, [values[i] for i in own], received_us[own], headers, only)
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


def _conflict(index: int) -> Reject:
    detail = "this id was taken by a transaction with another body"
    return Reject(index, "conflicting_duplicate", detail)


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


def _ids(
    data: NDArray[np.uint8], ends: NDArray[np.int64], value: NDArray[np.int64]
) -> NDArray[np.int64]:
    return np.column_stack([_hashes(data, ends), value])


def _hashes(data: NDArray[np.uint8], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """Two hashes i8[n, 2] of each id."""
    high, low = (hash_joined(data, ends, seed).view(np.int64) for seed in (KEY_SEED, ID_SEED))
    return np.stack([high, low], axis=1)


def _first_of(state: PartitionState, batch: Batch, since_ms: int) -> list[Label]:
    """The labels recorded since then whose ids were not met before, on whatever transaction."""
    recorded = zip(batch.values, batch.timestamps, strict=True)
    found = [_label(value) for value, ms in recorded if ms >= since_ms]
    labels = [label for label in found if label is not None]
    if not labels:
        return []
    hashes = _hashes(*join([label.label_id.encode() for label in labels]))
    first = state.first_of(np.column_stack([hashes, np.zeros(len(labels), np.int64)]))
    return [label for label, counts in zip(labels, first.tolist(), strict=True) if counts]


def _label(value: bytes | None) -> Label | None:
    try:
        return decode_label(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
