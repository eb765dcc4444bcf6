from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model.features import opcodes
from model.features.plan import Plan
from model.features.program import HEAD, LATE_US
from model.features.state import KeyedState
from tidegate.profile import load_profile

PROFILE = """
id: transaction_id
account: user_id
time: event_time
money: amount
entities: [user_id]
label_delay: 2d
fields:
  transaction_id: {type: string}
  user_id: {type: string}
  amount: {type: money, min: 0, max: 10000}
  event_time: {type: time}
features:
  count_1h: {op: count, by: user_id, window: 1h}
  sum_1h: {op: sum, of: amount, by: user_id, window: 1h}
  share: {op: expression, is: amount / sum_1h}
models:
  lightgbm: {}
thresholds: {review: 0.5, block: 0.9}
history: {simulate: 1000}
"""
MINUTE = 60_000_000
PANE = 5 * MINUTE


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    path = tmp_path / "small.yaml"
    path.write_text(PROFILE)
    return Plan(load_profile(str(path)), 0)


def test_the_program_drawn_in_plan_is_the_one_that_is_compiled(plan: Plan) -> None:
    assert plan.profile.values == ("amount", "count_1h", "sum_1h", "share")
    assert plan.program.code.tolist() == [
        [opcodes.WINDOW, 0, 5, 14, PANE, 2, 0, 0],
        [opcodes.TOTAL, 0, 5, 14, PANE, 2, 13, 0],
        [opcodes.COUNT, 1, 0, 0, 0, 0, 0, 0],
        [opcodes.SUM, 2, 0, 0, 0, 0, 0, 0],
        [opcodes.DIV, 4, 0, 2, 0, 0, 0, 0],
        [opcodes.COPY, 3, 4, 0, 0, 0, 0, 0],
    ]
    assert plan.program.consts[:, 0].tolist() == [100, 0, 100, 100, 0, 0]
    assert (plan.width, plan.program.registers) == (33, 5)


def test_the_row_drawn_in_windows_is_the_one_that_is_kept(plan: Plan) -> None:
    state, start = KeyedState(plan), 5_680_344 * PANE + 2 * MINUTE
    times = np.array([start, start + MINUTE, start + 7 * MINUTE])
    values = np.array([[12.5, 0, 0, 0], [8.0, 0, 0, 0], [30.0, 0, 0, 0]])
    state.begin()
    state.fold(np.full(3, 77), np.full((3, 1), 77), times, times, values)
    assert values[:, 1:3].tolist() == [[1, 12.5], [2, 20.5], [3, 50.5]]
    row = state.rows.table.rows[0].tolist()
    assert row[:HEAD] == [77, times[2], times[2], times[2] - LATE_US, 0]
    drawn = {5 + 12: 5_680_344 << 32 | 2, 5 + 13: 5_680_345 << 32 | 1, 19 + 12: 2050, 19 + 13: 3000}
    assert {place: word for place, word in enumerate(row[HEAD:], HEAD) if word} == drawn
