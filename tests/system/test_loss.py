"""Records that expire before persist has read them: a running system says so, and goes on by order.

As `shared/cases` has it: persist stands still, transactions are acknowledged and scored, and the
scored topic loses them.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import confluent_kafka as ck
import pytest
from confluent_kafka.admin import AdminClient

from tests.support import eventually, partitions
from tests.system.pipeline import Pipeline, trained_card
from tidegate.pipeline import SCORED

pytestmark = [pytest.mark.processes, pytest.mark.serial]
BODY = {
    "amount": 10,
    "merchant": "m-1",
    "timestamp": "2026-01-05T10:00:00Z",
    "merchant_type": "grocery",
    "device_type": "pos",
    "location_match": True,
}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    system = Pipeline(tmp_path_factory.mktemp("loss") / "home", bundles=trained_card())
    system.start()
    yield system
    system.close()


def post(system: Pipeline, account: str, count: int) -> None:
    transactions = [
        {**BODY, "transaction_id": f"{account}-{i}", "user_id": account} for i in range(count)
    ]
    status, answer = system.post("/v1/transactions/batch", transactions)
    assert status == 202, answer


def expire(system: Pipeline) -> None:
    """All that the scored topic holds is gone, as by retention."""
    address = f"127.0.0.1:{system.env['TIDEGATE_KAFKA_PORT']}"
    consumer = ck.Consumer({"bootstrap.servers": address, "group.id": "none"})
    ends = [
        ck.TopicPartition(SCORED, number)
        for number in consumer.list_topics(SCORED).topics[SCORED].partitions
    ]
    for end in ends:
        end.offset = consumer.get_watermark_offsets(end)[1]
    consumer.close()
    admin = AdminClient({"bootstrap.servers": address})
    for done in admin.delete_records(ends).values():
        done.result(30)


def held(system: Pipeline) -> list[dict[str, Any]]:
    told = json.loads(system.run("status", "--json").stdout)
    return [each for process in told["processes"] for each in process.get("held", [])]


def accept(each: dict[str, Any]) -> list[str]:
    """The command that status prints for what is held."""
    return ["skip", "persist", "--partition", str(each["partition"]), "--accept-loss"]


def test_records_that_expire_unread_are_told_and_accepted(pipeline: Pipeline) -> None:
    post(pipeline, "before", 20)
    eventually(lambda: pipeline.rows() == 20, 120)
    persist = pipeline.pid("persist")
    os.kill(persist, signal.SIGSTOP)
    try:
        scored = pipeline.processed("score")
        post(pipeline, "lost", 200)
        eventually(lambda: pipeline.processed("score") == scored + 200, 120)
        expire(pipeline)
    finally:
        os.kill(persist, signal.SIGCONT)
    eventually(lambda: len(held(pipeline)) == partitions(SCORED), 120)
    found = held(pipeline)
    one = found[0]
    told = pipeline.run("status")
    assert told.returncode == 1
    assert f"lost between offset {one['offset']} and {one['until']}" in told.stdout
    command = accept(one)
    assert " ".join(command) in told.stdout
    assert "nothing was ordered" in pipeline.run(*command, "--dry-run").stdout
    assert held(pipeline) == found
    done = pipeline.run("skip", "persist", "--accept-loss", "--all-partitions")
    assert done.returncode == 0, done.stderr
    eventually(lambda: not held(pipeline), 120)
    post(pipeline, "after", 20)
    eventually(lambda: pipeline.rows() == 40, 120)
    assert pipeline.get("/v1/transactions/after-0")[0] == 200
    assert pipeline.get("/v1/transactions/lost-0")[0] != 200
    again = pipeline.run(*command)
    assert again.returncode != 0
    assert "nothing is lost" in again.stderr

    log = (pipeline.home / "log" / "persist.log").read_text()
    assert "are lost between offset" in log
    assert "accepted by" in log
