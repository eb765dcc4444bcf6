"""`make chaos`: load and faults by a seed for some minutes, then the checks; exit code 1 on a
violation.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from tests.chaos.harness import Run, report
from tests.chaos.schedule import draw
from tests.faults.kill9.cluster import Cluster
from tests.postgres import new_server
from tests.shared import FOLDER

_GAP, _LONGEST, _RATE = 5.0, 20.0, 200.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0, help="how long the load runs")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="")
    parser.add_argument("--keep", action="store_true", help="leave logs, topics and rows behind")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupted)
    folder = Path(tempfile.mkdtemp(prefix="tidegate-chaos-"))
    folder.chmod(0o755)  # PostgreSQL runs as another user
    os.environ[FOLDER] = str(folder / "made")
    (folder / "made").mkdir()
    _say(f"seed {arguments.seed}")
    try:
        violated = _run(folder, arguments.seconds, arguments.seed, arguments.database)
    finally:
        if arguments.keep:
            _say(f"kept {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
        _say(f"seed {arguments.seed}")
    sys.exit(1 if violated else 0)


def _run(folder: Path, seconds: float, seed: int, kind: str) -> bool:
    kind = kind or random.Random(seed).choice(("sqlite", "postgresql"))
    postgres = new_server(folder / "postgres") if kind == "postgresql" else None
    database = f"sqlite:///{folder / 'home' / 'tidegate.db'}"
    if postgres is not None:
        postgres.start()
        database = postgres.url
    cluster = Cluster(folder / "home", database)
    schedule = draw(seed, seconds * 0.9, gap=_GAP, longest=_LONGEST)
    try:
        cluster.start()
        _say(f"{kind}, {len(schedule)} faults in {seconds:g} s")
        findings = Run(cluster, postgres, seed, seconds, _RATE, _say)(schedule)
    finally:
        cluster.close()
        if postgres is not None:
            postgres.stop()
    sys.stdout.write(report(findings, seed, schedule) + "\n")
    return any(finding.bad for finding in findings)


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')}  {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
