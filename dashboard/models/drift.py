"""The drift as the page shows it: windows that are still filling have not drifted."""

from __future__ import annotations

from typing import Any

import msgspec

from dashboard.context import Context
from tidegate.errors import Retry
from tidegate.profile.look_back import look_back


def drift(context: Context) -> dict[str, Any]:
    """What `moved`; what is `filling`, because it looks back on more than the stream has seen, and
    in how many us each is full (`left_us`); `trouble` when that is not known.

    Bundle and rows are of the process that has counted most; all is empty before one has counted
    enough.
    """
    newest = context.board.drift()
    answer: dict[str, Any] = {"bundle": "", "rows": 0, "moved": [], "filling": [], "trouble": ""}
    if newest is None:
        return answer
    try:
        age_us = context.store.age_us()
    except Retry:
        return answer | {"trouble": "the database is away"}
    waits = look_back(context.profile)
    columns = [
        msgspec.to_builtins(column) | {"left_us": max(0, waits.get(column.name, 0) - age_us)}
        for column in newest.moved
    ]
    return answer | {
        "bundle": newest.bundle,
        "rows": newest.rows,
        "moved": [column for column in columns if column["left_us"] == 0],
        "filling": [column for column in columns if column["left_us"] > 0],
    }
