"""The parts of the API without a server: ids, memory, delivery reports, the board, Kafka away."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.migrate import migrate
from db.store import Store
from producers.api.app import build_app, close_app
from producers.api.ids import fresh_id
from producers.api.ingest import Acks
from producers.api.known import Known
from tests.web import transaction
from tidegate.broker.kafka import KafkaBroker
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Batch, TopicPartition
from tidegate.errors import Retry
from tidegate.host.embedded import free_port
from tidegate.messages.documents import encode
from tidegate.messages.heartbeats import Heartbeat
from tidegate.pipeline import RAW, SCORED, STATUS
from tidegate.profile import load_profile
from tidegate.profile.made_ids import derived_id
from tidegate.settings import Settings
from tidegate.status.board import FRESH_US, Board


def test_ids() -> None:
    made = [uuid.UUID(fresh_id()) for _ in range(100)]
    assert len(set(made)) == 100
    assert all((one.version, one.variant) == (7, uuid.RFC_4122) for one in made)
    assert derived_id("a") == derived_id("a") != derived_id("b")


@given(st.lists(st.integers(0, 40), max_size=200), st.integers(1, 20))
def test_at_least_the_last_generation_is_known(ids: list[int], generation: int) -> None:
    known = Known(generation)
    for number in ids:
        known.put([(b"%d" % number, b"u", b"%016d" % number)])
    for number in ids[-generation:]:
        assert known.get(b"%d" % number, b"u") == b"%016d" % number
    assert sum(b"%d" % number in known for number in range(41)) <= 2 * generation


def test_an_id_under_another_account_is_as_good_as_new() -> None:
    known = Known()
    known.put([(b"t", b"loser", b"l" * 16)])
    assert known.get(b"t", b"owner") is None
    assert known.get(b"t", b"loser") == b"l" * 16
    assert b"t" in known
    known.put([(b"t", b"owner", b"o" * 16)])
    assert known.get(b"t", b"owner") == b"o" * 16


def test_delivery_reports() -> None:
    acks = Acks(2)
    acks.delivered(None)
    assert not acks.wait(0.01), "one is missing"
    threading.Timer(0.05, acks.delivered, (None,)).start()
    assert acks.wait(5)
    failed = Acks(2)
    failed.delivered(Retry("away"))
    failed.delivered(None)
    assert not failed.wait(1)


def beat(stage: str, partitions: list[int], time_us: int, **changes: object) -> bytes:
    beat: dict[str, Any] = {
        "process": f"{stage}-{partitions}",
        "stage": stage,
        "pid": 1,
        "host": "h",
        "partitions": partitions,
        "restored": True,
        "lag": 0,
        "processed": 0,
        "rejected": 0,
        "restarts": 0,
        "bundle": "",
        "models_offset": 0,
        "metrics_port": 0,
        "time_us": time_us,
    } | changes
    return encode(Heartbeat(**beat))


def status(*values: bytes | None, key: bytes = b"k") -> Batch:
    count = len(values)
    return Batch(
        TopicPartition(STATUS, 0),
        list(range(count)),
        [key] * count,
        list(values),
        [0] * count,
        [None] * count,
    )


def test_the_board_names_what_is_missing() -> None:
    inputs = {"score": "features", "persist": "scored", "learn": "labels"}
    now = 10 * FRESH_US
    clock = [now]
    board = Board(MemoryBroker({"features": 3, "scored": 2}), inputs, clock=lambda: clock[0])
    board.absorb(
        status(
            beat("score", [0], now), beat("score", [2], now), beat("persist", [0, 1], now), b"{}"
        )
    )
    assert board.missing() == [
        "score: partitions 1 not assigned and restored",
        "learn: topic labels does not exist",
    ]
    board.absorb(status(beat("score", [1], now)))
    assert board.missing() == ["learn: topic labels does not exist"]
    board.absorb(status(beat("score", [1], now, restored=False)))
    assert board.missing()[0] == "score: partitions 1 not assigned and restored"
    clock[0] += FRESH_US + 1
    assert board.missing()[:2] == [
        "score: no live process",
        "persist: no live process",
    ]
    clock[0] = now
    board.absorb(status(None, key=b"persist-[0, 1]"))
    assert "persist: no live process" in board.missing()
    assert [one.stage for one in board.processes()] == ["score"] * 3


def test_what_is_held_counts_as_served_so_that_ingest_stays_behind_its_load_balancer() -> None:
    now = 10 * FRESH_US
    board = Board(MemoryBroker({"scored": 2}), {"persist": "scored"}, clock=lambda: now)
    held = [
        {"partition": number, "offset": 20, "until": 220, "reasons": [], "lost": 200}
        for number in (0, 1)
    ]
    board.absorb(status(beat("persist", [0, 1], now, held=held)))
    assert [stage for stage, _ in board.held()] == ["persist", "persist"]
    assert board.missing() == []


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_process_that_is_heard_lives_whatever_its_clock_says(hours: int) -> None:
    """Of a process with a right clock, and of one whose clock is wrong by an hour."""
    now, monotonic = [50_000 * FRESH_US], [0]
    board = Board(
        MemoryBroker({"features": 1}),
        {"score": "features"},
        clock=lambda: now[0],
        monotonic=lambda: monotonic[0],
    )

    def second(wrong_us: int = 0) -> list[str]:
        now[0] += 1_000_000
        monotonic[0] += 1_000_000
        board.absorb(status(beat("score", [0], now[0] + wrong_us)))
        return board.missing()

    wrong_us = hours * 3_600_000_000
    assert second() == []
    assert [second(wrong_us) for _ in range(3)] == [[]] * 3
    [process] = board.processes()
    assert (board.heard_us(process.process), board.heard_us("nobody")) == (now[0], 0)
    now[0] += wrong_us  # this clock is set
    assert board.missing() == ["score: no live process"]
    assert second() == []
    now[0] += FRESH_US + 1
    assert board.missing() == ["score: no live process"]


def test_a_dead_process_on_the_topic_does_not_live_because_it_is_read() -> None:
    now = 50_000 * FRESH_US
    board = Board(MemoryBroker({"features": 1}), {"score": "features"}, clock=lambda: now)
    for ago in (40, 39, 38):
        board.absorb(status(beat("score", [0], now - ago * FRESH_US)))
    assert board.missing() == ["score: no live process"]


def test_a_process_that_is_heard_while_one_asks_is_not_missing() -> None:
    """The broker is asked for the number of partitions, which takes as long as it takes."""
    now = [50_000 * FRESH_US]

    class Slow(MemoryBroker):
        def topic_ids(self, topics: Sequence[str]) -> dict[str, tuple[str, int]]:
            heard()
            return super().topic_ids(topics)

    board = Board(Slow({"features": 1}), {"score": "features"}, clock=lambda: now[0])

    def heard() -> None:
        now[0] += 1_000_000
        board.absorb(status(beat("score", [0], now[0])))

    heard()
    assert board.missing() == []


def test_kafka_away_is_503_and_safe_to_retry(tmp_path: Path) -> None:
    profile = load_profile("card")
    settings = Settings(kafka=f"127.0.0.1:{free_port()}", home=tmp_path)
    migrate(settings.db_url)
    store = Store(settings.db_url, profile)
    app = build_app(settings, KafkaBroker(settings), store, profile, ack_seconds=0.4)
    try:
        client = app.test_client()
        for path, body in (
            ("/v1/transactions", transaction(None)),
            ("/v1/transactions/batch", [transaction(None)]),
            ("/v1/feedback", {"transaction_id": "x", "verdict": "fraud"}),
        ):
            answer = client.post(path, json=body)
            problem = answer.get_json()
            assert (answer.status_code, problem["type"]) == (503, "/docs#not_durable"), path
            assert "safe to retry with the same id" in problem["detail"]
            assert answer.headers["Retry-After"] == "1"
            assert (
                problem.get("transaction_id")
                or problem.get("generated_ids")
                or problem.get("label_ids")
            )
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200
    finally:
        close_app(app)
        store.close()


def test_a_full_queue_is_429(tmp_path: Path) -> None:
    profile = load_profile("card")
    settings = Settings(home=tmp_path)
    migrate(settings.db_url)
    broker = MemoryBroker({RAW: 1, SCORED: 1, STATUS: 1})

    def full(name: str, done: bool) -> None:
        if name == "producer.produce" and not done:
            raise Retry("the local queue is full")

    broker.hook = full
    store = Store(settings.db_url, profile)
    app = build_app(settings, broker, store, profile)
    try:
        answer = app.test_client().post("/v1/transactions", json=transaction(None))
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
        assert answer.get_json()["transaction_id"]
    finally:
        close_app(app)
        store.close()


def test_the_database_away_is_503(tmp_path: Path) -> None:
    profile = load_profile("card")
    settings = Settings(home=tmp_path, db=f"postgresql://nobody@127.0.0.1:{free_port()}/none")
    store = Store(settings.db_url, profile)
    broker = MemoryBroker({RAW: 1, SCORED: 1, STATUS: 1})
    app = build_app(settings, broker, store, profile)
    try:
        for path in ("/v1/transactions", "/v1/transactions/x"):
            answer = app.test_client().get(path)
            assert (answer.status_code, answer.get_json()["type"]) == (503, "/docs#database_away")
    finally:
        close_app(app)
        store.close()


@pytest.mark.parametrize("name", ["card", "handbook", "wallet", "creditcard", "vector"])
def test_every_profile_has_a_description(name: str) -> None:
    from producers.api.openapi import description

    spec = description(load_profile(name), Settings())
    assert f"{name.title()}Transaction" in spec["components"]["schemas"]
    for path, operations in spec["paths"].items():
        for described in operations.values():
            is_open = path in ("/healthz", "/readyz", "/metrics")
            refusals = {"403"} if is_open else {"401", "403", "429"}
            assert refusals <= described["responses"].keys(), path
            assert described["security"] == ([] if is_open else [{"key": []}, {}])
