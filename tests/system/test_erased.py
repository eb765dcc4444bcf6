"""An account is erased beside the running pipeline: what was posted is read by nobody any more."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.erasing.steps import ERASABLE, OTHER, PLANTED
from tests.profile.test_tokens import KEY, NUMBER, TOKEN, changed
from tests.support import eventually
from tests.system.pipeline import Pipeline
from tests.web import transaction
from tidegate.broker.kafka import KafkaBroker
from tidegate.broker.ports import Consumer
from tidegate.errors import Retry
from tidegate.messages.ciphertext import MAGIC
from tidegate.messages.vault import SECONDS
from tidegate.pipeline import RAW, SCORED
from tidegate.pipeline import TOPICS as ALL
from tidegate.settings import Settings
from tidegate.stream.side_topic import read_range

pytestmark = pytest.mark.processes
QUICK = "{simulate: 60000}", "{simulate: 20000}"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    folder = tmp_path_factory.mktemp("erased")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIDEGATE_TOKEN_KEY", KEY)
        profile = changed(folder, TOKEN, ERASABLE, QUICK)
    env = {"TIDEGATE_TOKEN_KEY": KEY}
    made = Pipeline(folder / "home", str(profile.path), env=env)
    made.start()
    yield made
    made.close()


def post(pipeline: Pipeline, name: str, user: str) -> None:
    body = transaction(name, user_id=user, note=PLANTED)
    status, answer = pipeline.post("/v1/transactions?wait_ms=5000", body)
    assert status in (200, 202), answer
    eventually(lambda: pipeline.get(f"/v1/transactions/{name}")[0] == 200, 60)


def on_topics(pipeline: Pipeline) -> dict[str, bytes]:
    """Keys, values and headers of all records, as whoever may read the topics finds them."""
    found: dict[str, bytes] = eventually(lambda: _read(pipeline), 120)
    return found


def _read(pipeline: Pipeline) -> dict[str, bytes]:
    """Nothing while Kafka has no time for it: other tests run on the same processors."""
    broker = KafkaBroker(Settings(kafka=f"127.0.0.1:{pipeline.env['TIDEGATE_KAFKA_PORT']}"))
    consumer = broker.consumer(None)
    try:
        return {topic: b"\n".join(_parts(consumer, topic)) for topic in ALL}
    except Retry:
        return {}
    finally:
        consumer.close()


def _parts(consumer: Consumer, topic: str) -> Iterator[bytes]:
    for source in consumer.partitions(topic):
        for batch in read_range(consumer, source, *consumer.bounds(source), 1000):
            for key, value, headers in zip(batch.keys, batch.values, batch.headers, strict=True):
                yield from (key or b"", value or b"", repr(headers).encode())


def answer(pipeline: Pipeline, *command: str, code: int = 0) -> Any:  # noqa: ANN401 - JSON
    done = pipeline.run(*command, "--json")
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_an_account_is_erased_for_real(pipeline: Pipeline, tmp_path: Path) -> None:
    for number in range(3):
        post(pipeline, f"gone-{number}", NUMBER)
        post(pipeline, f"kept-{number}", OTHER)
    assert pipeline.get("/v1/transactions/gone-0")[1]["payload"]["note"] == PLANTED
    assert answer(pipeline, "replay", "gone-1")["same"]
    seen = on_topics(pipeline)
    assert MAGIC in seen[RAW]
    assert MAGIC in seen[SCORED]
    assert [topic for topic, held in seen.items() if PLANTED.encode() in held] == []
    assert [topic for topic, held in seen.items() if NUMBER.encode() in held] == []

    assert answer(pipeline, "erase", NUMBER) == {
        "rows": 3,
        "key_destroyed": True,
        "log_emptied": True,
    }
    erased_at = time.monotonic()
    assert pipeline.get("/v1/transactions/gone-0")[0] != 200
    replayed = pipeline.run("replay", "gone-1")
    assert replayed.returncode == 78
    assert "was erased with its account" in replayed.stderr
    reconciled = answer(pipeline, "reconcile")
    assert (reconciled["row"], reconciled["erased"], reconciled["missing"]) == (3, 3, 0)
    assert answer(pipeline, "replay", "kept-2")["same"], "both its windows, bit for bit"
    again = ("backtest", "--bundle", "champion", "--topic", "--out", str(tmp_path / "report"))
    done = pipeline.run(*again)
    assert "3 were erased with their accounts" in done.stdout, done.stdout + done.stderr
    assert "3 of 6 transactions decided" in done.stdout

    eventually(lambda: time.monotonic() - erased_at > SECONDS, 2 * SECONDS)
    post(pipeline, "again", NUMBER)
    assert answer(pipeline, "erase", "nobody-of-this-name")["key_destroyed"] is False
    everything_anew(pipeline)
    post(pipeline, "kept-3", OTHER)
    assert answer(pipeline, "replay", "kept-3")["same"], "restored without what was erased"
    assert answer(pipeline, "reconcile")["erased"] == 3
    assert pipeline.get("/v1/transactions/again")[1]["payload"]["note"] == PLANTED
    assert PLANTED.encode() not in b"".join(on_topics(pipeline).values())
    for log in (pipeline.home / "log").glob("*.log"):
        assert PLANTED not in log.read_text(errors="replace")


def everything_anew(pipeline: Pipeline) -> None:
    """Stop, throw the snapshots away, and let all states be folded again from the log."""
    import shutil

    assert pipeline.stop(timeout=60) == 0
    shutil.rmtree(pipeline.home / "snapshots", ignore_errors=True)
    pipeline.start()
