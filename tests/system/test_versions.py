"""A profile that changes under a running system: what is under way, and verdicts on older rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import eventually
from tests.system.pipeline import Pipeline
from tests.system.test_up import transaction
from tidegate.broker.kafka import KafkaBroker
from tidegate.pipeline import RAW
from tidegate.profile import load_profile
from tidegate.settings import Settings

pytestmark = pytest.mark.training

CARD = load_profile("card").path.read_text().replace("{simulate: 60000}", "{simulate: 15000}")
CHANNEL = "\nfields:\n  channel: {type: category, values: [web], open: true, optional: true}\n"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    folder = tmp_path_factory.mktemp("versions")
    (folder / "card.yaml").write_text(CARD)
    running = Pipeline(folder / "home", str(folder / "card.yaml"))
    running.start(timeout=400)
    yield running
    running.close()


def restart(pipeline: Pipeline, profile: str) -> None:
    assert pipeline.stop(timeout=60) == 0
    Path(pipeline.env["TIDEGATE_PROFILE"]).write_text(profile)
    pipeline.start(timeout=400)


def judge(pipeline: Pipeline, name: str, label_id: str) -> None:
    said = {"transaction_id": name, "verdict": "fraud", "label_id": label_id}
    assert pipeline.post("/v1/feedback", said)[0] == 202


def status(pipeline: Pipeline, label_id: str) -> str:
    return str((pipeline.get(f"/v1/feedback/{label_id}")[1] or {}).get("status"))


def write(pipeline: Pipeline, count: int) -> None:
    """As another producer: records of one account with a field that the profile does not know."""
    broker = KafkaBroker(Settings(kafka=f"127.0.0.1:{pipeline.env['TIDEGATE_KAFKA_PORT']}"))
    producer, failures = broker.producer(), list[Exception | None]()
    for number in range(count):
        body = transaction(50_000 + number) | {"user_id": "held", "channel": None}
        producer.produce(RAW, b"held", json.dumps(body).encode(), failures.append)
    assert producer.flush(20) == 0
    producer.close()
    assert failures == [None] * count


def test_verdicts_on_rows_from_before_a_change_of_thresholds_are_learnt(
    pipeline: Pipeline,
) -> None:
    for number in range(3):
        assert pipeline.post("/v1/transactions", transaction(number))[0] == 202
    eventually(lambda: pipeline.rows() == 3, 30)
    assert pipeline.get("/v1/feedback/nobody")[0] == 404
    restart(pipeline, CARD.replace("{review: 0.5, block: 0.9}", "{review: 0.4, block: 0.8}"))
    judge(pipeline, str(transaction(1)["transaction_id"]), "after")
    eventually(lambda: status(pipeline, "after") == "learnt", 30)


def test_a_field_that_is_added_lets_a_held_partition_go_on(pipeline: Pipeline) -> None:
    rows = pipeline.rows()
    write(pipeline, 150)
    eventually(lambda: "is held at offset" in pipeline.run("status", "--json").stdout, 60, every=1)
    assert pipeline.rows() == rows
    restart(pipeline, CARD.replace("\nfields:\n", CHANNEL))
    eventually(lambda: pipeline.rows() == rows + 150, 60)
    eventually(lambda: pipeline.run("status").returncode == 0, 60, every=1)
    judge(pipeline, str(transaction(2)["transaction_id"]), "older")
    judge(pipeline, str(transaction(50_007)["transaction_id"]), "newer")
    eventually(lambda: status(pipeline, "newer") == "learnt", 30)
    assert status(pipeline, "older") == "passed_over"
    judge(pipeline, "never", "unknown")
    assert status(pipeline, "unknown") == "waiting"
    eventually(lambda: status(pipeline, "unknown") == "refused", 60, every=1)
    done = pipeline.run("reconcile", "--json")
    assert (done.returncode, json.loads(done.stdout)["row"]) == (0, rows + 150)
