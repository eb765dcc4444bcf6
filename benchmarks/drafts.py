"""`python -m benchmarks.drafts DATA`: what a drafted profile finds beside one written by hand.

DATA is the folder that holds `handbook/transactions.parquet` and `s-ffsd/S-FFSD.csv`. Each file is
drafted by `tidegate profile draft --yes`, without a line changed. Both profiles train the boosted
trees on the first share of the rows and score the others. Prints the average precision of both,
and the drafted one's share of the other.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.detection import output

CASES = {"handbook": "handbook/transactions.parquet", "sffsd": "s-ffsd/S-FFSD.csv"}
"""The profiles written by hand, and their files."""


def main() -> None:
    """Draft, train, score, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", type=float, default=0.8, help="(default: %(default)s)")
    asked = parser.parse_args()
    print(f"{'':10}{'by hand':>9}{'drafted':>9}{'share':>7}")
    for by_hand, name in CASES.items():
        file = asked.data.resolve() / name
        with tempfile.TemporaryDirectory(prefix="tidegate-drafts-") as folder:
            drafted = Path(folder) / "drafted.yaml"
            output([*_TIDEGATE, "profile", "draft", str(file), "--yes", "--out", str(drafted)])
            hand, draft = (
                _average_precision(profile, file, asked.split, Path(folder))
                for profile in (by_hand, str(drafted))
            )
        print(f"{by_hand:10}{hand:>9.3f}{draft:>9.3f}{draft / hand:>7.0%}", flush=True)


_TIDEGATE = (sys.executable, "-m", "cli")


def _average_precision(profile: str, file: Path, split: float, folder: Path) -> float:
    command = [*_TIDEGATE, "backtest", "--profile", profile, "--data", str(file), "--json"]
    options = ["--split", str(split), "--models", "lightgbm", "--out", str(folder / "scores.csv")]
    return float(json.loads(output([*command, *options]))["mean"]["average_precision"])


if __name__ == "__main__":
    main()
