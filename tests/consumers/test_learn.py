from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.learn import LearnStage
from model.bundles.published import verdicts
from model.learning.learned import LearnState
from tests.consumers.scoring import champion, models
from tests.trained import Trained
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Batch, TopicPartition
from tidegate.errors import ConfigError
from tidegate.messages.documents import (
    Label,
    OnlineWeights,
    Rollback,
    decode_label,
    decode_model,
    decode_outcome,
    encode,
)
from tidegate.pipeline import LABELS, MODELS, OUTCOMES

REUSE = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def stage(trained: Trained) -> LearnStage:
    return LearnStage(trained.profile, trained.bundle, no_history)


def no_history(start: int, stop: int) -> Iterator[Batch]:
    raise AssertionError(f"labels {start} to {stop} are not needed")


def label(
    trained: Trained,
    at: int,
    label_id: str = "",
    *,
    fraud: bool | None = None,
    profile: str = "",
    given_us: int = 3,
) -> bytes:
    values = [None if np.isnan(value) else value for value in trained.values[at].tolist()]
    if fraud is None:
        fraud = bool(trained.labels[at] == 1)
    return encode(
        Label(
            f"t{at}",
            label_id or f"l{at}",
            fraud,
            "api",
            profile or trained.profile.hash.decode(),
            1,
            2,
            given_us,
            [],
            values,
            0.5,
            "approve",
            [],
        )
    )


def batch(*values: bytes | None, start: int = 0) -> Batch:
    n = len(values)
    return Batch(
        TopicPartition(LABELS, 0),
        list(range(start, start + n)),
        [b""] * n,
        list(values),
        [0] * n,
        [None] * n,
        99,
    )


def folded(stage: LearnStage, *batches: Batch) -> LearnState:
    state = stage.new_state(0, 1)
    for part in batches:
        state.begin()
        stage.process(state, part)
        state.commit()
    return state


def test_labels_move_scores_their_way(trained: Trained, stage: LearnStage) -> None:
    state = folded(stage, batch(*[label(trained, 0, f"l{i}", fraud=True) for i in range(200)]))
    values = trained.values[:1]
    before, after = trained.bundle.score(values), trained.bundle.score(values, state.params)
    assert after.detectors[0, 1] > before.detectors[0, 1]
    assert after.final[0] >= before.final[0]


def test_weights_are_published_once_a_batch(trained: Trained, stage: LearnStage) -> None:
    state = stage.new_state(0, 1)
    (emit,) = stage.process(state, batch(*[label(trained, i) for i in range(5)], start=40)).emits
    assert (emit.topic, list(emit.keys)) == (MODELS, [f"online/{trained.bundle.hash}".encode()])
    message = decode_model(emit.values[0] or b"")
    assert isinstance(message, OnlineWeights)
    assert (message.bundle, message.labels, message.learnt, message.published_us) == (
        trained.bundle.hash,
        45,
        5,
        99,
    )
    assert message.weights == state.params.astype("<f8").tobytes()


def test_labels_that_move_no_weights_are_told(trained: Trained, stage: LearnStage) -> None:
    given = [
        label(trained, 0, "first", fraud=True, given_us=5),
        label(trained, 0, "again", fraud=True, given_us=6),
        label(trained, 0, "early", fraud=False, given_us=4),
        label(trained, 0, "again", fraud=True, given_us=6),
        label(trained, 1, "other", profile="00000000"),
    ]
    state = stage.new_state(0, 1)
    emits = stage.process(state, batch(*given)).emits
    told = [
        decode_outcome(value or b"")
        for emit in emits
        if emit.topic == OUTCOMES
        for value in emit.values
    ]
    ways = {each.label_id: each.outcome for each in told}
    assert (ways["again"], ways["early"]) == ("repeated", "superseded")
    assert ways.keys().isdisjoint({"first", "other"})
    assert {each.bundle for each in told} == {trained.bundle.hash}
    again = stage.process(state, batch(label(trained, 0, "first"))).emits
    assert [emit.topic for emit in again] == [MODELS]


def test_a_label_is_learnt_by_its_weight(trained: Trained, stage: LearnStage) -> None:
    states = [stage.new_state(0, 1) for _ in range(3)]
    said = decode_label(label(trained, 0, fraud=True))
    for state, said.weight in zip(states, (1.0, 0.5, 0.0), strict=True):
        emits = stage.process(state, batch(encode(said))).emits
        assert [emit.topic for emit in emits] == [MODELS], "what teaches nothing is not told"
    whole, half, none = (state.learned.entries["step"][0] for state in states)
    assert (half, none) == (whole / 2, 0.0)
    assert states[2].params.tobytes() == stage.new_state(0, 1).params.tobytes()


@REUSE
@given(
    cuts=st.lists(st.integers(0, 60), max_size=6),
    picks=st.lists(st.integers(0, 40), min_size=60, max_size=60),
)
def test_any_batches_and_any_duplicates_give_the_same_bits(
    trained: Trained, cuts: list[int], picks: list[int]
) -> None:
    stage = LearnStage(trained.profile, trained.bundle, no_history)
    whole = batch(*[label(trained, at) for at in picks])
    ends = [0, *sorted(cuts), 60]
    parts = [whole.slice(start, stop) for start, stop in pairwise(ends) if start < stop]
    once = batch(*[label(trained, at) for at in dict.fromkeys(picks)])
    assert (
        folded(stage, *parts).digest()
        == folded(stage, whole).digest()
        == folded(stage, once).digest()
    )


