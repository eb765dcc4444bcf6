"""The window over a stream: a fold of the last two blocks, whatever the batches were, and of one
bundle only.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.drift.reference import Grid, reference_of
from model.drift.window import ScoredColumns, WindowState, fold, reached, rows_of
from tidegate.errors import ConfigError

CHANCE = np.random.default_rng(3)
BLOCK = 8
THEN = CHANCE.normal(size=(2000, 2))
REFERENCE = reference_of(["a"], THEN[:, :1], THEN[:, 1])
GRID = Grid([REFERENCE.features["a"], REFERENCE.score])
BUNDLES = (b"old", b"new")


def rows(steps: list[tuple[int, int]]) -> ScoredColumns:
    """A log of rows: how far each lies behind the one before, and by which bundle."""
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
    for start, stop in zip([0, *cuts], [*cuts, len(log.offsets)], strict=True):
        if start < stop:
            state.begin()
            fold(state, cut(log, start, stop), lambda _: GRID, BLOCK)
            state.commit()
    return state


LOGS = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 1)), min_size=1, max_size=60)


@given(LOGS, st.data())
def test_it_is_one_fold_however_the_log_is_cut(
    steps: list[tuple[int, int]], data: st.DataObject
) -> None:
    log = rows(steps)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(steps)), max_size=5)))
    assert folded(log, *cuts).digest() == folded(log, *range(1, len(steps))).digest()


@given(LOGS)
def test_only_the_last_two_blocks_count(steps: list[tuple[int, int]]) -> None:
    log = rows(steps)
    first = int(np.searchsorted(log.offsets, log.offsets[-1] + 1 - 2 * BLOCK))
    needed = reached(log.offsets, BLOCK)
    assert needed >= first
    for short in (cut(log, first, len(steps)), cut(log, needed, len(steps))):
        assert folded(short).digest() == folded(log).digest()


def test_the_newest_two_blocks_speak() -> None:
    log = rows([(1, 0)] * 30)
    state = folded(log)
    assert (rows_of(state.counts[b"old"]), state.block) == (15, 3), "offsets 16 to 30"
    assert state.counts[b"old"].sum(axis=0).tolist() == GRID.count(log.x[15:]).tolist()


def test_each_bundle_has_its_own_window_and_the_one_with_most_rows_speaks() -> None:
    log = rows([(1, 0)] * 4 + [(1, 1), (1, 0), (1, 1)])
    state = folded(log)
    assert state.bundle == b"old"
    assert state.counts[b"new"][1].tolist() == GRID.count(log.x[[4, 6]]).tolist()
    promoted = folded(rows([(1, 0)] * 7 + [(1, 1)] * 8))
    assert (promoted.bundle, sorted(promoted.counts)) == (b"new", [b"new", b"old"])
    assert sorted(folded(rows([(1, 0)] * 7 + [(1, 1)] * 9)).counts) == [b"new"]


def test_of_an_unknown_bundle_nothing_is_counted() -> None:
    state = WindowState(2)
    fold(state, rows([(1, 0)] * 3), lambda _: None, BLOCK)
    assert (state.bundle, state.counts) == (b"", {})


def test_a_rollback_restores_every_bit_and_a_snapshot_too() -> None:
    log = rows([(1, 0)] * 20)
    state = folded(cut(log, 0, 6))
    before = state.digest()
    state.begin()
    fold(state, cut(log, 6, 20), lambda _: GRID, BLOCK)
    state.rollback()
    assert state.digest() == before
    again = WindowState(2)
    again.load(state.arrays())
    assert again.digest() == before
    with pytest.raises(ConfigError, match="delete it"):
        WindowState(3).load(state.arrays())
