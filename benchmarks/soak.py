"""`make soak`: 10 minutes of steady traffic with verdicts; the memory of every process must stay
flat, and the rows must keep up with the posts.

Before them so many transactions pass that little but the ids of transactions grows. Of these a
day is kept, so they go on growing, within the profile's `remember.memory`. The last minute is
compared with the one 8 before it. Prints a line a minute and then one line of JSON; exits with 1
when a process has grown by more than a tenth (and 70 MB, most of which ids may take) between these
two, or when more than 10 seconds' posts are no rows yet at the end of the last minute.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import psutil
import sqlalchemy as sa

from benchmarks.load import drive, render
from benchmarks.pipeline import card_transactions, preload, prepare, wait_rows
from benchmarks.posting import ingest_address
from benchmarks.system import System
from tidegate.pipeline import RAW
from tidegate.settings import Settings

APART = 8
A_MINUTE, FILL, FILL_CHUNK = 125_000, 2_000_000, 100_000
"""Transactions of a minute; those before the first, after which little but the ids grows (10 bytes
each, up to the profile's `remember.memory`); and how many of these are made at a time."""
ALLOWED_SHARE, ALLOWED_MB = 1.1, 70
"""Growth that is no fault: 1,000,000 ids of 8 bytes, and 8 MB each open table of ids."""
ALLOWED_LAG = A_MINUTE // 6
"""Transactions that may be under way when a minute's last post is answered."""


class Reading(NamedTuple):
    """At the end of a minute: resident MB by process, and posts that are no rows yet."""

    resident_mb: dict[str, float]
    lag: int


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=2 + APART)
    minutes = parser.parse_args().minutes
    if minutes <= APART:
        parser.error(f"--minutes: at least {APART + 1}, to compare two so far apart")
    with tempfile.TemporaryDirectory(prefix="tidegate-soak-") as folder:
        system = System(Path(folder) / "system")
        system.start()
        try:
            readings = _soak(system, minutes)
        finally:
            system.close()
    first, last = readings[-1 - APART], readings[-1]
    grown = {name: (first.resident_mb[name], mb) for name, mb in last.resident_mb.items()}
    bad = [
        name
        for name, (before, after) in grown.items()
        if after > before * ALLOWED_SHARE and after > before + ALLOWED_MB
    ]
    behind = last.lag > ALLOWED_LAG
    verdict = "not flat" if bad or behind else "flat"
    lags = [reading.lag for reading in readings]
    document = {"resident_mb": grown, "grown": bad, "lag": lags, "verdict": verdict}
    sys.stdout.write(json.dumps(document) + "\n")
    sys.exit(1 if bad or behind else 0)


def _soak(system: System, minutes: int) -> list[Reading]:
    settings = system.settings()
    prepare(settings)
    system.run_stages(settings)
    _fill(system, settings)
    address = ingest_address(system)
    engine = sa.create_engine(settings.db_url)
    readings: list[Reading] = []
    for minute in range(minutes):
        transactions = card_transactions(A_MINUTE, f"soak{minute}-", 100 + minute)
        ids = [json.loads(value)["transaction_id"] for _, value in transactions[::50]]
        verdicts = [
            json.dumps({"transaction_id": name, "verdict": "legitimate"}).encode() for name in ids
        ]
        posts = [
            post
            for start in range(0, A_MINUTE, 100)
            for post in _posts(address, [value for _, value in transactions[start : start + 100]])
        ]
        drive(address, posts, connections=32, rate=len(posts) / 60)
        lag = _lag(engine, (minute + 1) * A_MINUTE)
        drive(
            address,
            [render(address + "/v1/feedback", body) for body in verdicts],
            connections=8,
            rate=200,
        )
        resident = {
            name: round(psutil.Process(process.pid).memory_info().rss / 1e6, 1)
            for name, process in system.processes.items()
        }
        readings.append(Reading(resident, lag))
        sys.stdout.write(
            f"{time.strftime('%H:%M:%S')} minute {minute + 1}: {lag:,} under way, "
            f"{json.dumps(resident)}\n"
        )
        sys.stdout.flush()
    engine.dispose()
    return readings


def _lag(engine: sa.Engine, posted: int) -> int:
    """Posts of the soak that are no rows yet."""
    query = sa.text(
        "SELECT count(*) FROM transactions "
        "WHERE transaction_id >= 'soak' AND transaction_id < 'soal'"
    )
    with engine.connect() as connection:
        return posted - int(connection.execute(query).scalar_one())


def _posts(address: str, values: list[bytes]) -> list[bytes]:
    """Every tenth transaction by itself, the others in one batch: what is soaked is the pipeline,
    not the CPU.
    """
    return [
        *(render(address + "/v1/transactions", value) for value in values[::10]),
        render(
            address + "/v1/transactions/batch",
            b"\n".join(value for k, value in enumerate(values) if k % 10),
            "application/x-ndjson",
        ),
    ]


def _fill(system: System, settings: Settings) -> None:
    engine = sa.create_engine(settings.db_url)
    for start in range(0, FILL, FILL_CHUNK):
        preload(
            system.kafka.address,
            RAW,
            card_transactions(FILL_CHUNK, f"fill{start}-", start),
        )()
        wait_rows(engine, start + FILL_CHUNK)
        sys.stdout.write(
            f"{time.strftime('%H:%M:%S')} {start + FILL_CHUNK:,} rows before the first minute\n"
        )
        sys.stdout.flush()
    engine.dispose()


if __name__ == "__main__":
    main()
