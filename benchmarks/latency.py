"""From when a post was due to its row's commit, and how many posts a second are answered."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import numpy as np
import sqlalchemy as sa

from benchmarks.load import LoadResult, drive, render
from benchmarks.pipeline import card_transactions
from benchmarks.system import System, tidegate
from tests.support import eventually
from tidegate.settings import Settings

RATE = 1000
BATCH = 500


def latency(system: System, settings: Settings, seconds: int) -> tuple[float, float]:
    """p50 and p99 in ms at 1,000 posts/s, to PostgreSQL's own commit timestamp of the row.

    Open loop: the clock of a post starts when it was due, whether or not a connection was free.
    """
    url = ingest_address(system) + "/v1/transactions"
    _post(url, [value for _, value in card_transactions(3 * RATE, "warmer-", 11)])
    values = [value for _, value in card_transactions(seconds * RATE, "lat-", 12)]
    answered = _post(url, values)
    commits = _commits(settings, len(values))
    late = [
        commits[json.loads(value)["transaction_id"]] - answered.began_us - i * 1e6 / RATE
        for i, value in enumerate(values)
    ]
    p50, p99 = np.percentile(late, [50, 99]) / 1000
    return float(p50), float(p99)


def _post(url: str, values: list[bytes]) -> LoadResult:
    result = drive(url, [render(url, value) for value in values], connections=32, rate=RATE)
    if result.accepted != len(values):
        raise RuntimeError(
            f"only {result.accepted} of {len(values)} posts were accepted: {result.statuses}"
        )
    return result


def _commits(settings: Settings, count: int) -> dict[str, float]:
    """Commit time in us since 1970 of each row of the latency run, once all are there."""
    engine = sa.create_engine(settings.db_url)
    query = sa.text(
        "SELECT transaction_id, extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1e6 "
        "FROM transactions WHERE transaction_id LIKE 'lat-%'"
    )

    def all_rows() -> dict[str, float]:
        with engine.connect() as connection:
            rows = {str(name): float(moment) for name, moment in connection.execute(query)}
        return rows if len(rows) == count else {}

    commits = eventually(all_rows, 60, every=1.0)
    engine.dispose()
    return commits


def single_posts(system: System, n: int, key: str = "") -> float:
    """Single posts a second with a durable answer, 64 connections; keys are asked for if one is
    given, unless the API runs already.
    """
    url = ingest_address(system, auth="keys" if key else "auto") + "/v1/transactions"
    values = [value for _, value in card_transactions(n, "single-", 13)]
    requests = [render(url, value, key=key) for value in values]
    drive(url, requests[: n // 10], connections=64)
    return _accepted_rate(drive(url, requests[n // 10 :], connections=64))


def batch_posts(system: System, n: int) -> float:
    """Transactions a second in posts of 500 (NDJSON) with a durable answer, 4 connections."""
    url = ingest_address(system) + "/v1/transactions/batch"
    values = [value for _, value in card_transactions(n, "batch-", 14)]
    requests = [
        render(url, b"\n".join(values[start : start + BATCH]), "application/x-ndjson")
        for start in range(0, n, BATCH)
    ]
    return _accepted_rate(drive(url, requests, connections=4)) * BATCH


def _accepted_rate(result: LoadResult) -> float:
    if set(result.statuses) != {202}:
        raise RuntimeError(f"not all posts were accepted: {result.statuses}")
    return result.accepted / result.seconds


def ingest_address(system: System, auth: str = "auto") -> str:
    """The address of the ingest API, started with this TIDEGATE_AUTH if it does not run yet."""
    address = f"http://127.0.0.1:{system.port}"
    if "ingest" not in system.processes:
        system.run("ingest", tidegate("run", "ingest"), system.settings(auth=auth))
        eventually(lambda: _answers(address + "/healthz"), 60)
    return address


def _answers(url: str) -> bool:
    """Whether it answers by now."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own address on loopback
            return bool(answer.status == 200)
    except (urllib.error.URLError, TimeoutError):
        return False
