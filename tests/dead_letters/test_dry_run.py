"""What a dry-run says is what a redrive does, at every stage that has dead letters."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consumers.dry_run import dry_run
from consumers.preprocess import PreprocessStage
from db.store import Store
from tests.blocks import frames_on, records_of
from tests.dead_letters.judging import die, judged, put_back, rows
from tests.faults.injected.bench import NOW_MS, PROFILE, Bench
from tests.faults.injected.test_pipeline import Step
from tests.notify.test_stage import message
from tests.profile.test_tokens import NUMBER, TOKEN, changed, keyed
from tidegate.broker.records import TopicPartition
from tidegate.dead_letters.judgement import ATTEMPTS, Judgement
from tidegate.dead_letters.letters import record_of
from tidegate.dead_letters.redrive import redrive
from tidegate.dead_letters.selection import Selection
from tidegate.errors import Retry
from tidegate.messages.documents import Rollback, encode
from tidegate.pipeline import (
    ALERTS,
    BY_ENTITY_2,
    FEATURES,
    FEEDBACK,
    LABELS,
    MODELS,
    QUARANTINE,
    RAW,
    SCORED,
)
from tidegate.profile import load_profile
from tidegate.stream.stage import Stage

__all__ = ["keyed"]


pytestmark = pytest.mark.training


FRESH = Step(7, user=2, merchant=1, amount=3)
"""A transaction that only the other system knows."""


@pytest.fixture(scope="module")
def good() -> dict[str, bytes]:
    """A record for each topic between the stages, from another system of the same profile."""
    with tempfile.TemporaryDirectory() as home:
        other = Bench(Path(home))
        FRESH.post(other)
        Step(7, kind="verdict").post(other)
        other.run()
        found = {topic: frames_on(other.broker, topic)[0] for topic in (FEATURES, SCORED)}
        found[BY_ENTITY_2] = frames_on(other.broker, BY_ENTITY_2)[0]
        [label] = records_of(other.broker, TopicPartition(LABELS, 0))
        other.close()
    return {**found, LABELS: label.values[0] or b"", ALERTS: message(7)}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A system with one row, t1, of account u1."""
    made = Bench(tmp_path)
    Step(1, user=1).post(made)
    made.run()
    yield made
    made.close()


@pytest.mark.parametrize("topic", [RAW, BY_ENTITY_2, FEATURES, SCORED])
def test_a_transaction_that_would_pass_becomes_a_row(
    bench: Bench, good: dict[str, bytes], topic: str
) -> None:
    letter = die(bench, topic, FRESH.body if topic == RAW else good[topic])
    assert judged(bench, letter) == Judgement("passes", id="t7")
    assert put_back(bench, letter) == []
    assert rows(bench) == {"t1", "t7"}


def test_a_verdict_a_label_and_an_alert_that_would_pass(
    bench: Bench, good: dict[str, bytes]
) -> None:
    verdict = die(bench, FEEDBACK, b'{"transaction_id": "t1", "verdict": "fraud"}')
    assert judged(bench, verdict) == Judgement("passes", id="t1")
    assert put_back(bench, verdict) == []
    assert len(list(records_of(bench.broker, TopicPartition(LABELS, 0)))) == 1
    label = die(bench, LABELS, good[LABELS])
    assert judged(bench, label) == Judgement("passes", id="t7")
    assert put_back(bench, label) == []
    alert = die(bench, ALERTS, good[ALERTS])
    assert judged(bench, alert) == Judgement("passes", id="t7")
    assert put_back(bench, alert) == []


@pytest.mark.parametrize(
    ("topic", "value", "reason"),
    [
        (RAW, b"{", "invalid_json"),
        (RAW, b"", "empty"),
        (RAW, FRESH.body.replace(b'"u2"', b"7"), "wrong_type"),
        (RAW, Step(8, user=1).body, "wrong_partition"),
        (BY_ENTITY_2, b"noise", "not_a_frame"),
        (FEATURES, b"noise", "not_a_frame"),
        (SCORED, b"noise", "not_a_frame"),
        (FEEDBACK, b'{"verdict": "fraud"}', "wrong_type"),
        (LABELS, b"[]", "invalid_json"),
        (LABELS, b"values cut off", "wrong_type"),
        (LABELS, b"rollback", "out_of_bounds"),
        (ALERTS, b"{}", "not_an_alert"),
    ],
)
def test_what_would_be_refused_is_refused_for_the_same_reason(
    bench: Bench, good: dict[str, bytes], topic: str, value: bytes, reason: str
) -> None:
    if reason == "wrong_type" and topic == LABELS:
        value = json.dumps(json.loads(good[LABELS]) | {"values": [1.0]}).encode()
    if reason == "out_of_bounds":
        value = encode(Rollback(900, PROFILE.hash.decode(), 1))
    letter = die(bench, topic, value, b"u5" if reason == "wrong_partition" else b"u2")
    found = judged(bench, letter)
    assert (found.outcome, found.reason) == ("fails", reason), found
    assert put_back(bench, letter) == [reason]


@pytest.mark.parametrize("topic", [RAW, SCORED])
def test_an_id_that_is_taken(bench: Bench, good: dict[str, bytes], topic: str) -> None:
    FRESH.post(bench)
    bench.run()
    same = die(bench, topic, FRESH.body if topic == RAW else good[topic])
    assert judged(bench, same) == Judgement("repeat", id="t7")
    assert put_back(bench, same) == []
    if topic == RAW:
        other = die(bench, RAW, Step(7, user=2, merchant=1, amount=4).body)
    else:
        other = die(bench, SCORED, good[SCORED].replace(b"t7", b"t1"))
    found = judged(bench, other)
    assert (found.outcome, found.reason) == ("fails", "conflicting_duplicate")
    assert put_back(bench, other) == ["conflicting_duplicate"]


