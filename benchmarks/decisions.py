"""How long the pages of decisions read a million rows: the thresholds, the drift, a try's past.

    python -m benchmarks.decisions [--rows 100000]

Writes the rows and verdicts of `benchmarks.searching` into SQLite and PostgreSQL, some 40,000 a
day, and prints the median and the longest time of several readings.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import text

from benchmarks.searching import PROFILE, START_US, fill, give_verdicts
from dashboard.models.history import ROWS, WINDOWS
from dashboard.threshold.figures import document
from dashboard.threshold.reading import read
from dashboard.try_one.past import ACCOUNT, NEWEST
from db.engine import open_database
from db.migrate import migrate
from db.spread import spread_rows
from db.store import Store
from db.tables import transactions
from tests.postgres import new_server

_REPEATS = 7
_DRIFT = (transactions.c.ingested_us, transactions.c.features, transactions.c.score)


def main() -> None:
    """Both databases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows: int = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        measure(f"sqlite:///{folder}/tidegate.db", rows)
    server = new_server(Path(tempfile.mkdtemp()))
    server.start()
    try:
        measure(server.url, rows)
    finally:
        server.stop()


def measure(url: str, rows: int) -> None:
    """Print what one database takes."""
    migrate(url)
    database = open_database(url)
    fill(database, rows)
    give_verdicts(database, rows)
    if database.file is None:
        with database.engine.begin() as connection:
            connection.execute(text("ANALYZE"))  # as the server does by itself after a while
    _say(f"{database.engine.dialect.name}, {rows:,} rows")
    database.close()
    store, profile = Store(url, PROFILE), PROFILE.hash.decode()
    timed("thresholds", lambda: thresholds(url))
    timed("drift", lambda: spread_rows(url, profile, _DRIFT, START_US, WINDOWS, ROWS))
    timed("a try's past", lambda: (store.payloads(ACCOUNT, "user-000001"), store.payloads(NEWEST)))
    store.close()


def thresholds(url: str) -> object:
    """All figures of the page."""
    week, mature, _ = read(url, PROFILE)
    return document(week, mature)


def timed(name: str, work: Callable[[], object]) -> None:
    """Print how long it takes."""
    times = []
    for _ in range(_REPEATS):
        begun = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - begun))
    _say(f"  {name:<14} p50 {statistics.median(times):6.0f} ms, longest {max(times):6.0f} ms")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
