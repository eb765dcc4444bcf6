"""Simulated traffic for the shipped profiles: histories to train on, and live posts with
verdicts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from producers.simulator.scenarios import (
    CATEGORIES,
    DAY_US,
    DEVICES,
    MERCHANT_TYPES,
    CardWorld,
    Columns,
    World,
)
from producers.simulator.worlds import HANDBOOK_EPOCH_US, HandbookWorld, VectorWorld, WalletWorld
from tidegate.errors import ConfigError
from tidegate.profile import Field, Profile

HISTORY_BEGIN_US = 1_735_689_600_000_000  # 2025-01-01
_HISTORY_DAYS = 60
_encode = msgspec.json.Encoder().encode


def make_world(
    profile: Profile, seed: int, *, accounts: int, merchants: int, begin_us: int, drift_us: int
) -> World:
    """The population behind a shipped profile. Raises ConfigError for another one."""
    worlds: dict[str, Callable[[], World]] = {
        "card": lambda: CardWorld(seed, accounts, merchants, drift_us, begin_us),
        "wallet": lambda: WalletWorld(seed, accounts),
        "creditcard": lambda: VectorWorld(seed, 28),
        "vector": lambda: VectorWorld(seed, _width(profile)),
        "handbook": lambda: HandbookWorld(seed, accounts, merchants),
    }
    if profile.name not in worlds:
        raise ConfigError(
            f"{profile.path}: there is no simulator for profile {profile.name!r}, only for "
            f"{', '.join(worlds)}; name a file under history instead"
        )
    return worlds[profile.name]()


def simulate_history(
    profile: Profile, n: int, seed: int = 1, *, accounts: int = 0, merchants: int = 0
) -> pd.DataFrame:
    """Simulated transactions, n of them, in time order: the profile's fields and `label` (1: fraud,
    about 1%).

    The same arguments give the same frame. Times are UTC; `accounts` and `merchants` 0 means as
    many as suit n. Source of the handbook's rules: Fraud Detection Handbook, chapter 3.
    """
    book = profile.name == "handbook"  # 1.9 payments a day of a customer, and 1 at a terminal
    accounts = accounts or (max(500, n // 115) if book else max(60, n // 80))
    merchants = merchants or (max(1000, n // 60) if book else max(40, n // 400))
    begin = HANDBOOK_EPOCH_US if book else HISTORY_BEGIN_US
    world = make_world(
        profile,
        seed,
        accounts=accounts,
        merchants=merchants,
        begin_us=begin,
        drift_us=_HISTORY_DAYS * DAY_US,
    )
    columns = world.window(begin, _HISTORY_DAYS * 86_400, round(n * 1.03) + 30)
    order = np.argsort(columns["time_us"], kind="stable")[:n]
    return to_frame(
        profile, {name: column[order] for name, column in columns.items()}, begin, f"sim{seed}-"
    )


def to_frame(profile: Profile, columns: Columns, begin_us: int, prefix: str) -> pd.DataFrame:
    """The world's columns as the profile's fields, in its order, and `label`; ids are prefix and
    row number.
    """
    n = len(columns["label"])
    made = _fields(profile, columns, begin_us)
    made[profile.id_field] = _ids(profile, n, prefix)
    frame = pd.DataFrame({name: made[name] for name in profile.fields if name in made})
    frame["label"] = columns["label"]
    return frame


def _fields(profile: Profile, columns: Columns, begin_us: int) -> dict[str, Any]:
    name, time = profile.name, pd.to_datetime(columns["time_us"], unit="us", utc=True)
    if name == "creditcard":
        return {
            "Time": (columns["time_us"] - begin_us) // 1_000_000,
            "Amount": columns["amount"],
            **{f"V{i + 1}": columns["data"][:, i] for i in range(28)},
        }
    if name == "vector":
        return {"data": list(columns["data"]), "timestamp": time}
    if name == "handbook":
        return {
            **columns,
            "TX_DATETIME": time,
            **{
                name: _plain(profile.fields[name], columns[name])
                for name in ("CUSTOMER_ID", "TERMINAL_ID")
            },
        }
    made: dict[str, Any] = {**columns, "timestamp": time}
    if name == "card":
        kind = columns["kind"]
        made |= {
            "merchant_type": _words(MERCHANT_TYPES, kind),
            "merchant_category": np.array(CATEGORIES)[kind],
            "device_type": _words(DEVICES, columns["device"]),
        }
    return made


def encode_rows(profile: Profile, frame: pd.DataFrame) -> tuple[list[str], list[bytes]]:
    """Ids and JSON texts of a frame's rows; columns that are not fields of the profile (the label)
    are left out.
    """
    columns: dict[str, list[Any]] = {}
    for name in (name for name in profile.fields if name in frame):
        values = frame[name]
        if isinstance(values.dtype, pd.DatetimeTZDtype):
            values = (
                pd.Series(np.datetime_as_string(values.dt.tz_convert(None).to_numpy(), unit="us"))
                + "Z"
            )
        vector = profile.fields[name].type == "vector"
        columns[name] = np.stack(values.tolist()).tolist() if vector else values.tolist()
    rows = zip(*columns.values(), strict=True)
    return columns[profile.id_field], [
        _encode(dict(zip(columns, row, strict=True))) for row in rows
    ]


def _plain(field: Field, numbers: NDArray[Any]) -> NDArray[Any]:
    """Numbers that the profile may want as text."""
    if field.type == "integer" or field.integers:
        return numbers
    return np.array([str(number) for number in numbers.tolist()], dtype=object)


def _words(words: tuple[str, ...], codes: NDArray[Any]) -> NDArray[Any]:
    chosen: NDArray[Any] = np.array(words, dtype=object)[codes]
    return chosen


def _ids(profile: Profile, n: int, prefix: str) -> NDArray[Any]:
    if profile.fields[profile.id_field].type == "integer":
        return np.arange(n)
    return np.array([f"{prefix}{i:08d}" for i in range(n)], dtype=object)


def _width(profile: Profile) -> int:
    return profile.fields["data"].length
