"""`python -m benchmarks.keyed_posts`: single posts a second with a key, beside those without.

Kafka and PostgreSQL run for all; the API is started anew for each turn, with TIDEGATE_AUTH=keys or
on loopback as it is, and which of the two comes first changes. Prints a line a turn, the medians
and their ratio (goal: at least 0.9). No consumer runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.posting import single_posts
from benchmarks.system import System
from cli.running.steps import make_topics, migrate
from db.keys import create
from tidegate.clock import now_us

WITHOUT, WITH = "without a key", "with a key"


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=int, default=22_000, help="a turn (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=7, help="of each (default: %(default)s)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tidegate-keyed-") as folder:
        system = System(Path(folder) / "system")
        system.start()
        try:
            rates = measured(system, asked.posts, asked.turns)
        finally:
            system.close()
    medians = {name: statistics.median(rates_of) for name, rates_of in rates.items()}
    for name, median in medians.items():
        print(f"{name}: {median:,.0f} posts/s (median of {asked.turns})")
    ratio = medians[WITH] / medians[WITHOUT]
    print(f"ratio: {ratio:.3f} (goal: 0.9)")
    print(json.dumps({**rates, "ratio": round(ratio, 3)}))


def measured(system: System, posts: int, turns: int) -> dict[str, list[int]]:
    """Posts a second of each turn; a tenth of the posts comes before, to warm the API up."""
    settings = system.settings()
    make_topics(settings)
    migrate(settings)
    _, key = create(settings.db_url, "shop", ["ingest"], now_us())
    rates: dict[str, list[int]] = {WITHOUT: [], WITH: []}
    shown: Mapping[str, str] = {WITHOUT: "", WITH: key}
    for turn in range(turns):
        for name in (WITHOUT, WITH) if turn % 2 == 0 else (WITH, WITHOUT):
            rates[name].append(round(single_posts(system, posts, shown[name])))
            system.end("ingest")
            print(f"{name}: {rates[name][-1]:,} posts/s", flush=True)
    return rates


if __name__ == "__main__":
    main()
