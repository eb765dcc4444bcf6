"""One account's windows and the model's columns in plain Python, for the peers that are Python.

Only the standard library: it runs in the peers' own virtual environments.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

_SECOND = 1_000_000
_HOUR = 3600 * _SECOND
_DAY = 24 * _HOUR
_RINGS = ((300 * _SECOND, 13), (_HOUR, 25), (_DAY, 8))
"""Width of a pane in us, and how many panes count: an hour, a day, a week."""
_SLOTS = sum(reach for _, reach in _RINGS)
_STATE = struct.Struct(f"<{1 + 3 * _SLOTS}q")


class Columns:
    """From a transaction to the columns of the model, in its order."""

    def __init__(self, settings: Path) -> None:
        given = json.loads(settings.read_text())
        self.model: str = given["model"]
        self._names: list[str] = given["columns"]
        self._places = {
            name: {value: place for place, value in enumerate(values)}
            for name, values in given["categories"].items()
        }

    def row(self, transaction: Mapping[str, Any], state: list[int]) -> list[float]:
        """The columns; adds the transaction to its account's windows."""
        moment = datetime.fromisoformat(transaction["timestamp"])
        time = round(moment.timestamp()) * _SECOND
        amount = transaction["amount"]
        minor = round(amount * 100)
        last, state[0] = state[0], max(state[0], time + 1)
        angle = time % _DAY / _DAY * 2 * math.pi
        (n_hour, hour), (n_day, day), (n_week, week) = _totals(state, time, minor)
        known = {
            **transaction,
            **{name: places[transaction[name]] for name, places in self._places.items()},
            "hour_sin": math.sin(angle),
            "hour_cos": math.cos(angle),
            "weekday": (time // _DAY + 3) % 7,
            "is_night": time % _DAY // _HOUR < 7,
            "amount_log": math.log1p(amount),
            "location_mismatch": not transaction["location_match"],
            "user_count_1h": n_hour,
            "user_sum_1h": hour / 100,
            "user_count_1d": n_day,
            "user_sum_1d": day / 100,
            "user_count_7d": n_week,
            "user_mean_7d": week / n_week / 100,
            "user_since_last": max(time + 1 - last, 0) / 1e6 if last else math.nan,
        }
        return [float(known.get(name, math.nan)) for name in self._names]


def _totals(state: list[int], time: int, minor: int) -> list[tuple[int, int]]:
    """Count and sum of each window that ends with this transaction, which is added."""
    totals = []
    base = 1
    for width, reach in _RINGS:
        pane = time // width
        place = base + pane % reach * 3
        if state[place] != pane:
            state[place : place + 3] = pane, 0, 0
        state[place + 1] += 1
        state[place + 2] += minor
        count = total = 0
        for slot in range(base, base + 3 * reach, 3):
            if pane - reach < state[slot] <= pane:
                count += state[slot + 1]
                total += state[slot + 2]
        totals.append((count, total))
        base += 3 * reach
    return totals


def unpacked(stored: bytes | None) -> list[int]:
    """The windows that a store holds; empty ones for an account that it does not know."""
    return list(_STATE.unpack(stored)) if stored else [0] * (1 + 3 * _SLOTS)


def packed(state: list[int]) -> bytes:
    """The windows as a store holds them."""
    return _STATE.pack(*state)
