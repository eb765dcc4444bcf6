"""A rollback of the learner: from a checkpoint, in parts between polls, with the bits of a whole
fold.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import consumers.learn
from consumers.learn import LearnStage
from consumers.replay.logs import Logs, PastWeights
from consumers.rewinding import Checkpoint, Rewinding, checkpoints_of
from model.bundles.published import label_history
from model.learning.learned import LearnState
from tests.consumers.learners import Hands, learnt, published, runner
from tests.consumers.test_learn import batch, folded, label, rollback
from tests.trained import Trained
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Batch
from tidegate.errors import Retry, Unfinished
from tidegate.pipeline import DLQ, LABELS, MODELS, OUTCOMES
from tidegate.stream.snapshot import Snapshots, thinned

REUSE = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def until_unfinished_is_done(stage: LearnStage, state: LearnState, part: Batch) -> int:
    """How often the stage asked to be called again."""
    for times in range(1000):
        state.begin()
        try:
            stage.process(state, part)
        except Unfinished:
            state.rollback()
        else:
            state.commit()
            return times
    raise AssertionError("it never ends")


@REUSE
@given(
    log=st.lists(
        st.one_of(st.integers(0, 30), st.integers(0, 25).map(str)), min_size=1, max_size=30
    ),
    cuts=st.lists(st.integers(0, 30), max_size=6),
    kept=st.sets(st.integers(0, 30)),
    at_once=st.integers(1, 4),
)
def test_any_checkpoints_and_any_parts_give_the_bits_of_the_whole_fold(
    trained: Trained, log: list[int | str], cuts: list[int], kept: set[int], at_once: int
) -> None:
    whole = batch(
        *[
            label(trained, entry, f"l{at}", fraud=at % 2 == 0)
            if isinstance(entry, int)
            else rollback(trained, min(int(entry), at))
            for at, entry in enumerate(log)
        ]
    )

    def history(start: int, stop: int) -> Iterator[Batch]:
        yield from (whole.slice(at, at + 1) for at in range(start, stop))

    ends = sorted({0, *(min(cut, len(log)) for cut in cuts), len(log)})
    parts = [whole.slice(start, stop) for start, stop in pairwise(ends)]
    wanted = folded(LearnStage(trained.profile, trained.bundle, history), *parts)
    taken: dict[int, Checkpoint] = {}
    stage = LearnStage(trained.profile, trained.bundle, history)
    stage.checkpoints = lambda first, last: max(
        (point for point in taken.values() if first <= point.offset <= last),
        key=lambda point: point.offset,
        default=None,
    )
    state = stage.new_state(0, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(consumers.learn, "_AT_ONCE", at_once)
        for part in parts:
            until_unfinished_is_done(stage, state, part)
            if part.next_offset in kept:
                taken[part.next_offset] = Checkpoint(part.next_offset, state.arrays())
    assert state.digest() == wanted.digest()


def test_what_was_folded_before_the_log_went_away_is_kept(trained: Trained) -> None:
    log = batch(*[label(trained, at) for at in range(8)])
    asked: list[int] = []

    def history(start: int, stop: int) -> Iterator[Batch]:
        asked.append(start)
        yield log.slice(start, start + 2)
        if len(asked) < 3:
            raise Retry("away")
        yield log.slice(start + 2, stop)

    stage = LearnStage(trained.profile, trained.bundle, history)
    state = stage.new_state(0, 1)
    rewinding = Rewinding([(0, 8)], state, lambda then, part: stage.process(then, part) and None)
    for _ in range(2):
        with pytest.raises(Retry):
            rewinding.go_on(history, 100)
    assert rewinding.go_on(history, 100)
    assert asked == [0, 2, 4]
    assert state.digest() == folded(stage, log).digest()


def test_a_rollback_is_folded_between_polls_from_a_checkpoint(
    trained: Trained, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setattr(consumers.learn, "_AT_ONCE", 10)
    url, clock = f"file://{tmp_path_factory.mktemp('snapshots')}", Hands()
    broker = MemoryBroker({LABELS: 1, MODELS: 1, OUTCOMES: 1, DLQ: 1})
    values = [label(trained, at % 50, f"l{at}", fraud=at % 3 == 0) for at in range(400)]
    for value in values:
        broker.append(LABELS, b"k", value, None, None)
    run = runner(broker, trained, url, clock, most=40)
    reads: list[tuple[int, int]] = []
    stage = run._stage
    history = stage._history

    def watched(start: int, stop: int) -> Iterator[Batch]:
        reads.append((start, stop))
        yield from history(start, stop)

    stage._history = watched

    def until(offset: int) -> int:
        turns = 0
        while not published(broker) or published(broker)[-1].labels < offset:
            run.run_once()
            clock.now += 1_000_000
            turns += 1
            assert turns < 500
        return turns

    until(400)
    before = learnt()
    broker.append(LABELS, b"k", rollback(trained, 395), None, None)
    turns = until(401)
    first = min(start for start, _ in reads)
    assert first >= 300, "from a checkpoint, not from the first label"
    assert turns > (395 - first) / 40 >= 0, "polled between the parts"
    assert learnt() == before, "nothing is learnt a second time"
    alone = LearnStage(trained.profile, trained.bundle, label_history(broker))
    wanted = folded(alone, batch(*values[:395]))
    assert published(broker)[-1].weights == alone.weights(wanted).astype("<f8").tobytes()
    run.close()
    logs = Logs(broker, Snapshots(url))
    past = PastWeights(trained.profile, trained.bundle, logs)
    for message in published(broker):
        weights = past.at(message.labels)
        assert weights is not None
        assert weights.astype("<f8").tobytes() == message.weights, "as `tidegate replay` has it"
    logs.close()


@given(
    steps=st.lists(st.integers(20, 70), min_size=1, max_size=300),
    every=st.sampled_from([10, 20]),
)
@settings(max_examples=50, deadline=None)
def test_few_checkpoints_are_kept_and_none_is_far_from_any_offset(
    steps: list[int], every: int
) -> None:
    """Thinned at each step, as snapshots come."""
    kept: list[int] = []
    for step in steps:
        offsets = [(kept[0] if kept else 0) + step, *kept]
        kept = sorted(thinned(offsets, every), reverse=True)
        assert kept[:2] == offsets[:2]
    newest = kept[0]
    assert len(kept) <= 14 + 5 * (newest // every).bit_length()
    for later, earlier in pairwise([*kept, 0]):
        assert later - earlier <= max(steps) + max(2 * every, (newest - earlier) / 2)
    assert thinned(offsets, 0) == set(offsets[:2])


def test_a_snapshot_store_that_is_away_makes_no_rollback_a_dead_letter(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, broker = Hands(), MemoryBroker({LABELS: 1, MODELS: 1, OUTCOMES: 1, DLQ: 1})
    values = [label(trained, at) for at in range(20)]
    for value in values:
        broker.append(LABELS, b"k", value, None, None)
    snapshots = Snapshots("memory://away")
    run = runner(broker, trained, "memory://away", clock, most=100)
    run._stage.checkpoints = checkpoints_of(run._stage, broker, snapshots)
    away = [OSError("no endpoint"), RuntimeError("a client's own error")]

    def offsets(*_place: object) -> list[int]:
        if away:
            raise away.pop()
        return []

    monkeypatch.setattr(snapshots, "offsets", offsets)
    for at in range(60):
        if at == 10:
            broker.append(LABELS, b"k", rollback(trained, 5), None, None)
        run.run_once()
        clock.now += 1_000_000
    run.close()
    assert away == []
    assert [*broker.committed_records(DLQ)] == []
    alone = LearnStage(trained.profile, trained.bundle, label_history(broker))
    wanted = folded(alone, batch(*values[:5]))
    assert published(broker)[-1].labels == 21
    assert published(broker)[-1].weights == alone.weights(wanted).astype("<f8").tobytes()
