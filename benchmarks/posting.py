"""How many posts a second are answered."""

from __future__ import annotations

import urllib.error
import urllib.request

from benchmarks.load import LoadResult, drive, render
from benchmarks.pipeline import card_transactions
from benchmarks.system import System, tidegate
from tests.support import eventually

BATCH = 500


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
        eventually(lambda: answers(address + "/healthz"), 60)
    return address


def answers(url: str) -> bool:
    """Whether it answers by now."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own address on loopback
            return bool(answer.status == 200)
    except (urllib.error.URLError, TimeoutError):
        return False
