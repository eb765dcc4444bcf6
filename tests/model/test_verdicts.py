"""Which verdict holds: the same one in the windows, for the learner and for retraining, however the
labels come.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.detectors.online import Online
from model.features.id_tables import NEW, OTHER
from model.features.newest import VERDICT, Newest
from model.hashing import join
from model.learning.learned import LabelRecord, Learned, LearnState
from model.learning.learner import Learner
from model.sip import NO_SECRET, sip128
from model.verdicts import HoldingVerdicts, holds, label_numbers
from tests.model.features.chain import Chain, label_of
from tidegate.messages.documents import Label
from tidegate.profile import load_profile

CARD = load_profile("card")
HOUR_US = 3_600_000_000


class Said(NamedTuple):
    """A label of a test: its id, transaction, verdict, and when it was given."""

    label_id: str
    transaction: str
    fraud: bool
    given_us: int


labels = st.lists(
    st.builds(Said, st.uuids().map(str), st.sampled_from("ab"), st.booleans(), st.integers(0, 3)),
    min_size=1,
    max_size=6,
)


def expected(said: Sequence[Said]) -> dict[str, bool]:
    """By the definition: of each transaction the label given last."""
    rank = {s: (s.given_us, int(label_numbers([s.label_id])[0])) for s in said}
    return {s.transaction: s.fraud for s in sorted(said, key=rank.__getitem__)}


def document(said: Said) -> Label:
    label = label_of(CARD, said.transaction, HOUR_US, ["u", "m"], fraud=said.fraud)
    label.label_id, label.given_us = said.label_id, said.given_us
    return label


def by_windows(said: Sequence[Said]) -> dict[str, bool]:
    """What a keyed step that keeps verdicts holds for true, and what waits to count."""
    chain = Chain(CARD)
    for number, one in enumerate(said):
        chain.absorb([document(one)], number)
    state = next(
        state for stage, state in zip(chain.stages, chain.states, strict=True) if stage.side
    )
    names = sorted({one.transaction for one in said})
    waiting = state.arrays()["waiting"]
    assert waiting[:, 2].sum() == len(names), "each transaction counts once"
    memory = state.seen.verdicts.current
    by_hash = {int(row[0]): bool(row[4] - 1) for row in memory if row[0]}
    hashes = sip128(*join([name.encode() for name in names]), NO_SECRET).view(np.int64)[:, 0]
    held = {name: by_hash[number] for name, number in zip(names, hashes.tolist(), strict=True)}
    assert waiting[:, 3].sum() == sum(held.values()), "frauds that count are the verdicts that hold"
    return held


def by_learner(said: Sequence[Said]) -> tuple[dict[str, bool], LearnState]:
    x = np.array([[0.0], [1.0]])
    fold = Learner(Online.fit(x, np.array([True, False]), ["x"], {}))
    state = fold.new_state()
    for number, one in enumerate(said):
        record = LabelRecord(number, one.label_id, one.transaction, one.fraud, one.given_us)
        fold.fold(state, [record], x[:1])
    held = state.learned.entries
    places = state.learned.transactions
    names = sorted({one.transaction for one in said})
    hashes = label_numbers(names).tolist()
    return {
        name: bool(held[places[number]]["fraud"])
        for name, number in zip(names, hashes, strict=True)
        if number in places
    }, state


def by_topic(said: Sequence[Said]) -> dict[str, bool]:
    holding = HoldingVerdicts()
    holding.add([document(one) for one in said])
    return holding.frauds


@settings(max_examples=25, deadline=None)
@given(said=labels, chance=st.randoms())
def test_the_verdict_given_last_holds_everywhere_in_any_order(
    said: list[Said], chance: object
) -> None:
    wanted = expected(said)
    shuffled = said.copy()
    chance.shuffle(shuffled)  # type: ignore[attr-defined] # a random.Random
    for order in (said, shuffled):
        assert by_topic(order) == wanted
        assert by_windows(order) == wanted
        assert by_learner(order)[0] == wanted


def test_labels_without_a_weight_count_nowhere() -> None:
    said = [Said("L1", "a", fraud=True, given_us=1), Said("L2", "a", fraud=False, given_us=2)]
    weightless = document(said[1])
    weightless.weight = 0.0
    holding = HoldingVerdicts()
    holding.add([document(said[0]), weightless])
    assert holding.frauds == {"a": True}
    chain, alone = Chain(CARD), Chain(CARD)
    chain.absorb([document(said[0]), weightless], 0)
    alone.absorb([document(said[0])], 0)
    for one, other in zip(chain.states, alone.states, strict=True):
        one.labels_next = other.labels_next
    assert [state.digest() for state in chain.states] == [state.digest() for state in alone.states]


def test_a_label_id_that_comes_again_counts_once() -> None:
    said = [
        Said("L1", "a", fraud=True, given_us=1),
        Said("L2", "a", fraud=False, given_us=2),
        Said("L1", "a", fraud=True, given_us=3),
    ]
    assert by_topic(said) == by_windows(said) == by_learner(said)[0] == {"a": False}


def test_a_label_id_counts_once_also_on_another_transaction() -> None:
    said = [Said("L1", "a", fraud=True, given_us=1), Said("L1", "b", fraud=True, given_us=2)]
    assert by_topic(said) == {"a": True}
    chain = Chain(CARD)
    chain.absorb([document(one) for one in said])
    for stage, state in zip(chain.stages, chain.states, strict=True):
        assert not stage.side or state.arrays()["waiting"][:, 2].sum() == 1


def test_one_given_at_the_same_time_holds_by_its_id_not_by_its_turn() -> None:
    a, b = label_numbers(["a", "b"]).tolist()
    assert holds(7, a, 7, b) != holds(7, b, 7, a)
    assert not holds(7, a, 7, a)


def test_what_the_learner_holds_does_not_depend_on_a_snapshot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("model.learning.learned.RECENT", 3)
    said = [
        Said("late", "a", fraud=True, given_us=9),
        Said("early", "a", fraud=False, given_us=1),
        Said("x", "b", fraud=True, given_us=2),
        Said("y", "c", fraud=True, given_us=3),
    ]
    _, state = by_learner(said[:3])
    learned = state.learned
    again = Learned(learned.params, learned.entries)
    again.remembered = learned.remembered
    again.index()
    assert again.transactions == learned.transactions
    assert again.labels == learned.labels
    _, state = by_learner([*said, Said("z", "d", fraud=True, given_us=4)])
    a = int(label_numbers(["a"])[0])
    assert a not in state.learned.transactions, "what held is forgotten with its entry"


@settings(max_examples=60, deadline=None)
@given(said=labels, more=labels, limit=st.integers(1, 3))
def test_the_memory_of_verdicts_rolls_back_and_loads(
    said: list[Said], more: list[Said], limit: int
) -> None:
    def rows(said: list[Said]) -> np.ndarray:
        names = [label_numbers([getattr(s, key) for s in said]) for key in ("transaction",) * 2]
        numbers = label_numbers([s.label_id for s in said])
        return np.stack(
            [*names, [s.given_us for s in said], numbers, [1 + s.fraud for s in said]], axis=1
        ).astype(np.int64)

    memory = Newest(VERDICT, limit)
    first = memory.take(rows(said))
    assert first[0] == NEW
    before = memory.entries()
    memory.begin()
    outcome = memory.take(rows(more))
    memory.rollback()
    for left, right in zip(before, memory.entries(), strict=True):
        np.testing.assert_array_equal(left, right)
    loaded = Newest(VERDICT, limit)
    loaded.load(*before)
    np.testing.assert_array_equal(loaded.take(rows(more)), outcome)
    assert set(outcome.tolist()) <= {NEW, 1, OTHER}
