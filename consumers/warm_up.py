"""Compiles the loops of a keyed step before its process says that it is ready.

A fold compiles for half a minute where no compiled loops are kept yet, on a busy machine for
longer: the first transaction would wait for that.
"""

from __future__ import annotations

import numpy as np

from consumers.preprocess import PartitionState, PreprocessStage
from model.features.newest import VERDICT
from tidegate.broker.records import Batch, TopicPartition
from tidegate.messages.documents import encode
from tidegate.pipeline import BY_ENTITY_2, RAW
from tidegate.profile import Profile
from tidegate.profile.sample import sample

_NOW_US = 1_704_067_200_000_000
_TRANSACTIONS = 2
"""Of one account: its first payment, and one that finds it."""


def warm_up(profile: Profile, step: int) -> None:
    """Do once, on made-up transactions and states that nobody keeps, what keyed step `step` does.

    Process, fold again, undo, absorb a verdict, and take a state out of a snapshot.
    """
    batch = _made_up(profile)
    for earlier in range(step):
        stage = PreprocessStage(profile, earlier)
        (emit,) = stage.process(stage.new_state(0, 1), batch).emits
        batch = _batch(BY_ENTITY_2, list(emit.keys), list(emit.values))
    stage = PreprocessStage(profile, step)
    state = stage.new_state(0, 1)
    for fold in (stage.process, stage.replay):
        state.begin()
        fold(state, batch)
        state.rollback()
    state.begin()
    stage.process(state, batch)
    if stage.side:
        _absorb(stage, state)
    state.commit()
    stage.load_state(0, 1, state.arrays())


def _made_up(profile: Profile) -> Batch:
    documents = [
        {**sample(profile, _NOW_US), profile.id_field: f"made-up-{number}"}
        for number in range(_TRANSACTIONS)
    ]
    return _batch(RAW, [None] * _TRANSACTIONS, [encode(document) for document in documents])


def _batch(topic: str, keys: list[bytes | None], values: list[bytes | None]) -> Batch:
    count = len(values)
    stamps = [_NOW_US // 1000] * count
    return Batch(
        TopicPartition(topic, 0), list(range(count)), keys, values, stamps, [None] * count, _NOW_US
    )


def _absorb(stage: PreprocessStage, state: PartitionState) -> None:
    one = np.ones(1, np.int64)
    state.absorb(np.ones((1, VERDICT), np.int64), one, one, np.zeros((1, len(stage.plan.carried))))
