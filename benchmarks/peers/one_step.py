"""Tidegate as the peers are: one keyed step and the model, and no database while the clock runs."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from benchmarks.peers.contender import Round, Traffic
from benchmarks.peers.topics import Results
from benchmarks.pipeline import preload, wait_rows
from benchmarks.system import System, Usage
from tidegate.pipeline import RAW, SCORED
from tidegate.profile import load_profile
from tidegate.settings import Settings

STAGES = ("preprocess", "score")
_MOMENT, _QUIET = 0.25, 4.0
"""Seconds without a result after which it is worth looking, and after which all have come."""
_MERCHANT = re.compile(r"^  merchant_\w+: \{op.*\n", re.MULTILINE)
_HARDER = re.compile(
    r"^  (user_deviation_7d|user_merchants_1d|user_amount_ratio|user_amount_zscore|user_decayed_6h"
    r"|user_mismatch_1d|burst): .*\n",
    re.MULTILINE,
)
"""What no peer has by a few lines, and a column that only looks at others."""


def one_step_profile() -> str:
    """The card profile with the account's counts and sums alone, and LightGBM alone."""
    text = load_profile("card").path.read_text()
    text = text.replace("entities: [user_id, merchant]", "entities: [user_id]")
    text = re.sub(r"^  online: .*\n", "", text, flags=re.MULTILINE)
    return _HARDER.sub("", _MERCHANT.sub("", text))


def write_settings(settings: Settings, file: Path) -> None:
    """What the peers read: the model's file, its columns in order, and the categories."""
    (manifest,) = settings.bundles_dir.glob("*/manifest.json")
    fields = load_profile(settings.profile).fields
    categories = {name: list(fields[name].values) for name in ("merchant_type", "device_type")}
    file.write_text(
        json.dumps(
            {
                "model": str(manifest.with_name("lightgbm.txt")),
                "columns": json.loads(manifest.read_text())["features"],
                "categories": categories,
            }
        )
    )


def step_and_score(
    system: System, settings: Settings, traffic: Traffic, ids: Sequence[str]
) -> Round:
    """One round. The rows are written after it, to count them and to read the scores.

    How many transactions a message of the scored topic holds is Tidegate's own affair, so the end
    is when the last message came; the latency at a fixed rate is measured with the database only.
    """
    system.run_stages(settings, STAGES)
    address = system.kafka.address
    results = Results(address, SCORED)
    preload(address, RAW, list(traffic.warm))()
    _until_quiet(system, results)
    release = preload(address, RAW, list(traffic.fast))
    before = system.usage()
    released_us = time.time_ns() // 1000
    release()
    after = _until_quiet(system, results)
    seconds = (results.arrived_us[-1] - released_us) / 1e6
    results.close()
    system.end(*STAGES)
    used = sum(after[name].cpu - before[name].cpu for name in STAGES)
    peak = sum(after[name].peak for name in STAGES)
    ended_us = results.arrived_us[-1]
    n = len(traffic.fast)
    scores = _scores(system, settings, traffic, ids, (released_us, ended_us))
    return Round(n / seconds, used / n * 1e6, peak / 1e6, None, None, scores)


def _until_quiet(system: System, results: Results) -> dict[str, Usage]:
    """Read what comes, until nothing has come for a while after the first; what was used until then
    (and for a moment more: looking at each message would cost more than that).
    """
    results.forget()
    results.wait(1)
    while True:
        while results.read(_MOMENT):
            pass
        used = system.usage()
        if not results.read(_QUIET):
            return used


def _scores(
    system: System,
    settings: Settings,
    traffic: Traffic,
    ids: Sequence[str],
    between_us: tuple[int, int],
) -> dict[str, float]:
    """The log-odds of LightGBM by the rows of these ids; rows hold the probability.

    Raises TimeoutError when rows are lost, and RuntimeError when not all of the clock's
    transactions, or others too, were scored between these two times.
    """
    engine = sa.create_engine(settings.db_url)
    earlier = _count(engine, 0, between_us[0])
    system.run_stages(settings, ("persist",))
    wait_rows(engine, earlier + len(traffic.warm) + len(traffic.fast))
    if _count(engine, *between_us) != len(traffic.fast):
        raise RuntimeError("the steps stood still for seconds: measure on a quieter machine")
    query = sa.text(
        "SELECT transaction_id, scores "
        "FROM transactions JOIN unnest(CAST(:ids AS text[])) AS asked(id) ON transaction_id = id"
    )
    with engine.connect() as connection:
        found = {
            name: _log_odds(float(np.frombuffer(scores, "<f8")[0]))
            for name, scores in connection.execute(query, {"ids": list(ids)})
        }
    engine.dispose()
    system.end("persist")
    return found


def _count(engine: sa.Engine, after_us: int, until_us: int) -> int:
    """Rows that were scored between two times."""
    query = sa.text("SELECT count(*) FROM transactions WHERE scored_us BETWEEN :after AND :until")
    with engine.connect() as connection:
        found = connection.execute(query, {"after": after_us, "until": until_us})
        return int(found.scalar_one())


def _log_odds(probability: float) -> float:
    return math.log(probability) - math.log1p(-probability)