@REUSE
@given(
    first=st.lists(st.integers(0, 20), min_size=1, max_size=20),
    second=st.lists(st.integers(0, 20), min_size=1, max_size=20),
)
def test_a_rollback_leaves_no_trace(trained: Trained, first: list[int], second: list[int]) -> None:
    stage = LearnStage(trained.profile, trained.bundle, no_history)
    kept, undone = (
        batch(*[label(trained, at) for at in first]),
        batch(*[label(trained, at) for at in second]),
    )
    state = folded(stage, kept)
    before = state.digest()
    state.begin()
    stage.process(state, undone)
    state.rollback()
    assert state.digest() == before
    state.begin()
    stage.process(state, undone)
    state.commit()
    assert state.digest() == folded(stage, kept, undone).digest()


def test_a_snapshot_goes_on_where_it_was_taken(trained: Trained, stage: LearnStage) -> None:
    first, second = (
        batch(*[label(trained, at) for at in part]) for part in (range(30), range(20, 50))
    )
    state = stage.load_state(0, 1, folded(stage, first).arrays())
    stage.process(state, second)
    assert state.digest() == folded(stage, first, second).digest()


def test_only_so_many_label_ids_are_remembered(
    trained: Trained, stage: LearnStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.learning.learned.RECENT", 3)
    state = folded(stage, batch(*[label(trained, at) for at in (1, 2, 3, 4)]))
    before = state.digest()
    state.begin()
    stage.process(state, batch(label(trained, 1)))
    assert state.learned.learnt == 5
    state.rollback()
    assert state.digest() == before
    stage.process(state, batch(label(trained, 2)))
    assert state.learned.learnt == 4


def test_labels_of_another_profile_are_passed_over(trained: Trained, stage: LearnStage) -> None:
    output = stage.process(
        state := stage.new_state(0, 1), batch(label(trained, 1, profile="deadbeef"))
    )
    assert not output.rejects
    assert output.passed == {"other_profile": 1}
    assert state.learned.learnt == 0
    assert stage.process(state, batch(label(trained, 2))).passed == {}


@pytest.mark.parametrize("value", [None, b"", b"{", b"\xff", b'{"label_id":"x"}', b"[" * 100_000])
def test_poison_is_rejected_and_its_neighbours_are_learnt(
    trained: Trained, stage: LearnStage, value: bytes | None
) -> None:
    state = stage.new_state(0, 1)
    output = stage.process(state, batch(label(trained, 1), value, label(trained, 2)))
    assert [(reject.index, reject.reason) for reject in output.rejects] == [(1, "invalid_json")]
    assert state.learned.learnt == 2


def test_a_label_with_too_few_values_is_rejected(trained: Trained, stage: LearnStage) -> None:
    short = Label(
        "t", "l", True, "api", trained.profile.hash.decode(), 1, 2, 3, [], [1.0], 0.5, "approve", []
    )
    output = stage.process(stage.new_state(0, 1), batch(encode(short)))
    assert [reject.reason for reject in output.rejects] == ["wrong_type"]


def rollback(trained: Trained, to: int, profile: str = "") -> bytes:
    return encode(Rollback(to, profile or trained.profile.hash.decode(), 5, "test"))


@pytest.mark.parametrize("to", [-1, 8])
def test_a_rollback_to_nowhere_is_rejected(trained: Trained, stage: LearnStage, to: int) -> None:
    output = stage.process(stage.new_state(0, 1), batch(rollback(trained, to), start=7))
    assert [reject.reason for reject in output.rejects] == ["out_of_bounds"]


def test_another_champion_is_noticed(trained: Trained, stage: LearnStage) -> None:
    stage = LearnStage(trained.profile, trained.bundle, no_history, promoted_at=3)
    other = champion(trained, bundle="f" * 16)
    assert not stage.superseded(models(other)), "before its own promotion, at offset 0"
    assert not stage.superseded(
        models(champion(trained), champion(trained, "f" * 16, "deadbeef"), None, b"?", start=4)
    )
    assert "f" * 16 in stage.superseded(models(other, start=9))


def test_states_keep_to_the_protocol(trained: Trained, stage: LearnStage) -> None:
    state = stage.new_state(0, 1)
    with pytest.raises(RuntimeError):
        state.rollback()
    state.begin()
    with pytest.raises(RuntimeError):
        state.begin()
    state.rollback()
    for name in (*state.arrays(), "all"):
        arrays = state.arrays() if name != "all" else {}
        if name in arrays:
            arrays[name] = np.zeros((7, 7))
        with pytest.raises(ConfigError, match="snapshot"):
            stage.load_state(0, 1, arrays)
    assert stage.snapshot_tag.startswith(f"{trained.profile.hash.decode()}-{trained.bundle.hash}")


def test_the_verdict_given_last_is_what_is_known_of_a_transaction(trained: Trained) -> None:
    broker = MemoryBroker({LABELS: 1})
    for value in (
        label(trained, 0, "a", fraud=True),
        label(trained, 1, "b", fraud=True),
        label(trained, 1, "d", fraud=False, given_us=2),
        label(trained, 0, "a", fraud=True, given_us=9),
        rollback(trained, 0),
        b"{",
        label(trained, 0, "c", fraud=False, given_us=4),
        None,
    ):
        broker.append(LABELS, b"key", value, None, None)
    assert verdicts(broker) == {"t0": False, "t1": True}
