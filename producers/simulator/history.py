"""Simulated histories to train on, and how simulated transactions become JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from model.files.rows import UNKNOWN, Rows
from model.history.reading import Reading, read_rows
from producers.simulator.catalog import Scale, required_fields, simulation_of
from producers.simulator.scenarios import DAY_US, Columns
from tidegate.profile import Field, Profile

_HISTORY_DAYS = 60
_ROWS = 10_000
_NO_CELLS = pa.record_batch({})
_encode = msgspec.json.Encoder().encode


def simulate_history(
    profile: Profile, n: int, seed: int = 1, *, accounts: int = 0, merchants: int = 0
) -> pd.DataFrame:
    """Simulated transactions, n of them, in time order: the profile's fields and `label` (1: fraud,
    about 1%).

    The same arguments give the same frame. Times are UTC; `accounts` and `merchants` 0 means as
    many as suit n. Raises ConfigError when no simulator makes the profile's fields. Source of the
    handbook's rules: Fraud Detection Handbook, chapter 3.
    """
    simulation = simulation_of(profile)
    scale = Scale(
        accounts or simulation.accounts(n),
        merchants or simulation.merchants(n),
        simulation.begin_us,
        _HISTORY_DAYS * DAY_US,
    )
    world = simulation.world(profile, seed, scale)
    columns = world.window(scale.begin_us, _HISTORY_DAYS * 86_400, round(n * 1.03) + 30)
    order = np.argsort(columns["time_us"], kind="stable")[:n]
    ordered = {name: column[order] for name, column in columns.items()}
    return to_frame(profile, ordered, scale.begin_us, f"sim{seed}-")


def to_frame(profile: Profile, columns: Columns, begin_us: int, prefix: str) -> pd.DataFrame:
    """The world's columns as the profile's fields, in its order, and `label`; ids are prefix and
    row number.

    Required fields that the world does not know are filled by chance, as their types allow.
    """
    values = simulation_of(profile).fields(profile, columns, begin_us)
    values[profile.id_field] = _ids(len(columns["label"]), prefix)
    for field in required_fields(profile, values):
        values[field.name] = _by_chance(field, columns["time_us"], prefix)
    frame = pd.DataFrame({name: values[name] for name in profile.fields if name in values})
    frame["label"] = columns["label"]
    return frame


def encode_rows(profile: Profile, frame: pd.DataFrame) -> tuple[list[str], list[bytes]]:
    """Ids and JSON texts of a frame's rows, without columns that the profile does not know."""
    columns = {
        name: _json_values(field, frame[name])
        for name, field in profile.fields.items()
        if name in frame
    }
    rows = zip(*columns.values(), strict=True)
    lines = [_encode(dict(zip(columns, row, strict=True))) for row in rows]
    return columns[profile.id_field], lines


def simulated(profile: Profile, n: int) -> Reading:
    """A simulated history, read as a file is, with verdicts if the profile wants them.

    Raises ConfigError as `simulate_history` does.
    """
    frame = simulate_history(profile, n)
    if not profile.history.verdicts:
        frame = frame.drop(columns="label")
    return read_frame(profile, frame, f"simulate {n}")


def read_frame(profile: Profile, frame: pd.DataFrame, source: str = "simulate") -> Reading:
    """A frame's rows, taken as a file's are; a column `label` holds the verdicts, if it has one.

    Raises ConfigError when too many of them are refused.
    """
    return read_rows(profile, source, _rows(profile, frame))


def _rows(profile: Profile, frame: pd.DataFrame) -> Iterator[Rows]:
    for start in range(0, len(frame), _ROWS):
        part = frame.iloc[start : start + _ROWS]
        ids, lines = encode_rows(profile, part)
        labels = np.full(len(part), UNKNOWN, np.int8)
        if "label" in part:
            labels = part["label"].to_numpy(np.int8)
        numbers = np.arange(start + 1, start + len(part) + 1)
        yield Rows(numbers, list(map(str, ids)), lines, labels, [], _NO_CELLS)


def _json_values(field: Field, column: pd.Series) -> list[Any]:
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        naive = column.dt.tz_convert(None).to_numpy()
        return [f"{moment}Z" for moment in np.datetime_as_string(naive, unit="us").tolist()]
    if field.is_list:
        rows: list[Any] = np.stack(column.tolist()).tolist()
        return rows
    return column.tolist()


def _by_chance(field: Field, times_us: NDArray[np.int64], prefix: str) -> list[Any]:
    """A value for each time. The same field and prefix give the same values."""
    chance = np.random.default_rng([*f"{prefix}{field.name}".encode()])
    draws = chance.random(len(times_us)).tolist()
    return [
        field.example(draw, time_us) for draw, time_us in zip(draws, times_us.tolist(), strict=True)
    ]


def _ids(n: int, prefix: str) -> NDArray[Any]:
    return np.array([f"{prefix}{i:08d}" for i in range(n)], dtype=object)
