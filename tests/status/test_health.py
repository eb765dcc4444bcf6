"""What a process says of itself over HTTP and in its heartbeats."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request

import pytest

from tests.support import eventually
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.errors import ConfigError
from tidegate.messages.heartbeats import decode_heartbeat
from tidegate.pipeline import STATUS
from tidegate.status.health import Health
from tidegate.stream.progress import Progress
from tidegate.stream.pulse import HUNG_SECONDS, LATE_SECONDS


def get(port: int, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_health_answers_and_beats() -> None:
    broker, progress = MemoryBroker({STATUS: 1}), Progress([0, 2])
    health = Health("score-1", "score", broker.producer(), lambda: progress, every=0.05).start()
    assert get(health.port, "/healthz")[0] == 200
    assert get(health.port, "/readyz")[0] == 503
    progress.restored = True
    status, body = get(health.port, "/readyz")
    assert (status, json.loads(body)) == (
        200,
        {"process": "score-1", "stage": "score", "ready": True},
    )
    assert b"tidegate_records_processed_total" in get(health.port, "/metrics")[1]
    assert get(health.port, "/else")[0] == 404
    eventually(lambda: len(broker.committed_records(STATUS)) >= 2)
    with pytest.raises(ConfigError, match="TIDEGATE_METRICS_PORT"):
        Health("other", "score", broker.producer(), lambda: progress, port=health.port)
    health.close()
    beats = [
        decode_heartbeat(record.value or b"") for _, _, record in broker.committed_records(STATUS)
    ]
    assert [beat.stopping for beat in beats] == [False] * (len(beats) - 1) + [True]
    assert (beats[-1].process, beats[-1].partitions, beats[-1].metrics_port) == (
        "score-1",
        [0, 2],
        health.port,
    )


def test_a_process_that_becomes_ready_says_so_at_once() -> None:
    broker, progress = MemoryBroker({"status": 1}), Progress([0])
    health = Health("p", "score", broker.producer(), lambda: progress, every=3600).start()

    def restored() -> list[bool]:
        beats = broker.committed_records("status")
        return [decode_heartbeat(record.value or b"").restored for _, _, record in beats]

    eventually(lambda: restored() == [False])
    progress.restored = True
    eventually(lambda: restored() == [False, True])
    health.close()


def test_a_loop_that_stands_still_is_neither_ready_nor_healthy(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker, progress = MemoryBroker({"status": 1}), Progress([0], restored=True)
    health = Health("p", "score", broker.producer(), lambda: progress, every=3600).start()

    def restored() -> list[bool]:
        beats = broker.committed_records("status")
        return [decode_heartbeat(record.value or b"").restored for _, _, record in beats]

    eventually(lambda: restored() == [True])
    progress.pulse.turned -= LATE_SECONDS
    eventually(lambda: restored() == [True, False])
    assert (get(health.port, "/healthz")[0], get(health.port, "/readyz")[0]) == (200, 503)
    said = re.search(r"the loop of score has stood still for (\d+) s", caplog.text)
    assert said is not None
    assert LATE_SECONDS <= int(said[1]) < HUNG_SECONDS
    progress.pulse.turned -= HUNG_SECONDS - LATE_SECONDS
    assert get(health.port, "/healthz")[0] == 503
    progress.pulse.beat()
    eventually(lambda: restored() == [True, False, True])
    assert (get(health.port, "/healthz")[0], get(health.port, "/readyz")[0]) == (200, 200)
    health.close()
