from __future__ import annotations

import numpy as np

from db.history import newest_us, read_period, read_shadowed
from db.store import Store
from tests.db.scored import LAYOUT, NAMES, Writer, frames, values


def test_a_period_is_read_in_event_time(writer: Writer, url: str) -> None:
    writer.write(
        *values(["late"], event_us=3_000),
        *values(["early"], event_us=1_000, account="u2"),
        *values(["out"], event_us=4_000),
    )
    period = read_period(url, NAMES.hash, 2, 1_000, 4_000)
    assert (period.ids, period.accounts, period.times.tolist(), period.others) == (
        ["early", "late"],
        ["u2", "u1"],
        [1_000, 3_000],
        0,
    )
    np.testing.assert_array_equal(period.values, [[1.5, np.nan]] * 2)
    assert (newest_us(url, NAMES.hash), newest_us(url, "another1")) == (4_000, 0)
    nothing = read_period(url, "another1", 2, 0, 4_000)
    assert (nothing.ids, nothing.values.shape, nothing.others) == ([], (0, 2), 2)


def test_rows_that_a_shadow_scored_too(writer: Writer, url: str, store: Store) -> None:
    before, plain, beside = (
        frames(["before", "off"]),
        frames(["plain"]),
        frames(["beside"], score=0.75),
    )
    before.rows["models_offset"], before.rows["scores"][:, -1] = [4, 6], [0.9, np.nan]
    plain.rows["models_offset"], beside.rows["models_offset"] = 6, 6
    plain.rows["scores"][:, -1], beside.rows["scores"][:, -1] = np.nan, 0.625
    writer.write(*(value for batch in (before, plain, beside) for value in LAYOUT.pack(batch)))
    rows = read_shadowed(url, NAMES.hash, 4, 2)
    assert (rows.ids, rows.times.tolist(), rows.champion.tolist(), rows.shadow.tolist()) == (
        ["beside"],
        [1_000],
        [0.75],
        [0.625],
    )
    assert rows.decided.tolist() == beside.rows["decision"].tolist()
    row, other = store.get("beside"), store.get("plain")
    assert row is not None
    assert other is not None
    assert row["scores"] == {"trees": 0.25, "online": 0.5, "shadow": 0.625}
    assert other["scores"] == {"trees": 0.25, "online": 0.5}
