"""A rollback of the learner among its labels: which of them count."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from consumers.learn import LearnStage
from tests.consumers.test_learn import REUSE, batch, folded, label, no_history, rollback
from tests.trained import Trained
from tidegate.broker.records import Batch
from tidegate.messages.documents import (
    OnlineWeights,
    decode_model,
)


def counted(log: list[int | str], stop: int) -> list[int]:
    """The offsets of the labels that make the weights before `stop`: a rollback is what was before
    its target.
    """
    found: list[int] = []
    for at, entry in enumerate(log[:stop]):
        found = [*found, at] if isinstance(entry, int) else counted(log, min(int(entry), at))
    return found


@REUSE
@given(
    log=st.lists(
        st.one_of(st.integers(0, 30), st.integers(0, 20).map(str)), min_size=1, max_size=20
    ),
    cuts=st.lists(st.integers(0, 20), max_size=4),
)
def test_a_rollback_leaves_the_labels_that_counted_then(
    trained: Trained, log: list[int | str], cuts: list[int]
) -> None:
    values = [
        label(trained, entry, f"l{at}", fraud=at % 2 == 0)
        if isinstance(entry, int)
        else rollback(trained, min(int(entry), at))
        for at, entry in enumerate(log)
    ]
    whole = batch(*values)

    def history(start: int, stop: int) -> Iterator[Batch]:
        yield from (whole.slice(at, at + 1) for at in range(start, stop))

    stage = LearnStage(trained.profile, trained.bundle, history)
    ends = [0, *sorted(min(cut, len(log)) for cut in cuts), len(log)]
    state = folded(
        stage, *[whole.slice(start, stop) for start, stop in pairwise(ends) if start < stop]
    )
    left = counted(log, len(log))
    only = Batch(
        whole.source,
        left,
        [b""] * len(left),
        [values[at] for at in left],
        [0] * len(left),
        [None] * len(left),
    )
    fresh = LearnStage(trained.profile, trained.bundle, no_history)
    wanted = folded(fresh, *([only] if left else []))
    assert state.params.tobytes() == wanted.params.tobytes()
    assert stage.load_state(0, 1, state.arrays()).digest() == state.digest()
    before = state.digest()
    state.begin()
    stage.process(state, batch(rollback(trained, 0), label(trained, 40), start=len(log)))
    state.rollback()
    assert state.digest() == before


def test_a_rollback_publishes_and_another_profiles_does_nothing(trained: Trained) -> None:
    log = batch(*[label(trained, at) for at in range(4)])
    stage = LearnStage(
        trained.profile, trained.bundle, lambda start, stop: iter([log.slice(start, stop)])
    )
    state = folded(stage, log)
    other = stage.process(state, batch(rollback(trained, 2, "deadbeef"), start=4))
    assert not other.rejects
    assert state.learned.learnt == 4
    message = decode_model(
        stage.process(state, batch(rollback(trained, 2), start=5)).emits[0].values[0] or b""
    )
    assert isinstance(message, OnlineWeights)
    assert (message.labels, message.learnt, message.frozen) == (6, 2, False)
    assert message.weights == folded(stage, log.slice(0, 2)).params.astype("<f8").tobytes()
