"""The fold of a history through the operator that serves: training sees what scoring will see."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.features.operator import NO_ENTITY
from model.features.plan import Plan
from model.features.state import KeyedState
from tidegate.profile import Profile

if TYPE_CHECKING:
    from model.history.history import History  # with pyarrow, which the slim image has not

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Times = NDArray[np.int64]
Labels = NDArray[np.int8]
_CHUNK = 100_000
"""Rows between two commits: each begins by saving every state row it meets once."""


class Log(NamedTuple):
    """Rows in log order: `values` f8[n, len(profile.values)], `labels` i1[n] (1 fraud, 0
    legitimate, -1 never known), `times` i8[n] us.
    """

    values: Floats
    labels: Labels
    times: Times


def fold(
    profile: Profile,
    history: History,
    progress: Callable[[float], None] = lambda _share: None,
    *,
    blind: bool = False,
) -> Floats:
    """Fill in the features of a history; gives its matrix f8[n, profile.values].

    Verdicts become known at event time + the label delay; none ever does where the features are
    `blind`. `progress` is told the share done.
    """
    labels = None if blind else history.labels
    return fold_columns(profile, history.times, history.hashes, history.values, labels, progress)


def fold_columns(
    profile: Profile,
    times: Times,
    hashed: NDArray[np.uint64],
    values: Floats,
    labels: NDArray[np.integer] | None = None,
    progress: Callable[[float], None] = lambda _share: None,
) -> Floats:
    """Fill in the features of `values` f8[n, profile.values], whose inputs are there; returns it.

    `times` i8[n] us and `hashed` u8[n, profile.hashed] in the order of the log; `labels` i1[n] as
    in `History`: that of a late transaction becomes known no sooner than those before it in the
    log.
    A history has no ingest times: its event times stand for them, and where they go back no row
    leaves, so that no time of one row moves another's features.
    """
    n = len(times)
    hashes = hashed.view(np.int64)
    in_order = bool((np.diff(times) >= 0).all())
    known_us = np.maximum.accumulate(times) + profile.label_delay_us
    ids = None if labels is None else _ids(np.asarray(labels, np.int64))
    for step in range(profile.steps):
        plan = Plan(profile, step)
        state = KeyedState(plan, evicts=in_order)
        keys = np.ascontiguousarray(hashes[:, plan.key]) if plan.key >= 0 else times
        for start in range(0, n, _CHUNK):
            rows = slice(start, start + _CHUNK)
            state.begin()
            if ids is not None and plan.keeps_verdicts:
                known = np.flatnonzero((ids[rows, 4] > 0) & (keys[rows] != NO_ENTITY)) + start
                state.absorb(
                    ids[known], keys[known], known_us[known], values[known[:, None], plan.carried]
                )
            state.fold(keys[rows], hashes[rows], times[rows], times[rows], values[rows])
            state.commit()
            progress((step + start / n) / profile.steps)
    return values


def minor_units(profile: Profile, values: Floats) -> Ints:
    """The amounts i8[n] in minor units of rows of `values`; zeros without a money field."""
    if profile.money_field is None:
        return np.zeros(len(values), np.int64)
    column = values[:, profile.values.index(profile.money_field)]
    amounts: Ints = np.rint(column * 10**profile.decimals).astype(np.int64)
    return amounts


def _ids(labels: Ints) -> Ints:
    """Verdicts i8[n, 5] for `KeyedState.absorb`: a row's number from 1 on, twice (each is a
    transaction with one verdict at most), and 1 + its label.
    """
    rows = np.arange(1, len(labels) + 1)
    none = np.zeros(len(labels), np.int64)
    return np.stack([rows, rows, none, none, labels + 1], axis=1)
