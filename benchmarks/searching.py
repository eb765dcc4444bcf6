"""How long a search over a million rows takes, and what its blocks cost the rows' insert.

    python -m benchmarks.searching [--rows 100000]

Writes rows of the card profile (payloads of about 600 bytes) into SQLite and PostgreSQL by the
persist stage's own writers, in batches of 4,000, of which chance
gives half no block at first. Then asks for
pages of 50, each kind of filter many times, and prints the median and the longest time.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from sqlalchemy import insert, text

from benchmarks.rows import ACCOUNTS, BUNDLES, MERCHANTS, PROFILE, START_US, STEP_US, batch_of
from db import names
from db.blocks.packed import of_frames
from db.blocks.upkeep import Upkeep, write_block
from db.cases.tables import verdicts
from db.engine import Database, open_database
from db.migrate import migrate
from db.postgres import PostgresWriter
from db.search.filters import Filters
from db.search.search import search
from db.sqlite import SqliteWriter
from db.store import Store
from tests.postgres import new_server
from tidegate.messages.frames import DECISIONS

BATCH = 4000
REPEATS = 15


def fill(database: Database, rows: int) -> tuple[list[float], list[float]]:
    """CPU seconds of batches with and without a block, by chance, of this process and of the
    server's. Afterwards every row is in a block.
    """
    writer = SqliteWriter(database.file) if database.file else PostgresWriter()
    upkeep, order, chance = Upkeep(), np.arange(BATCH), np.random.default_rng(0)
    times: tuple[list[float], list[float]] = ([], [])
    with database.engine.begin() as connection:
        names.save(connection, names.names_of(PROFILE))
    for start in range(0, rows, BATCH):
        frames, blocked = batch_of(start, BATCH), bool(chance.integers(0, 2))
        begun = _cpu_seconds(database)
        with database.engine.begin() as connection:
            inserted = writer.insert(connection, frames, order, START_US)
            if blocked:
                write_block(connection, of_frames(frames, *inserted))
        times[not blocked].append(_cpu_seconds(database) - begun)
        if not blocked:
            with database.engine.begin() as connection:
                write_block(connection, of_frames(frames, *inserted))
        upkeep.turn(database)
    writer.close()
    return times


def _cpu_seconds(database: Database) -> float:
    """Of this process, and of the one of the server that works for it."""
    if database.file is not None:
        return time.process_time()
    with database.engine.connect() as connection:
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
    used = psutil.Process(pid).cpu_times()
    return time.process_time() + used.user + used.system


def give_verdicts(database: Database, rows: int) -> None:
    """On 2% of the rows, every fourth says fraud."""
    documents = [
        {
            "label_id": f"l-{number}",
            "transaction_id": f"t-{number:012d}",
            "fraud": number % 4 == 0,
            "source": "ann",
            "weight": 1.0,
            "given_us": number,
            "label_offset": number,
            "event_us": START_US + STEP_US * number,
            "profile": PROFILE.hash.decode(),
            "amount_minor": 1800,
            "score": number % 100 / 100,
            "decision": DECISIONS[number % 3],
        }
        for number in range(0, rows, 50)
    ]
    with database.engine.begin() as connection:
        for start in range(0, len(documents), 10_000):
            connection.execute(insert(verdicts), documents[start : start + 10_000])


def kinds(rows: int) -> Iterator[tuple[str, list[Filters]]]:
    """Filters of each kind, many of them for values that few or no rows have."""
    chance = np.random.default_rng(1)
    places = chance.integers(0, rows, REPEATS).tolist()
    yield "nothing", [Filters()] * REPEATS
    yield "id", [Filters(transaction_id=f"t-{place:012d}") for place in places]
    yield "account", [Filters(account=f"user-{place % ACCOUNTS:06d}") for place in places]
    yield "merchant", [_merchant(place % MERCHANTS) for place in places]
    yield "merchant nobody has", [_merchant(MERCHANTS + place) for place in places]
    yield "blocked", [Filters(decision="block")] * REPEATS
    yield "score at least", [Filters(min_score=0.5 + place / rows / 2) for place in places]
    yield "amount at least", [Filters(min_amount=200_000 + place) for place in places]
    yield "amount nobody paid", [Filters(min_amount=10**9 + place) for place in places]
    yield "an hour", [_hour(place) for place in places]
    yield "model", [Filters(bundle=BUNDLES[1].decode())] * REPEATS
    yield "model nobody used", [Filters(bundle="0" * 16)] * REPEATS
    yield "verdict fraud", [Filters(verdict="fraud")] * REPEATS
    yield "fraud, and approved", [Filters(verdict="fraud", decision="approve")] * REPEATS
    yield "no verdict", [Filters(verdict="none")] * REPEATS
    yield "reason", [Filters(reason="user_amount_zscore")] * REPEATS
    yield "reason nobody had", [Filters(reason="nothing")] * REPEATS
    yield "blocked, dear, an hour", [_hour(place, min_amount=9000) for place in places]


def _merchant(number: int) -> Filters:
    return Filters(second=f"merchant-{number}", second_entity="merchant")


def _hour(place: int, **more: Any) -> Filters:  # noqa: ANN401 - filters by name
    since = START_US + STEP_US * place
    return Filters(since_us=since, until_us=since + 3_600_000_000, **more)


def main() -> None:
    """Both databases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows: int = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        measure(f"sqlite:///{folder}/tidegate.db", rows)
    folder = tempfile.mkdtemp()
    server = new_server(Path(folder))
    server.start()
    try:
        measure(server.url, rows)
    finally:
        server.stop()


def measure(url: str, rows: int) -> None:
    """Print what one database takes."""
    migrate(url)
    database = open_database(url)
    _say(f"{database.engine.dialect.name}, {rows:,} rows")
    with_block, without = (statistics.mean(times) for times in fill(database, rows))
    _say(
        f"  insert: {1e6 * with_block / BATCH:.2f} us of CPU a row with a block, "
        f"{1e6 * without / BATCH:.2f} without: {100 * (with_block / without - 1):+.1f}%"
    )
    give_verdicts(database, rows)
    if database.file is None:
        with database.engine.begin() as connection:
            connection.execute(text("ANALYZE"))  # as the server does by itself after a while
    database.close()
    store = Store(url, PROFILE)
    for name, asked in kinds(rows):
        times = [timed(store, filters) for filters in asked]
        median, longest = 1e3 * statistics.median(times), 1e3 * max(times)
        _say(f"  {name:<24} p50 {median:6.1f} ms, longest {longest:6.1f} ms")
    store.close()


def timed(store: Store, filters: Filters) -> float:
    """Seconds of one page with its rows."""
    begun = time.perf_counter()
    with store.reading() as connection:
        store.briefs(connection, search(connection, filters, None, 50).seqs)
    return time.perf_counter() - begun


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