def test_a_mended_copy_is_what_is_judged(bench: Bench) -> None:
    broken = FRESH.body.replace(b'"amount":3', b'"amount":"3 EUR"')
    letter = die(bench, RAW, broken)
    assert judged(bench, letter).reason == "wrong_type"
    still = broken.replace(b"3 EUR", b"3")
    assert (judged(bench, letter, still).outcome, put_back(bench, letter, still)) == (
        "fails",
        ["wrong_type"],
    )
    letter = die(bench, RAW, broken.replace(b"m1", b"m2"))
    mended = FRESH.body.replace(b'"t7"', b'"t8"').replace(b'"u2"', b'"u3"')
    assert judged(bench, letter, mended) == Judgement("passes", id="t8", moved="t7")
    assert put_back(bench, letter, mended) == []
    assert rows(bench) == {"t1", "t8"}


def test_a_verdict_without_its_row_waits_and_dies(bench: Bench) -> None:
    letter = die(bench, FEEDBACK, b'{"transaction_id": "t7", "verdict": "fraud"}')
    found = judged(bench, letter)
    assert (found.outcome, found.reason, found.id) == ("waits", "unknown_transaction", "t7")
    assert put_back(bench, letter) == ["unknown_transaction"]


def test_a_letter_without_a_key_goes_to_its_account(bench: Bench) -> None:
    letter = die(bench, RAW, FRESH.body, key=None)  # type: ignore[arg-type]
    assert judged(bench, letter) == Judgement("passes", id="t7")
    assert put_back(bench, letter) == []


def test_a_letter_without_key_account_and_id_goes_anywhere(bench: Bench) -> None:
    letter = die(bench, RAW, b'{"data": [0, 0, 0, 0, 0, 0, 0, 0]}', key=None)  # type: ignore[arg-type]
    assert record_of(load_profile("vector"), letter)[0] is None


def test_an_update_that_is_ignored_is_passed_over(bench: Bench, tmp_path: Path) -> None:
    """As its step does that remembers the id."""
    profile = changed(tmp_path, ("\nfields:", "\nenvelope: debezium\nupdates: ignore\n\nfields:"))
    row = json.loads(Step(1, user=1, amount=9).body) | {"timestamp": "2026-01-31T02:00:00Z"}
    letter = die(bench, RAW, json.dumps({"op": "r", "before": None, "after": row}).encode(), b"u1")
    store = Store(bench.database, profile)
    first = PreprocessStage(profile, 0)
    found = dry_run(profile, bench.broker, store, lambda _: first, letter, now_us=NOW_MS * 1000)
    store.close()
    assert found == Judgement("passed_over", "update", id="t1")


def test_what_no_redrive_puts_back(bench: Bench, good: dict[str, bytes]) -> None:
    often = die(bench, RAW, FRESH.body, failed=ATTEMPTS - 1)
    assert judged(bench, often) == Judgement("quarantined", detail=str(ATTEMPTS))
    place = Selection(places=frozenset({often.place}))
    assert redrive(bench.broker, PROFILE, place).quarantined == 1
    assert list(bench.broker.committed_records(QUARANTINE))
    foreign = die(bench, FEATURES, good[FEATURES])
    foreign.told["profile"] = "another"
    assert (judged(bench, foreign).outcome, judged(bench, foreign).reason) == (
        "fails",
        "other_profile",
    )
    foreign.told["topic"] = "nowhere"
    assert judged(bench, foreign).reason == "no_stage"


def test_a_defect_of_the_stage_is_its_reject(
    bench: Bench, good: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    letter = die(bench, FEATURES, good[FEATURES])
    monkeypatch.setattr("consumers.score.rule_on", None)
    found = judged(bench, letter)
    assert (found.outcome, found.reason) == ("fails", "exception")


def test_what_is_away_is_said(bench: Bench, good: dict[str, bytes]) -> None:
    letter = die(bench, FEATURES, good[FEATURES])
    bench.broker.logs[TopicPartition(MODELS, 0)].clear()
    found = judged(bench, letter)
    assert found.outcome == "not_known"
    assert "no champion yet" in found.detail

    def away(_name: str) -> Stage[Any]:
        raise Retry("the bundles are away")

    store = Store(bench.database, PROFILE)
    found = dry_run(PROFILE, bench.broker, store, away, letter, now_us=NOW_MS * 1000)
    assert (found.outcome, found.detail) == ("not_known", "the bundles are away")
    store.close()


@pytest.mark.usefixtures("keyed")
def test_a_record_from_before_tokens_is_judged_with_them(bench: Bench, tmp_path: Path) -> None:
    profile = changed(tmp_path, TOKEN)
    plain = FRESH.body.replace(b'"u2"', f'"{NUMBER}"'.encode())
    letter = die(bench, RAW, plain)
    store = Store(bench.database, profile)
    first = PreprocessStage(profile, 0)
    found = dry_run(profile, bench.broker, store, lambda _: first, letter, now_us=NOW_MS * 1000)
    store.close()
    assert (found.outcome, found.reason) == ("passes", "")
