"""Restoring folds the log without building outputs: the state must be the same, bit for bit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from consumers import preprocess
from consumers.preprocess import PartitionState, PreprocessStage
from consumers.repeats import look_up
from model.features.state import KeyedState
from model.sip import SipKey
from tests.model.features.chain import NOW_MS, batch, label_of
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import TopicPartition
from tidegate.pipeline import DLQ
from tidegate.profile import Profile, load_profile
from tidegate.profile.field_types import Time
from tidegate.stream.partition import Partition
from tidegate.stream.restore import Restorer
from tidegate.stream.stage import Output

PROFILES = [
    *sorted(
        path.stem for path in (Path(__file__).resolve().parents[2] / "profiles").glob("*.yaml")
    ),
    "tests/data/transfers.yaml",
]
KINDS = ("good", "good", "good", "again", "conflict", "broken", "unknown", "gone", "late", "future")
HOUR_US = 3_600_000_000


@cache
def stages(name: str) -> list[PreprocessStage]:
    profile = load_profile(name)
    return [PreprocessStage(profile, step) for step in range(profile.steps)]


def transaction(profile: Profile, number: int, draw: Random, kind: str) -> bytes | None:
    """A message; those of one number differ only where `kind` says so."""
    if kind == "gone":
        return None
    at = NOW_MS * 1000 - draw.randrange(40 * 24) * HOUR_US
    document = {name: field.example(draw.random(), at) for name, field in profile.fields.items()}
    for entity in profile.hashed:
        if profile.fields[entity].is_text:
            document[entity] = f"{entity}-{draw.randrange(4)}"
        if profile.fields[entity].optional and draw.random() < 0.3:
            del document[entity]
    document[profile.id_field] = f"t-{number}"
    moved = {"late": -400 * 24 * HOUR_US, "future": 900 * HOUR_US}.get(kind, 0)
    field = profile.fields.get(profile.time_field or "")
    if isinstance(field, Time) and moved:
        document[field.name] = field.example(0.5, NOW_MS * 1000 + moved)
    if kind == "unknown":
        document["no such field"] = 1
    raw = json.dumps(document, separators=(", ", ": ") if number % 2 else (",", ":")).encode()
    return raw[:-2] if kind == "broken" else raw


def messages(profile: Profile, kinds: Sequence[str], seed: int) -> list[bytes | None]:
    log: list[bytes | None] = []
    for at, kind in enumerate(kinds):
        number = max(0, at - 1) if kind in ("again", "conflict") else at
        draw = Random(f"{seed}-{number}-{kind == 'conflict'}")
        log.append(transaction(profile, number, draw, kind))
    return log


def labels(profile: Profile, seed: int) -> list[bytes]:
    """Verdicts on some transactions, of which some have matured."""
    draw = Random(seed)
    return [
        msgspec.json.encode(
            label_of(
                profile,
                f"t-{number}",
                NOW_MS * 1000 - draw.randrange(60 * 24) * HOUR_US,
                [f"{entity}-{draw.randrange(4)}" for entity in profile.entities],
                fraud=draw.random() < 0.5,
            )
        )
        for number in range(6)
    ]


class Folds:
    """One step's state, made by `process` and by `replay`."""

    def __init__(self, stage: PreprocessStage) -> None:
        self.stage = stage
        self.processed, self.replayed = stage.new_state(0, 1), stage.new_state(0, 1)

    def apply(self, values: Sequence[bytes | None], start: int) -> Output:
        """One batch; what `process` makes of it."""
        records = batch(values, start, self.stage.input)
        for state in (self.processed, self.replayed):
            state.begin()
        output = self.stage.process(self.processed, records)
        assert self.stage.replay(self.replayed, records) == Output()
        for state in (self.processed, self.replayed):
            state.commit()
        return output

    def absorb(self, values: list[bytes]) -> None:
        for state in (self.processed, self.replayed):
            if self.stage.side:
                state.begin()
                self.stage.absorb(state, batch(values, 0, self.stage.side))
                state.commit()


@pytest.mark.parametrize("name", PROFILES)
@settings(max_examples=15, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=60),
    seed=st.integers(0, 1000),
    size=st.integers(1, 20),
)
def test_replay_folds_as_process_does(name: str, kinds: list[str], seed: int, size: int) -> None:
    folds = [Folds(stage) for stage in stages(name)]
    profile = folds[0].stage.profile
    log = messages(profile, kinds, seed)
    taken = 0
    for start in range(0, len(log), size):
        values: Sequence[bytes | None] = log[start : start + size]
        for fold in folds:
            output = fold.apply(values, start)
            values = output.emits[0].values if output.emits else []
            if fold.stage.step and len(values) > 1:  # the frames come in another order, and torn
                fold.apply([*values[1:2], (values[0] or b"")[:-1], None], start + 1000)
        taken += len(values)
        for fold in folds:
            fold.absorb(labels(profile, seed + start))
    fresh = [transaction(profile, 1000 + at, Random(at), "good") for at in range(20)]
    for fold in folds:
        assert fold.replayed.digest() == fold.processed.digest()
        rolls_back(fold.stage, fold.replayed, fresh)
        fresh = list(fold.apply(fresh, 5000).emits[0].values)
    assert taken or "good" not in kinds


def rolls_back(
    stage: PreprocessStage, state: PartitionState, values: Sequence[bytes | None]
) -> None:
    """A batch that is processed on top of a replayed state can be undone."""
    before = state.digest()
    state.begin()
    stage.process(state, batch(values, 5000, stage.input))
    state.rollback()
    assert state.digest() == before


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("poison", [0, 7, 9])
def test_a_replay_that_meets_a_poison_record_folds_its_neighbours_once(
    name: str, poison: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dead letter of which nothing is known any more; rows that exist already are counted on."""
    stage = stages(name)[0]
    values = [transaction(stage.profile, at, Random(at), "good") for at in range(30)]
    raised: list[bytes] = []

    def looked_up(
        state: KeyedState,
        key: SipKey,
        ids: Sequence[bytes],
        bodies: tuple[NDArray[np.uint8], NDArray[np.int64]],
        ingested: NDArray[np.int64],
    ) -> NDArray[np.int8]:
        known = look_up(state, key, ids, bodies, ingested)
        if (name := b"t-%d" % (20 + poison)) in ids:
            raised.append(name)
            raise ZeroDivisionError
        return known

    monkeypatch.setattr(preprocess, "look_up", looked_up)
    broker = MemoryBroker({DLQ: 1, stage.input: 1})
    restorer = Restorer(stage, broker.consumer(None), None, None, partitions=1, tag="", batch=10)
    source = TopicPartition(stage.input, 0)
    processed, replayed = (Partition(source, stage.new_state(0, 1), 0) for _ in range(2))
    for start in (0, 10, 20):
        records = batch(values[start : start + 10], start, stage.input)
        restorer.process(processed, records, 0, []).commit()
        restorer._fold_again(replayed, records)
        if start < 20:
            assert replayed.state.digest() == processed.state.digest()
    assert raised
    assert replayed.offset == processed.offset == 30
    assert replayed.state.digest() == processed.state.digest()
    rolls_back(stage, replayed.state, values[:5])
