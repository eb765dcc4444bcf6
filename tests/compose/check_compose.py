"""docker-compose.yml on a real engine. Run by `make compose-test`, in order: each goes on where the
last ended.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest
import yaml

from tests.compose.panels import metrics_of_panels
from tests.compose.stack import ROOT, Stack, addresses, drain, kill, megabytes, run, state
from tests.compose.traffic import Traffic, Transaction, transactions
from tests.support import eventually
from tidegate.pipeline import CONSUMERS, FEEDBACK, RAW

pytestmark = pytest.mark.serial

COUNT = 20_000
ROWS = transactions(COUNT + 3000)
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
OTHERS = [SERVICES[name]["image"] for name in ("kafka", "postgres", "prometheus")]
GRAFANA = SERVICES["grafana"]["image"]
POISON = """
import sys
from tidegate.broker.kafka import KafkaBroker
from tidegate.settings import Settings
producer = KafkaBroker(Settings()).producer()
for value in (b"no JSON", b'{"CUSTOMER_ID": "1"}', b"\\xff\\xfe"):
    refused = lambda error: error and sys.exit(str(error))
    producer.produce("transactions.raw", b"poison", value, refused)
producer.flush(10)
"""


@pytest.fixture(scope="module")
def stack(summary: dict[str, str]) -> Iterator[Stack]:
    made = Stack("tidegate-test", profiles=("observability",))
    made.compose("build", timeout=1200)
    for image in ("tidegate:slim", "tidegate:full", *OTHERS):
        summary[f"image {image}"] = f"{megabytes(image)} MB"
    yield made
    made.down(volumes=True)


def services(stack: Stack) -> list[str]:
    """All but Grafana where its image is not here."""
    found = stack.compose("config", "--services").split()
    if not run("docker", "images", "-q", GRAFANA):
        found.remove("grafana")
    return found


def up(stack: Stack, **scales: int) -> None:
    options = [
        part for service, number in scales.items() for part in ("--scale", f"{service}={number}")
    ]
    stack.compose("up", "-d", "--no-build", *options, *services(stack))


def probe(stack: Stack, name: str, at: str) -> dict[str, float]:
    """The features of a transaction of a customer of this test's own."""
    status, answer = stack.post("/v1/transactions?wait_ms=10000", transaction(name, at))
    assert status == 200, answer
    path = f"/v1/transactions/{quote(name)}"
    eventually(lambda: stack.get(path)[0] == 200, 20)
    features: dict[str, float] = stack.get(path)[1]["features"]
    return features


def transaction(name: str, at: str = "2018-04-05T10:00:00Z") -> Transaction:
    return {
        "TRANSACTION_ID": name,
        "TX_DATETIME": at,
        "CUSTOMER_ID": "probe-customer",
        "TERMINAL_ID": "probe-terminal",
        "TX_AMOUNT": 10.0,
    }


def test_it_starts_with_two_scorers(stack: Stack, summary: dict[str, str]) -> None:
    begin = time.monotonic()
    up(stack, score=2)
    stack.wait_ready(180)
    summary["first start, model trained"] = f"{time.monotonic() - begin:.0f} s"
    assert len(stack.containers("score")) == 2


def test_containers_are_held_down(stack: Stack) -> None:
    for service in ("ingest", "dashboard", *CONSUMERS):
        found = state(stack.containers(service)[0])
        assert found["Config"]["User"] == "tidegate"
        assert found["HostConfig"]["ReadonlyRootfs"]
        assert found["HostConfig"]["Memory"] > 0
        bound = [
            port
            for ports in (found["NetworkSettings"]["Ports"] or {}).values()
            for port in ports or []
        ]
        assert all(port["HostIp"] == "127.0.0.1" for port in bound)


def test_each_acknowledged_transaction_is_one_row_while_containers_die(
    stack: Stack, summary: dict[str, str]
) -> None:
    assert probe(stack, "probe-1", "2018-04-05T10:00:00Z")["customer_count_1d"] == 1
    begin, traffic = time.monotonic(), Traffic(stack, ROWS[:COUNT])
    traffic.start()
    for service, after in (("score", 4000), ("persist", 10_000)):
        traffic.wait_for(after)
        kill_and_see_it_return(stack.containers(service)[0])
        summary[f"killed {service}"] = (
            f"after {len(traffic.acknowledged):,} acknowledged; restarted by the engine"
        )
    acknowledged = traffic.finish()
    stack.wait_rows(len(acknowledged) + 1, 180)
    stored = set(stack.sql("SELECT transaction_id FROM transactions").split("\n"))
    assert stored == acknowledged | {"probe-1"}
    assert stack.rows() == len(stored)
    summary["acknowledged = rows"] = f"{len(acknowledged):,} in {time.monotonic() - begin:.0f} s"


def kill_and_see_it_return(container: str) -> None:
    kill(container)
    eventually(
        lambda: state(container)["RestartCount"] >= 1 and state(container)["State"]["Running"], 30
    )


