from __future__ import annotations

from pathlib import Path

import pytest

from model.policy import edit
from model.policy.document import policy_text, read_policy
from tests.model.policy.made import profile
from tidegate.errors import ConfigError
from tidegate.messages.policy import ListEntry, Policy, Rule, Suppression

A, B = Rule("a", "amount > 1", "block"), Rule("b", "amount > 2", "review", "two")


def test_a_rule_stays_in_its_place() -> None:
    policy = edit.with_rule(edit.with_rule(Policy(), A), B)
    assert policy.rules == (A, B)
    renamed = Rule("c", "amount > 3", "block")
    assert edit.with_rule(policy, renamed, "a").rules == (renamed, B)
    assert edit.without_rule(policy, "a").rules == (B,)


def test_entries_replace_those_of_the_same_value(tmp_path: Path) -> None:
    toy = profile(tmp_path)
    policy = edit.with_list(Policy(), "bad", "block", "user")
    with pytest.raises(ValueError, match="there is a list bad already"):
        edit.with_list(policy, "bad", "allow", "user")
    policy = edit.with_entries(policy, toy, "bad", [ListEntry("u1"), ListEntry("u2", 5)])
    policy = edit.with_entries(policy, toy, "bad", [ListEntry("u1", 9, "again")])
    assert edit.list_of(policy, "bad").entries == (ListEntry("u1", 9, "again"), ListEntry("u2", 5))
    left = edit.without_entries(policy, toy, "bad", ["u1", "nobody"])
    assert edit.list_of(left, "bad").entries == (ListEntry("u2", 5),)
    assert edit.without_list(left, "bad") == Policy()
    with pytest.raises(KeyError):
        edit.with_entries(policy, toy, "none", [])
    quiet = edit.with_suppression(policy, toy, Suppression("user", "u1", 7))
    assert edit.without_suppression(quiet, 0) == policy


def test_a_difference_names_what_changed() -> None:
    lines = edit.difference(Policy((A, B)), Policy((A, Rule("b", "amount > 5", "review", "two"))))
    assert [line.strip() for line in lines if line[0] in "+-"] == [
        '-   "when": "amount > 2",',
        '+   "when": "amount > 5",',
    ]
    assert edit.difference(Policy((A,)), Policy((A,))) == []


def test_what_is_written_is_read_again() -> None:
    policy = Policy((A, B), thresholds={"review": 0.5, "block": 0.9})
    assert read_policy(policy_text(policy)) == policy
    assert read_policy("") == Policy()
    assert read_policy('{"rules": []}') == Policy()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "this is no YAML"),
        ("- x", "this is no policy: expected an object"),
        ("a: 2026-02-30", "this is no YAML: day"),
        ("rule: []", "unknown field `rule`"),
        ("rules: [{name: a, when: x, action: explode}]", "none of the values"),
        ("rules: [{name: 'a b', when: x, action: block}]", "matching regex"),
        ("x" * 2_000_001, "at most 2,000,000"),
    ],
)
def test_what_is_no_policy(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_policy(text)
