"""The fold of a history through the operator that serves: training sees what scoring will see."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model.features.columns import numbers
from model.features.operator import NO_ENTITY
from model.features.plan import Plan
from model.features.state import KeyedState
from model.hashing import hash64
from tidegate.errors import ConfigError
from tidegate.profile import Field, Profile
from tidegate.profile.field_types import Time

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
    frame: pd.DataFrame,
    labels: NDArray[np.integer] | None = None,
    progress: Callable[[float], None] = lambda _share: None,
) -> Floats:
    """The matrix f8[n, profile.values] of a history in event order.

    Columns of the frame are the profile's fields. `labels` (1 fraud, 0 legitimate, -1 unknown), one
    per row, become known at event time + the label delay. Times are datetimes (UTC), ISO texts or
    epoch seconds. `progress` is told the share done. Raises ConfigError when a required column is
    missing.
    """
    check_columns(profile, frame)
    return fold_columns(
        profile,
        event_times(profile, frame),
        hash_columns_of(profile, frame),
        inputs(profile, frame),
        labels,
        progress,
    )


def fold_columns(
    profile: Profile,
    times: Times,
    hashed: NDArray[np.uint64],
    values: Floats,
    labels: NDArray[np.integer] | None = None,
    progress: Callable[[float], None] = lambda _share: None,
) -> Floats:
    """Fill in the features of `values` f8[n, profile.values], whose inputs are there; returns it.

    `times` i8[n] us and `hashed` u8[n, profile.hashed] in the order of the log; `labels` as `fold`
    takes them: that of a late transaction becomes known no sooner than those before it in the log.
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


def check_columns(profile: Profile, frame: pd.DataFrame) -> None:
    """Raises ConfigError when a required column is missing."""
    for field in profile.fields.values():
        if field.name not in frame and not field.optional and field.name != profile.id_field:
            raise ConfigError(
                f"the history has no column {field.name!r}, which profile {profile.name} requires"
            )


def event_times(profile: Profile, frame: pd.DataFrame) -> Ints:
    """i8[n] us; zeros where the profile has no time field."""
    field = profile.fields.get(profile.time_field or "")
    if not isinstance(field, Time):
        return np.zeros(len(frame), np.int64)
    column = frame[field.name]
    if pd.api.types.is_numeric_dtype(column):
        return _moments(field, column.tolist())
    if not pd.api.types.is_datetime64_any_dtype(column):
        if not all(isinstance(value, str) for value in column):
            return _moments(field, column)
        column = pd.to_datetime(column, utc=True, format="ISO8601")
    if column.dt.tz is not None:
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    return column.to_numpy().astype("datetime64[us]").astype(np.int64)


def _moments(field: Time, column: Iterable[datetime | float]) -> Ints:
    """i8 us. Raises ConfigError with the first row that holds no time."""
    times = []
    for row, value in enumerate(column, 1):
        try:
            times.append(field.us(value))
        except ValueError as error:
            raise ConfigError(
                f"row {row}, column {field.name!r}: {value}: {error}; is the profile's `unit` that "
                "of the column?"
            ) from error
    return np.array(times, np.int64)


def inputs(profile: Profile, frame: pd.DataFrame) -> Floats:
    """f8[n, profile.values] with the inputs filled in, the rest missing."""
    values = np.full((len(frame), len(profile.values)), np.nan)
    for field, place in profile.input_fields:
        if field.name in frame:
            values[:, place] = _numbers(field, frame[field.name]).reshape(
                -1, place.stop - place.start
            )
    return values


def _numbers(field: Field, column: pd.Series) -> Floats:
    if field.is_number and pd.api.types.is_numeric_dtype(column):
        return numbers(field, column.to_numpy(np.float64, na_value=np.nan))
    cells = zip(column, column.isna(), strict=True)
    return numbers(field, [None if missing else value for value, missing in cells])


def minor_units(profile: Profile, values: Floats) -> Ints:
    """The amounts i8[n] in minor units of rows of `values`; zeros without a money field."""
    if profile.money_field is None:
        return np.zeros(len(values), np.int64)
    column = values[:, profile.values.index(profile.money_field)]
    amounts: Ints = np.rint(column * 10**profile.decimals).astype(np.int64)
    return amounts


def hash_columns_of(profile: Profile, frame: pd.DataFrame) -> NDArray[np.uint64]:
    """u8[n, profile.hashed]; each distinct text is hashed once."""
    hashes = np.zeros((len(frame), len(profile.hashed)), np.uint64)
    for number, name in enumerate(profile.hashed):
        if name in frame:
            codes, uniques = pd.factorize(frame[name])
            distinct = hash64([str(value).encode() for value in uniques])
            hashes[:, number] = np.append(distinct, np.uint64(0))[codes]  # code -1: missing
    return hashes


def _ids(labels: Ints) -> Ints:
    """Verdicts i8[n, 5] for `KeyedState.absorb`: a row's number from 1 on, twice (each is a
    transaction with one verdict at most), and 1 + its label.
    """
    rows = np.arange(1, len(labels) + 1)
    none = np.zeros(len(labels), np.int64)
    return np.stack([rows, rows, none, none, labels + 1], axis=1)