def test_poison_is_dead_lettered_and_redriven(stack: Stack, summary: dict[str, str]) -> None:
    status, _ = stack.post("/v1/feedback", {"transaction_id": "late", "verdict": "fraud"})
    assert status == 202
    stack.python("score", POISON)
    wanted = {"unknown_transaction", "invalid_json", "missing_field", "invalid_utf8"}
    eventually(lambda: dead(stack).keys() >= wanted, 90, every=2.0)
    found = dead(stack)
    status, _ = stack.post("/v1/transactions", transaction("late"))
    assert status == 202
    eventually(
        lambda: stack.sql("SELECT count(*) FROM transactions WHERE transaction_id = 'late'") == "1",
        20,
    )
    done = json.loads(stack.tools("redrive", "--json"))
    assert done["redriven"] == {RAW: 3, FEEDBACK: 1}, done
    eventually(lambda: learnt(stack) == 1, 30)
    eventually(lambda: dead(stack).get("invalid_json") == 1, 60, every=2.0)
    assert "unknown_transaction" not in dead(
        stack
    )  # it passed; the poison came back as a second attempt
    summary["dead letters, redriven"] = f"{found}, {done['redriven']}"


def dead(stack: Stack) -> dict[str, int]:
    """Dead letters by reason that were not put back yet."""
    reasons: dict[str, int] = json.loads(stack.tools("redrive", "--dry-run", "--json"))["reasons"]
    return reasons


def learnt(stack: Stack) -> int:
    """Verdicts that the learner has folded, as Prometheus knows it."""
    status, answer = stack.get(
        f"/api/v1/query?query={quote('sum(tidegate_labels_learnt_total)')}", stack.prometheus
    )
    assert status == 200, answer
    got = answer["data"]["result"]
    return int(float(got[0]["value"][1])) if got else 0


def test_scoring_scales_to_four_and_back_to_one_under_traffic(
    stack: Stack, summary: dict[str, str]
) -> None:
    before, traffic = stack.rows(), Traffic(stack, ROWS[COUNT : COUNT + 2500], batch=50, pause=0.5)
    traffic.start()
    for number in (4, 1):
        up(stack, score=number)
        assert len(stack.containers("score")) == number
        stack.wait_ready(60)
    acknowledged = traffic.finish()
    eventually(lambda: stack.rows() == before + len(acknowledged), 60)
    summary["scaled 2, 4, 1 under traffic"] = f"{len(acknowledged):,} acknowledged = rows"


def test_prometheus_scrapes_every_replica(stack: Stack, summary: dict[str, str]) -> None:
    up(stack, score=2)
    stack.wait_ready(60)
    wanted = addresses(
        [one for service in (*CONSUMERS, "ingest") for one in stack.containers(service)]
    )
    eventually(lambda: wanted <= scraped(stack), 60, every=1.0)
    summary["prometheus"] = f"{len(wanted)} replicas scraped"


def scraped(stack: Stack) -> set[str]:
    """Addresses of the targets whose last scrape went well."""
    _, answer = stack.get("/api/v1/targets", stack.prometheus)
    return {
        target["labels"]["instance"].partition(":")[0]
        for target in answer["data"]["activeTargets"]
        if target["health"] == "up"
    }


def test_the_rules_hold(stack: Stack) -> None:
    stack.compose(
        "exec",
        "-T",
        "--workdir",
        "/etc/prometheus",
        "prometheus",
        "promtool",
        "test",
        "rules",
        "rules_test.yml",
    )
    _, answer = stack.get("/api/v1/rules", stack.prometheus)
    assert {rule["health"] for group in answer["data"]["groups"] for rule in group["rules"]} == {
        "ok"
    }


def test_every_metric_of_the_panels_is_there(stack: Stack, summary: dict[str, str]) -> None:
    _, answer = stack.get("/api/v1/label/__name__/values", stack.prometheus)
    missing = (
        metrics_of_panels() - set(answer["data"]) - {"tidegate_batch_retries_total"}
    )  # none without an outage
    assert not missing
    summary["grafana panels"] = f"{len(metrics_of_panels())} metrics, all there"
    if "grafana" in services(stack):
        eventually(lambda: stack.get("/api/health", stack.grafana)[0] == 200, 30)
    else:
        summary["grafana"] = f"not started: {GRAFANA} cannot be had here"


def test_every_container_drains_within_ten_seconds(stack: Stack, summary: dict[str, str]) -> None:
    victims = [
        (service, one)
        for service in ("ingest", *CONSUMERS, "dashboard")
        for one in stack.containers(service)
    ]
    with ThreadPoolExecutor(len(victims)) as pool:
        found = list(pool.map(lambda victim: (victim[0], *drain(victim[1])), victims))
    summary["drained (s)"] = ", ".join(f"{service} {seconds:.1f}" for service, seconds, _ in found)
    assert {(service, code) for service, _, code in found} == {
        (service, 0) for service, _, _ in found
    }
    assert max(seconds for _, seconds, _ in found) < 10


def test_rows_and_states_survive_down_and_up(stack: Stack, summary: dict[str, str]) -> None:
    rows = stack.rows()
    stack.down()
    begin = time.monotonic()
    up(stack, score=2)
    stack.wait_ready(120)
    summary["later start"] = f"{time.monotonic() - begin:.0f} s"
    assert stack.rows() == rows
    features = probe(stack, "probe-2", "2018-04-05T11:00:00Z")
    assert features["customer_count_1d"] == 3  # probe-1, late and this one
    status, answer = stack.post(
        "/v1/transactions/batch", ROWS[:500]
    )  # seen before: acknowledged, counted once
    assert (status, answer["accepted"]) == (202, 500)
    assert probe(stack, "probe-3", "2018-04-05T12:00:00Z")["customer_count_1d"] == 4
    assert stack.rows() == rows + 2
