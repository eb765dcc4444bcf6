"""The window over a stream: a fold of its newest rows, whatever the batches were, each counted with
its bundle.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.drift.reference import Grid, reference_of
from model.drift.window import REACH, ROWS, ScoredColumns, WindowState, fold, rows_of
from tidegate.errors import ConfigError

CHANCE = np.random.default_rng(3)
MOST = 16
THEN = CHANCE.normal(size=(2000, 2))
REFERENCE = reference_of(["a"], THEN[:, :1], THEN[:, 1])
GRID = Grid([REFERENCE.features["a"], REFERENCE.score])
BUNDLES = (b"old", b"new")


def rows(steps: list[tuple[int, int]]) -> ScoredColumns:
    """A log of rows: how many messages each lies behind the one before, and by which bundle."""
    gaps, bundles = zip(*steps, strict=True)
    x = np.random.default_rng(len(steps)).normal(size=(len(steps), 2))
    return ScoredColumns(
        np.cumsum(gaps), np.array([BUNDLES[bundle] for bundle in bundles], "S16"), x
    )


def cut(log: ScoredColumns, start: int, stop: int) -> ScoredColumns:
    return ScoredColumns(*(column[start:stop] for column in log))


def folded(log: ScoredColumns, *cuts: int) -> WindowState:
    """The state after the log in batches."""
    state = WindowState(2)
    for start, stop in zip([0, *cuts], [*cuts, len(log.messages)], strict=True):
        if start < stop:
            state.begin()
            fold(state, cut(log, start, stop), lambda _: GRID, MOST)
            state.commit()
    return state


LOGS = st.lists(
    st.tuples(st.sampled_from([0, 0, 1, 2, REACH // 4]), st.integers(0, 1)), min_size=1, max_size=60
)


@given(LOGS, st.data())
def test_it_is_one_fold_however_the_log_is_cut(
    steps: list[tuple[int, int]], data: st.DataObject
) -> None:
    log = rows(steps)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(steps)), max_size=5)))
    assert folded(log, *cuts).digest() == folded(log, *range(1, len(steps))).digest()


@given(LOGS)
def test_only_the_newest_rows_and_messages_count(steps: list[tuple[int, int]]) -> None:
    log = rows(steps)
    first = int(np.searchsorted(log.messages, log.messages[-1] + 1 - REACH))
    needed = max(first, len(steps) - MOST)
    for short in (cut(log, first, len(steps)), cut(log, needed, len(steps))):
        assert folded(short).digest() == folded(log).digest()


def test_a_block_of_many_rows_fills_it_as_many_messages_do() -> None:
    one_block, alone = rows([(0, 0)] * 30), rows([(1, 0)] * 30)
    for log in (one_block, alone):
        state = folded(log)
        assert rows_of(state.counts(b"old")) == MOST
        assert state.counts(b"old").tolist() == GRID.count(log.x[-MOST:]).tolist()


def test_by_itself_it_keeps_what_a_report_rests_on() -> None:
    state = WindowState(2)
    fold(state, rows([(0, 0)] * (ROWS + 900)), lambda _: GRID)
    assert rows_of(state.counts(b"old")) == ROWS


def test_each_bundle_has_its_own_counts_and_the_one_with_most_rows_speaks() -> None:
    log = rows([(1, 0)] * 4 + [(1, 1), (1, 0), (1, 1)])
    state = folded(log)
    assert state.bundle == b"old"
    assert state.counts(b"new").tolist() == GRID.count(log.x[[4, 6]]).tolist()
    assert folded(rows([(1, 0)] * 7 + [(1, 1)] * 9)).bundle == b"new"
    assert rows_of(folded(rows([(1, 0)] * 7 + [(1, 1)] * MOST)).counts(b"old")) == 0


def test_of_an_unknown_bundle_nothing_is_counted() -> None:
    state = WindowState(2)
    fold(state, rows([(1, 0)] * 3), lambda _: None, MOST)
    assert (state.bundle, rows_of(state.counts(b"old"))) == (b"", 0)


def test_a_rollback_restores_every_bit_and_a_snapshot_too() -> None:
    log = rows([(1, 0)] * 20)
    state = folded(cut(log, 0, 6))
    before = state.digest()
    state.begin()
    fold(state, cut(log, 6, 20), lambda _: GRID, MOST)
    state.rollback()
    assert state.digest() == before
    again = WindowState(2)
    again.load(state.arrays())
    assert again.digest() == before
    with pytest.raises(ConfigError, match="delete it"):
        WindowState(3).load(state.arrays())
