"""How long `make up` takes in a fresh clone, and again: two commits of this repository in turn.

Each run has a home folder of its own, so that the caches of pip, uv, Maven, the compiled loops and
Kafka's Java are empty. Ready is when /readyz says so and a transaction has been answered with its
decision. CPU seconds are those of everything that the start began: on a busy machine they tell
more. Prints a line a run and then one line of JSON.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from tidegate.host.embedded import free_port

ROOT = Path(__file__).parents[1]
SECONDS = 900.0
TRANSACTION = {
    "user_id": "u-7",
    "amount": 42.5,
    "merchant": "corner shop",
    "timestamp": "2026-11-21T10:00:00Z",
    "merchant_type": "grocery",
    "device_type": "mobile",
    "location_match": True,
}


class Start(NamedTuple):
    """Seconds from `make up` to the first decision, and of all processors until the end."""

    ready: float
    cpu: float


def start(checkout: Path, home: Path) -> Start:
    """Run `make up` until it is ready, and end it."""
    ports = [free_port() for _ in range(3)]
    names = ("TIDEGATE_PORT", "TIDEGATE_DASHBOARD_PORT", "TIDEGATE_KAFKA_PORT")
    own = {"HOME": str(home), **dict(zip(names, map(str, ports), strict=True))}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    log = home / "make.log"
    begun, used = time.monotonic(), cpu_seconds()
    with log.open("a") as output:
        make = subprocess.Popen(
            ["make", "up", f"PYTHON={base_python()}"],  # noqa: S607 - make is on the PATH
            cwd=checkout,
            env={**environment, **own},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        while not decided(ports[0]):
            if make.poll() is not None or time.monotonic() - begun > SECONDS:
                sys.exit(f"{checkout} did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        ready = time.monotonic() - begun
        await_warm_up(home)
    finally:
        if make.poll() is None:
            os.killpg(make.pid, signal.SIGINT)
            make.wait()
    return Start(ready, cpu_seconds() - used)


def await_warm_up(home: Path) -> None:
    """Wait until Kafka's Java is warm, which a first start does before or after it is ready."""
    until = time.monotonic() + SECONDS
    while not list((home / ".cache/tidegate").glob("*.aot")) and time.monotonic() < until:
        time.sleep(0.5)


def cpu_seconds() -> float:
    """Of all processes that were started here and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def base_python() -> str:
    """The interpreter that made the virtual environment of this process."""
    return str(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}")


def decided(port: int) -> bool:
    """Whether everything is ready, and then whether a transaction gets its decision."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        link.request("GET", "/readyz")
        ready = link.getresponse()
        ready.read()
        if ready.status != http.HTTPStatus.OK:
            return False
        link.request(
            "POST",
            "/v1/transactions?wait_ms=10000",
            json.dumps(TRANSACTION),
            {"Content-Type": "application/json"},
        )
        return "decision" in json.load(link.getresponse())
    except (OSError, http.client.HTTPException):
        return False
    finally:
        link.close()


def git(*arguments: str) -> None:
    """Raises CalledProcessError when git fails."""
    subprocess.run(["git", *arguments], check=True)  # noqa: S607 - git is on the PATH


def measure(revision: str, folder: Path) -> dict[str, Start]:
    """The first start of a fresh clone, and the one after it."""
    checkout, home = folder / "tidegate", folder / "home"
    home.mkdir()
    git("clone", "--quiet", str(ROOT), str(checkout))
    git("-C", str(checkout), "checkout", "--quiet", revision)
    return {"first": start(checkout, home), "later": start(checkout, home)}


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", help="a commit")
    parser.add_argument("after", help="another")
    parser.add_argument("--runs", type=int, default=3, help="of each (3)")
    options = parser.parse_args()
    found: dict[str, list[Start]] = defaultdict(list)
    for _ in range(options.runs):
        for name in ("before", "after"):
            with tempfile.TemporaryDirectory(prefix="tidegate-first-") as folder:
                starts = measure(getattr(options, name), Path(folder))
            for which, one in starts.items():
                print(f"{name}, {which}: {one.ready:.1f} s, CPU {one.cpu:.1f} s", flush=True)
                found[f"{which}_{name}"].append(one)
    medians = {
        f"{name}_{field}": round(statistics.median(values), 1)
        for name, starts_of in found.items()
        for field, values in zip(Start._fields, zip(*starts_of, strict=True), strict=True)
    }
    ratio = medians["first_after_ready"] / medians["first_before_ready"]
    print(json.dumps({**medians, "ratio_first": round(ratio, 3)}))


if __name__ == "__main__":
    main()
