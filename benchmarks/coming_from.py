"""`python -m benchmarks.coming_from`: five other projects' own requests, as curl sends them.

For each of the projects `tidegate up` starts with the profile that fits, in a folder and on ports
of its own, learns a short simulated history, and gets the examples that the OpenAPI document has of
the project's addresses. Prints each command, the answer, and its status. `--only wallet` does one.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from producers.api.openapi_compat import CARD, CREDITCARD, LABELLED, UNSUPERVISED, VECTOR, WALLET
from tests.support import eventually
from tests.system.other_projects import started


class Request(NamedTuple):
    """What is asked, and the status of an answer that took no longer than it may."""

    path: str
    body: Mapping[str, object] | None = None
    status: int = 200


_FAULTY = UNSUPERVISED | {"transaction_id": "TXN_00000002", "hour": 25}
REQUESTS = {
    "card": [
        Request("/transaction", {"transaction_id": "c-1"} | CARD, 202),
        Request("/transaction/c-1"),
        Request("/", status=302),
    ],
    "wallet": [Request("/predict", WALLET), Request("/update?wait_ms=10000", LABELLED)],
    "creditcard": [Request("/predict", CREDITCARD), Request("/")],
    "card_unsupervised": [
        Request("/predict", UNSUPERVISED),
        Request("/predict/batch", {"transactions": [UNSUPERVISED, _FAULTY]}),
        Request("/health"),
    ],
    "vector": [
        Request("/api/v1/detect", VECTOR),
        Request("/api/v1/models"),
        Request("/api/v1/health"),
        Request("/api/v1/metrics"),
    ],
}
"""By the profile that fits."""


def main() -> None:
    """Ask all, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=REQUESTS, help="one profile; all when left out")
    only = parser.parse_args().only
    for profile in (only,) if only else REQUESTS:
        print(f"# profile {profile}")
        for line in asked(profile):
            print(line, flush=True)


def asked(profile: str) -> Iterator[str]:
    """What a terminal would show of a profile's requests.

    Raises AssertionError when a pipeline does not start, or an answer takes minutes.
    """
    with (
        tempfile.TemporaryDirectory(prefix="tidegate-coming-from-") as folder,
        started(Path(folder), profile) as pipeline,
    ):
        for request in REQUESTS[profile]:
            command = curl(f"http://127.0.0.1:{pipeline.port}", request)
            yield f"$ {shlex.join(command)}"
            yield eventually(partial(answer, command, request.status), 240)


def curl(address: str, request: Request) -> list[str]:
    """The command as typed."""
    command = ["curl", "-s", address + request.path]
    if request.body is None:
        return command
    posted = ["-H", "Content-Type: application/json", "-d", json.dumps(request.body)]
    return [*command, *posted]


def answer(command: list[str], status: int) -> str:
    """What is printed, and below it the status; empty when the status is another one: a decision
    that takes longer than a request waits is fetched by asking again.
    """
    told = ["--write-out", "\n-> %{http_code} %{redirect_url}"]
    done = subprocess.run([*command, *told], capture_output=True, text=True, check=True)
    return done.stdout.strip() + "\n" if f"\n-> {status} " in done.stdout else ""


if __name__ == "__main__":
    main()
