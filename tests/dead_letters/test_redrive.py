"""Redrive: each dead letter goes back at most once, whatever is repeated, filtered or killed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.dead_letters.dying import Letters, values
from tests.profile.enveloped import enveloped
from tests.profile.test_tokens import ID_TOKEN, NUMBER, TOKEN, changed, keyed
from tidegate.dead_letters.redrive import redrive
from tidegate.dead_letters.selection import CONFLICT, Selection, parse_place
from tidegate.errors import Aborted, ConfigError, Fenced, Stop
from tidegate.messages.ciphertext import ERASED
from tidegate.pipeline import DLQ, FEATURES, FEEDBACK, QUARANTINE, RAW, WRONG_PARTITION
from tidegate.stream.dead_letters import ATTEMPT, RECORDED, attempt

__all__ = ["keyed"]


@pytest.fixture
def letters() -> Letters:
    return Letters()


def test_twice_gives_the_same_records(letters: Letters) -> None:
    for number in range(20):
        letters.add(number)
    assert letters.redrive().redriven == {RAW: 20}
    again = letters.redrive()
    assert (again.redriven, again.before) == ({}, 20)
    assert letters.back() == values(*range(20))
    [(_, _, record)] = [
        found for found in letters.broker.committed_records(RAW) if found[2].value == b"value-7"
    ]
    assert record.key == b"key-7"
    assert record.headers == [("trace", b"abc"), (RECORDED, b"0"), (ATTEMPT, b"1")], (
        "a stage that fails again counts on from here"
    )


def test_copies_of_one_dead_letter_go_back_once(letters: Letters) -> None:
    for number in (1, 2, 1, 1):
        letters.add(number)
    assert letters.redrive().redriven == {RAW: 2}
    letters.add(2)
    assert letters.redrive().redriven == {}
    assert letters.back() == values(1, 2)


def test_each_goes_to_the_topic_of_its_stage(letters: Letters) -> None:
    letters.add(1)
    letters.add(2, topic=FEATURES, stage="score")
    letters.add(3, topic=FEEDBACK, stage="label", reason="unknown_transaction")
    letters.redrive()
    assert [letters.back(topic) for topic in (RAW, FEATURES, FEEDBACK)] == [
        values(1),
        values(2),
        values(3),
    ]


def test_filters_leave_the_others_for_later(letters: Letters) -> None:
    letters.add(1, reason="invalid_json")
    letters.add(2, reason="missing_field")
    letters.add(3, topic=FEATURES, stage="score", reason="not_a_frame")
    assert letters.redrive(Selection(reason="missing_field")).not_selected == 2
    assert letters.back() == values(2)
    letters.redrive(Selection(stage="score"))
    assert letters.back(FEATURES) == values(3)
    [place] = [
        (at.partition, offset)
        for at, offset, record in letters.broker.committed_records(DLQ)
        if record.value == b"value-1"
    ]
    assert letters.redrive(Selection(places=frozenset({place})), dry_run=True).redriven == {RAW: 1}
    assert letters.back() == values(2), "a dry run writes nothing"
    letters.redrive(Selection(places=frozenset({place})))
    assert letters.back() == values(1, 2)


def test_conflicts_go_back_only_if_they_are_asked_for(letters: Letters) -> None:
    letters.add(1)
    letters.add(2, topic="transactions.scored", stage="persist", reason=CONFLICT)
    summary = letters.redrive()
    assert (summary.redriven, summary.conflicts) == ({"transactions.raw": 1}, 1)
    assert letters.back("transactions.scored") == []
    summary = letters.redrive(Selection(reason=CONFLICT))
    assert (summary.redriven, summary.conflicts) == ({"transactions.scored": 1}, 0)


def test_at_most_so_many(letters: Letters) -> None:
    for number in range(1300):
        letters.add(number)
    assert letters.redrive(most=7).redriven == {RAW: 7}
    assert letters.redrive(most=700).redriven == {RAW: 700}
    assert letters.redrive().redriven == {RAW: 593}
    assert Counter(letters.back()) == Counter(values(*range(1300)))


def test_quarantine_after_so_many_attempts(letters: Letters) -> None:
    letters.add(1, failed_before=1)
    letters.add(2, failed_before=2)
    summary = letters.redrive(attempts=3)
    assert (summary.redriven, summary.quarantined) == ({RAW: 1}, 1)
    [(_, _, record)] = letters.broker.committed_records(QUARANTINE)
    assert (record.key, record.value, attempt(record.headers)) == (b"key-2", b"value-2", 3)
    assert letters.redrive(attempts=3).before == 2


def foreign(letters: Letters) -> None:
    letters.broker.producer().produce(DLQ, b"key-5", b"from elsewhere", lambda _: None, None)


def test_policy_stop(letters: Letters) -> None:
    foreign(letters)
    with pytest.raises(Stop, match="no stage of Tidegate wrote it"):
        letters.redrive()


def test_policy_reinsert_leaves_what_cannot_be_put_back(letters: Letters) -> None:
    foreign(letters)
    letters.add(1)
    letters.add(2, topic=FEATURES, profile=b"00000000")
    letters.add(3, topic="elsewhere")
    for _ in range(2):
        assert letters.redrive(policy="reinsert").left == 3
    assert letters.back() == values(1)


def test_policy_drop_gives_up_what_cannot_be_put_back(letters: Letters) -> None:
    foreign(letters)
    letters.add(1)
    assert letters.redrive(policy="drop").dropped == 1
    assert letters.redrive(policy="stop").before == 2


@pytest.mark.parametrize("done", [False, True])
def test_killed_at_every_call_and_run_again(done: bool) -> None:
    calls, at = 1000, 0
    while at < calls:
        letters, count = Letters(), 0
        for number in range(5):
            letters.add(number)

        def die(_name: str, after: bool, at: int = at) -> None:
            nonlocal count
            count += after is done
            if after is done and count == at + 1:
                raise KeyboardInterrupt

        letters.broker.hook = die
        try:
            letters.redrive()
        except KeyboardInterrupt:
            pass
        else:
            calls = count
        letters.broker.hook = lambda _name, _done: None
        letters.redrive()
        assert letters.back() == values(*range(5)), f"killed at call {at + 1}"
        at += 1
    assert calls > 8


def test_two_side_by_side(letters: Letters) -> None:
    """The younger fences the elder, whose transaction comes to nothing."""
    letters.add(1)
    started = False

    def second(name: str, done: bool) -> None:
        nonlocal started
        if name == "begin" and not done and not started:
            started = True
            letters.redrive()

    letters.broker.hook = second
    with pytest.raises((Fenced, Aborted)):
        letters.redrive()
    assert letters.back() == values(1)


def test_places_are_read_strictly() -> None:
    assert parse_place("2:1045") == (2, 1045)
    with pytest.raises(ConfigError, match="PARTITION:OFFSET"):
        parse_place("7")


def test_a_misplaced_transaction_is_put_back_under_its_account(letters: Letters) -> None:
    body = (
        b'{"transaction_id":"t","user_id":"u-7","amount":1,"merchant":"m","timestamp":1704067200,'
        b'"merchant_type":"fuel","device_type":"pos","location_match":true}'
    )
    letters.add(1, reason=WRONG_PARTITION, value=body)
    letters.add(2, reason=WRONG_PARTITION, value=b"of another profile")
    letters.add(3, reason="wrong_type", value=body)
    letters.redrive()
    back = {record.key: record.value for _, _, record in letters.broker.committed_records(RAW)}
    assert back == {b"u-7": body, b"key-2": b"of another profile", b"key-3": body}


@pytest.mark.parametrize(
    ("envelope", "body"),
    [
        ("debezium", b'{"before": null, "after": %s, "op": "c", "ts_ms": 1}'),
        ("connect", b'{"schema": null, "payload": %s}'),
        ("cloudevents", b'{"specversion":"1.0","id":"e","source":"s","type":"t","data":%s}'),
    ],
)
def test_a_misplaced_record_in_an_envelope_is_put_back_under_its_account(
    letters: Letters, tmp_path: Path, envelope: str, body: bytes
) -> None:
    profile = enveloped(tmp_path, envelope=envelope)
    row = (
        b'{"transaction_id": "t", "user_id": "u-7", "amount": 1, '
        b'"created_at": "2026-01-01T00:00:00Z"}'
    )
    letters.add(1, reason=WRONG_PARTITION, value=body % row)
    redrive(letters.broker, profile, Selection())
    [(_, _, record)] = letters.broker.committed_records(RAW)
    assert (record.key, record.value) == (b"u-7", body % row)


@pytest.mark.usefixtures("keyed")
def test_what_was_withheld_is_not_put_back_as_nothing(letters: Letters, tmp_path: Path) -> None:
    profile = changed(tmp_path, TOKEN)
    letters.add(1, value=b"no JSON")
    with pytest.raises(Stop, match="cannot be read, or was withheld"):
        redrive(letters.broker, profile, Selection())
    assert redrive(letters.broker, profile, Selection(), policy="drop").dropped == 1
    assert letters.back() == []


@pytest.mark.usefixtures("keyed")
def test_a_verdict_from_before_tokens_is_put_back_with_one(
    letters: Letters, tmp_path: Path
) -> None:
    profile = changed(tmp_path, ID_TOKEN)
    value = b'{"transaction_id": "%s", "verdict": "fraud"}' % NUMBER.encode()
    letters.add(1, topic=FEEDBACK, stage="label", reason="unknown_transaction", value=value)
    redrive(letters.broker, profile, Selection())
    [(_, _, record)] = letters.broker.committed_records(FEEDBACK)
    assert record.key == profile.stored_id(NUMBER).encode()
    assert NUMBER.encode() not in (record.value or b"")


def test_what_cannot_be_put_back_can_be_quarantined(letters: Letters) -> None:
    foreign(letters)
    letters.add(1)
    letters.add(2, topic=FEATURES, profile=b"00000000")
    letters.add(3, topic="elsewhere")
    letters.add(4, value=ERASED)
    summary = letters.redrive(attempts=0, policy="reinsert")
    assert (summary.quarantined, summary.left) == (4, 1)
    assert letters.back(QUARANTINE) == sorted([*values(1, 2, 3), b"from elsewhere"])
    assert letters.redrive(attempts=0, policy="reinsert").before == 4
