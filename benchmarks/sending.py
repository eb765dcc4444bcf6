"""How fast `tidegate send` reads and posts a CSV, and how much memory that takes.

    python -m benchmarks.sending --rows 5000000

The API is one that counts lines and says yes, so that the sender is what is measured. `--tidegate`
runs the command of another checkout: with it the two are measured in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import NamedTuple

_HEADER = (
    "transaction_id,user_id,amount,merchant,timestamp,merchant_type,device_type,location_match\n"
)


class _Yes(BaseHTTPRequestHandler):
    """Accepts every line."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = json.dumps({"accepted": body.count(b"\n") + 1}).encode()
        self.send_response(202)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's
        """Say nothing."""


@contextmanager
def api() -> Iterator[str]:
    """The address of an API that says yes."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Yes)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def write(path: Path, rows: int, *, ids: bool) -> None:
    """A CSV of card payments in time order."""
    with path.open("w") as file:
        file.write(_HEADER)
        for row in range(rows):
            moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_767_225_600 + row // 20))
            file.write(
                f"{f'tx-{row:012}' if ids else ''},user_{row * 7919 % 50_021},"
                f"{row * 37 % 90_000 / 100 + 0.01:.2f},merchant_{row * 104_729 % 2_003},{moment},"
                "grocery,pos,true\n"
            )


class Taken(NamedTuple):
    """Seconds by the clock and of the processor, and peak memory in MB."""

    clock: float
    processor: float
    memory: int


def run(command: str, file: Path, home: Path, url: str) -> Taken:
    """One sending."""
    begin = time.monotonic()
    process = subprocess.Popen(
        [command, "send", str(file), "--no-wait", "--url", url, "--json", "--profile", "card"],
        env={**os.environ, "TIDEGATE_HOME": str(home)},
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command} ended with {status}")
    clock, processor = time.monotonic() - begin, usage.ru_utime + usage.ru_stime
    return Taken(clock, processor, usage.ru_maxrss // 1024)


def main() -> None:
    """Print rows a second, CPU a row and peak memory of each command."""
    parser = argparse.ArgumentParser(description=__doc__)
    own = str(Path(sys.executable).parent / "tidegate")
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--no-ids", action="store_true", help="rows have no ids of their own")
    parser.add_argument("--tidegate", nargs="*", default=[], help="other commands to measure")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, api() as url:
        file = Path(folder) / "payments.csv"
        write(file, asked.rows, ids=not asked.no_ids)
        taken: dict[str, list[Taken]] = {}
        for number in range(asked.runs):
            for place, command in enumerate([own, *asked.tidegate]):
                home = Path(folder) / f"home-{number}-{place}"
                taken.setdefault(command, []).append(run(command, file, home, url))
        for command, runs in taken.items():
            rate = asked.rows / median(one.clock for one in runs)
            each = 1e6 * median(one.processor for one in runs) / asked.rows
            memory = max(one.memory for one in runs)
            print(f"{rate:,.0f} rows/s, {each:.1f} us of CPU a row, {memory} MB: {command}")


if __name__ == "__main__":
    main()
