"""`make soak`: 10 minutes of steady traffic with verdicts; the memory of every process must stay flat.

Prints a line a minute and then one line of JSON; exits with 1 when a process has grown by more than a tenth (and 30 MB)
between the third minute and the end.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.latency import ingest_address
from benchmarks.load import drive, render
from benchmarks.pipeline import card_transactions, prepare
from benchmarks.system import System

RATE = 2000
WARM_MINUTES = 3
ALLOWED_SHARE, ALLOWED_MB = 1.1, 30


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=10)
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory(prefix="tidegate-soak-") as folder:
        system = System(Path(folder) / "system")
        system.start()
        try:
            readings = _soak(system, minutes)
        finally:
            system.close()
    grown = {name: (readings[min(WARM_MINUTES, minutes - 1)][name], mb) for name, mb in readings[-1].items()}
    bad = [name for name, (before, after) in grown.items()
           if after > before * ALLOWED_SHARE and after > before + ALLOWED_MB]
    sys.stdout.write(json.dumps({"resident_mb": grown, "grown": bad}) + "\n")
    sys.exit(1 if bad else 0)


def _soak(system: System, minutes: int) -> list[dict[str, float]]:
    settings = system.settings()
    prepare(settings)
    system.run_stages(settings)
    address = ingest_address(system)
    readings = []
    for minute in range(minutes):
        made = card_transactions(RATE * 60, f"soak{minute}-", 100 + minute)
        ids = [json.loads(value)["transaction_id"] for _, value in made[::50]]
        verdicts = [json.dumps({"transaction_id": name, "verdict": "legitimate"}).encode() for name in ids]
        drive(address, [render(address + "/v1/transactions", value) for _, value in made], connections=32, rate=RATE)
        drive(address, [render(address + "/v1/feedback", body) for body in verdicts], connections=8, rate=200)
        readings.append({name: round(psutil.Process(process.pid).memory_info().rss / 1e6, 1)
                         for name, process in system.processes.items()})
        sys.stdout.write(f"{time.strftime('%H:%M:%S')} minute {minute + 1}: {json.dumps(readings[-1])}\n")
        sys.stdout.flush()
    return readings


if __name__ == "__main__":
    main()
