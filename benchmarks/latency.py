"""From when a post was due to its row's commit, step by step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from benchmarks.load import LoadResult, drive, render
from benchmarks.pipeline import card_transactions
from benchmarks.posting import ingest_address
from benchmarks.system import BROKER, System, cores
from tests.support import eventually
from tidegate.settings import Settings

RATE = 1000
_STEPS, _TIME_AT = 2, 20
"""Keyed steps of the card profile, and where in what a row keeps of each its time begins."""
HOPS = ("ingest", "preprocess", "preprocess-2", "score", "persist")
"""What a transaction passes, as the card profile's keyed steps are: each ends with a time that the
row holds, the last one with the commit."""


@dataclass(frozen=True)
class Latency:
    """Milliseconds from when posts were due to the commit of their rows, and what that took.

    `first_p50` and `last_p50` are of the posts of the first and of the last second: a step that
    falls behind shows in their ratio, and in its own median in `hops_p50`. `ours` and `broker` are
    cores of CPU while the posts were sent; the database is in neither.
    """

    p50: float
    p99: float
    first_p50: float
    last_p50: float
    hops_p50: dict[str, float]
    ours: float
    broker: float


def latency(
    system: System, settings: Settings, seconds: int, rate: int = RATE, prefix: str = "lat-"
) -> Latency:
    """At `rate` single posts a second, to PostgreSQL's own commit timestamp of each row.

    Open loop: the clock of a post starts when it was due, whether or not a connection was free.
    Call it after a run at full rate: a step that does not find back from that falls behind here.
    `prefix` is what ids begin with, which no earlier call had.
    """
    url = ingest_address(system) + "/v1/transactions"
    _post(url, [value for _, value in card_transactions(3 * rate, f"warmer-{prefix}", 11)], rate)
    values = [value for _, value in card_transactions(seconds * rate, prefix, 12)]
    before = system.usage()
    answered = _post(url, values, rate)
    used = cores(before, system.usage(), answered.seconds)
    due = answered.began_us + np.arange(len(values)) * 1e6 / rate
    times = row_times(settings, [json.loads(value)["transaction_id"] for value in values])
    hops = np.diff(np.column_stack([due, times]), axis=1) / 1000
    late = hops.sum(axis=1)
    p50, p99 = np.percentile(late, [50, 99])
    broker = used.pop(BROKER)
    return Latency(
        float(p50),
        float(p99),
        float(np.median(late[:rate])),
        float(np.median(late[-rate:])),
        dict(zip(HOPS, np.median(hops, axis=0).tolist(), strict=True)),
        sum(used.values()),
        broker,
    )


def _post(url: str, values: list[bytes], rate: int) -> LoadResult:
    result = drive(url, [render(url, value) for value in values], connections=32, rate=rate)
    if result.accepted != len(values):
        raise RuntimeError(
            f"only {result.accepted} of {len(values)} posts were accepted: {result.statuses}"
        )
    return result


def row_times(settings: Settings, ids: Sequence[str]) -> NDArray[np.float64]:
    """When each step had done its part, in us since 1970, once all rows are there.

    f8[n, 3 + keyed steps], in the order of `ids`: taken in, each keyed step, scored, committed.
    Raises AssertionError when a row is not there within a minute.
    """
    engine = sa.create_engine(settings.db_url)
    query = sa.text(
        "SELECT transaction_id, ingested_us, trace, scored_us, "
        "extract(epoch FROM pg_xact_commit_timestamp(transactions.xmin)) * 1e6 "
        "FROM transactions JOIN unnest(CAST(:ids AS text[])) AS asked(id) ON transaction_id = id"
    )

    def all_rows() -> list[sa.Row[tuple[str, int, bytes, int, float]]]:
        with engine.connect() as connection:
            rows = list(connection.execute(query, {"ids": list(ids)}))
        return rows if len(rows) == len(ids) else []

    rows = {row[0]: row[1:] for row in eventually(all_rows, 60, every=1.0)}
    engine.dispose()
    ingested, traces, scored, committed = zip(*(rows[name] for name in ids), strict=True)
    steps = np.frombuffer(b"".join(map(bytes, traces)), _step(len(traces[0])))["time_us"]
    steps = steps.reshape(len(ids), -1)
    return np.column_stack([ingested, steps, scored, np.array(committed, float)]).astype(float)


def _step(trace: int) -> np.dtype[np.void]:
    """What a row of so many bytes of trace keeps of a step, in any version: its time."""
    return np.dtype(
        {
            "names": ["time_us"],
            "formats": ["<i8"],
            "offsets": [_TIME_AT],
            "itemsize": trace // _STEPS,
        }
    )
