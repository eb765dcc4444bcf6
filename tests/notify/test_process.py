"""The stage as a process of its own on a real Kafka, killed while it sends."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from sqlalchemy import text, update

from db.engine import writing
from db.migrate import migrate
from db.notify.facts import SINCE, fact
from db.notify.tables import deliveries
from tests.notify.receivers import SECRET
from tests.notify.test_stage import message
from tests.support import eventually
from tests.web import ROOT
from tidegate.broker.kafka import KafkaBroker
from tidegate.pipeline import ALERTS
from tidegate.stream.dead_letters import KEY

pytestmark = pytest.mark.processes


class Slow:
    """A receiver that takes a message and answers when it is let."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.answer = threading.Event()
        slow = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                slow.ids.append(self.headers["webhook-id"])
                slow.answer.wait(30)
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - base's name
                """Nothing."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """Who was killed does not wait for the answer."""

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.answer.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def slow() -> Iterator[Slow]:
    made = Slow()
    yield made
    made.close()


@contextmanager
def notifying(kafka: str, home: Path) -> Iterator[subprocess.Popen[bytes]]:
    env = {
        **os.environ,
        "TIDEGATE_HOME": str(home),
        "TIDEGATE_KAFKA": kafka,
        "TIDEGATE_NOTIFY": str(home / "notify.yaml"),
        "HOOK_SECRET": SECRET,
    }
    with (home / "notify.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "run", "notify"],
            cwd=ROOT,
            env=env,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def produce(broker: KafkaBroker, start: int, count: int) -> None:
    producer, done = broker.producer(), threading.Semaphore(0)
    for number in range(start, start + count):
        key = f"alert/test/{os.getpid()}/{number}".encode()
        value = message(number)
        producer.produce(ALERTS, b"u", value, lambda _error: done.release(), [(KEY, key)])
    for _ in range(count):
        assert done.acquire(timeout=10)
    producer.close()


def begun(url: str) -> bool:
    """Whether the process has noted since when it tells."""
    with writing(url) as connection:
        return fact(connection, SINCE) is not None


def state_of(home: Path) -> dict[str, int]:
    with writing(f"sqlite:///{home / 'tidegate.db'}") as connection:
        rows = connection.execute(text("SELECT state, count(*) FROM deliveries GROUP BY state"))
        return {str(state): count for state, count in rows}


def test_killed_between_sending_and_marking_it_sends_again_with_the_same_ids(
    kafka: str, pipeline_topics: KafkaBroker, tmp_path: Path, slow: Slow
) -> None:
    url = f"sqlite:///{tmp_path / 'tidegate.db'}"
    migrate(url)
    port = slow.server.server_address[1]
    (tmp_path / "notify.yaml").write_text(
        f"channels:\n  hook:\n    webhook: http://127.0.0.1:{port}/\n    secret: ${{HOOK_SECRET}}\n"
        "    allow_networks: [127.0.0.0/8]\nroutes:\n  - {events: [alert], channels: [hook]}\n"
    )
    log = tmp_path / "notify.log"
    with notifying(kafka, tmp_path) as first:
        eventually(lambda: begun(url), 60)
        produce(pipeline_topics, 0, 5)
        eventually(lambda: slow.ids, 60)
        first.kill()
        first.wait(10)
    assert state_of(tmp_path) == {"pending": 5}
    slow.answer.set()
    with writing(url) as connection:  # as a minute later, when the claim has run out
        connection.execute(update(deliveries).values(next_try_us=0))
    with notifying(kafka, tmp_path) as second:
        eventually(lambda: state_of(tmp_path) == {"sent": 5}, 60)
        produce(pipeline_topics, 3, 4)  # two of them are copies
        eventually(lambda: state_of(tmp_path) == {"sent": 7}, 60)
        second.terminate()
        assert second.wait(30) == 0
    assert len(slow.ids) == 8
    assert len(set(slow.ids)) == 7
    assert SECRET not in log.read_text()
