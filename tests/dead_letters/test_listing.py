"""Dead letters listed for people: id, reason, and what became of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dead_letters.dying import PROFILE, Letters
from tests.profile.enveloped import enveloped
from tests.profile.test_tokens import ID_TOKEN, changed, keyed
from tidegate.dead_letters.listing import entries, waiting_letters
from tidegate.dead_letters.selection import Selection
from tidegate.profile.envelope import event_key
from tidegate.profile.made_ids import derived_id

__all__ = ["keyed"]


def test_each_is_listed_once_with_id_reason_and_what_a_redrive_did() -> None:
    letters = Letters()
    letters.add(1, topic="transactions.feedback", stage="label", reason="unknown_transaction")
    for _copy in range(2):
        letters.add(2)
    letters.redrive(Selection(stage="label"))
    listed = {entry.reason: entry for entry in entries(letters.broker, PROFILE)}
    assert len(entries(letters.broker, PROFILE)) == 2
    unread = listed["invalid_json"]
    assert (unread.stage, unread.detail, unread.attempt) == ("preprocess", "detail", 1)
    assert (unread.action, listed["unknown_transaction"].action) == ("", "redriven")
    [waiting] = entries(letters.broker, PROFILE, waiting=True)
    assert waiting == unread


def test_the_id_is_that_of_the_transaction() -> None:
    letters = Letters()
    letters.add(3, value=b'{"transaction_id": "t-3"}', reason="missing_field")
    assert [entry.transaction_id for entry in entries(letters.broker, PROFILE)] == ["t-3"]


def test_the_newest_of_a_reason() -> None:
    letters = Letters()
    for number in range(10):
        letters.add(number, reason="missing_field" if number % 2 else "invalid_json")
    listed = entries(letters.broker, PROFILE, reason="missing_field", limit=3)
    assert [entry.reason for entry in listed] == ["missing_field"] * 3
    assert len(entries(letters.broker, PROFILE, reason="missing_field")) == 5


def test_what_waits_is_counted_by_reason() -> None:
    letters = Letters()
    for number in range(12):
        letters.add(number, reason="missing_field" if number < 2 else "invalid_json")
    everything = waiting_letters(letters.broker, 100)
    assert (everything.reasons, everything.complete) == (
        {"invalid_json": 10, "missing_field": 2},
        True,
    )
    newest = waiting_letters(letters.broker, 2)
    assert (newest.count < 12, newest.complete) == (True, False)
    letters.redrive(Selection(reason="invalid_json"))
    assert waiting_letters(letters.broker, 100).reasons == {"missing_field": 2}


@pytest.mark.parametrize(
    "value",
    [
        b'{"schema": {}, "payload": {"after": {"transaction_id": "t-3"}, "op": "u"}}',
        b'{"before": {"transaction_id": "t-3"}, "after": null, "op": "x"}',
        b'{"transaction_id": "t-3", "__op": "u"}',
    ],
)
def test_a_dead_letter_in_an_envelope_names_its_transaction(tmp_path: Path, value: bytes) -> None:
    letters = Letters()
    letters.add(3, value=value, reason="conflicting_duplicate")
    found = entries(letters.broker, enveloped(tmp_path))
    assert [entry.transaction_id for entry in found] == ["t-3"]


def test_an_event_without_an_id_goes_by_the_one_it_is_given(tmp_path: Path) -> None:
    profile = enveloped(tmp_path, envelope="cloudevents")
    row = b'{"user_id": "u-7", "amount": 1, "created_at": "2026-01-01T00:00:00Z"}'
    event = b'{"specversion": "1.0", "id": "e-1", "source": "shop", "type": "t", "data": %s}' % row
    letters = Letters()
    letters.add(3, value=event, reason="wrong_type")
    [entry] = entries(letters.broker, profile)
    assert entry.transaction_id == derived_id(event_key("shop", "e-1"))


@pytest.mark.usefixtures("keyed")
def test_what_names_no_transaction_has_no_id_under_tokens_either(tmp_path: Path) -> None:
    profile = changed(tmp_path, ID_TOKEN)
    letters = Letters()
    letters.add(1, topic="transactions.feedback", stage="label", value=b"no JSON")
    assert [entry.transaction_id for entry in entries(letters.broker, profile)] == [""]
