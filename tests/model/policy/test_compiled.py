from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.policy.compiled import CompiledPolicy, names_of
from model.policy.faults import PolicyFault
from tests.model.policy.made import profile, rows
from tidegate.messages.policy import ListEntry, Policy, Rule, Suppression, ValueList
from tidegate.messages.rule_hits import BITS, hit_bits
from tidegate.profile import Profile, load_profile

TX: dict[str, Any] = {"user": "u1", "shop": "s1", "amount": 50.0, "kind": "cash"}
APPROVE, REVIEW, BLOCK = range(3)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    return profile(tmp_path_factory.mktemp("profile"))


def rule(action: str, when: str = "amount > 1", **more: bool | str) -> Rule:
    return msgspec.convert({"name": f"to-{action}", "when": when, "action": action} | more, Rule)


def listed(kind: str, *values: str | tuple[str, int], field: str = "user") -> ValueList:
    entries = [
        ListEntry(value) if isinstance(value, str) else ListEntry(*value) for value in values
    ]
    return msgspec.convert(
        {"name": f"{kind}ed", "kind": kind, "field": field, "entries": entries},
        ValueList,
        from_attributes=True,
    )


def decide(toy: Profile, policy: Policy, *txs: dict[str, Any], model: int = 0) -> list[int]:
    made = rows(toy, *(txs or (TX,)), model=model)
    return CompiledPolicy(policy, toy).decide(made).decision.tolist()


@pytest.mark.parametrize(
    ("policy", "by_model", "expected"),
    [
        (Policy(), REVIEW, REVIEW),
        (Policy((rule("review"),)), APPROVE, REVIEW),
        (Policy((rule("review"),)), BLOCK, BLOCK),
        (Policy((rule("block"),)), REVIEW, BLOCK),
        (Policy((rule("approve"),)), BLOCK, APPROVE),
        (Policy((rule("block"), rule("approve"))), APPROVE, APPROVE),
        (Policy((rule("reason"),)), REVIEW, REVIEW),
        (Policy((rule("block", enabled=False),)), APPROVE, APPROVE),
        (Policy((rule("block", "amount > 51"),)), APPROVE, APPROVE),
        (Policy((), (listed("block", "u1"),)), APPROVE, BLOCK),
        (Policy((), (listed("allow", "u1"),)), BLOCK, APPROVE),
        (Policy((rule("block"),), (listed("allow", "u1"),)), BLOCK, APPROVE),
        (Policy((), (listed("watch", "u1"),)), APPROVE, APPROVE),
        (
            Policy((rule("review", "user in list:watched"),), (listed("watch", "u1"),)),
            APPROVE,
            REVIEW,
        ),
        (Policy((), (listed("block", "s1", field="shop"),)), APPROVE, BLOCK),
        (Policy((), (listed("block", "cash", field="kind"),)), APPROVE, BLOCK),
    ],
)
def test_approve_beats_block_beats_review(
    toy: Profile, policy: Policy, by_model: int, expected: int
) -> None:
    assert decide(toy, policy, model=by_model) == [expected]


def test_an_entry_expires_by_when_kafka_recorded_the_transaction(toy: Profile) -> None:
    txs = [TX | {"ingest_us": us} for us in (999, 1_000, 1_001)]
    assert decide(toy, Policy((), (listed("block", ("u1", 1_000)),)), *txs) == [2, 0, 0]
    again = listed("block", ("u1", 1_000), "u1", ("u1", 1_001))
    assert decide(toy, Policy((), (again,)), *txs) == [2, 2, 0], "of two entries the last counts"


def test_bits_follow_the_order_of_the_document(toy: Profile) -> None:
    policy = Policy(
        (rule("review", name="a"), rule("block", "amount > 99", name="b"), rule("reason")),
        (listed("watch", "u1"), listed("block", "u1")),
    )
    outcome = CompiledPolicy(policy, toy).decide(rows(toy, TX, TX | {"amount": 100}))
    packed = [bytes(one) for one in outcome.packed().tolist()]
    assert [hit_bits(one) for one in packed] == [[0, 2, 101], [0, 1, 2, 101]]
    assert names_of(policy) == {0: "a", 1: "b", 2: "to-reason", 101: "list:blocked"}
    assert outcome.forced.tolist() == [2, 2]


@pytest.mark.parametrize(
    ("rules", "by_model", "quiet"),
    [
        ((), REVIEW, True),
        ((), APPROVE, True),
        ((), BLOCK, False),
        (("to-review",), APPROVE, True),
        (("to-review",), REVIEW, False),
        (("other",), APPROVE, False),
        (("to-review", "other"), APPROVE, True),
    ],
)
def test_a_suppression_keeps_reviews_quiet(
    toy: Profile, rules: tuple[str, ...], by_model: int, quiet: bool
) -> None:
    policy = Policy(
        (rule("review"), rule("review", "amount > 99", name="other")),
        suppressions=(Suppression("user", "u1", 1_001, rules),),
    )
    made = rows(toy, TX, TX | {"user": "u2"}, TX | {"ingest_us": 1_001}, model=by_model)
    outcome = CompiledPolicy(policy, toy).decide(made)
    assert outcome.suppressed.tolist() == [quiet, False, False]
    assert outcome.decision.tolist() == [max(by_model, REVIEW)] * 3, "the decision stays"


@pytest.mark.parametrize(
    ("policy", "place", "message"),
    [
        (Policy((rule("block", "amount >"),)), "rules[0].when", "character 9"),
        (Policy((rule("block", "x > 1", enabled=False),)), "rules[0].when", "'x' is no field"),
        (Policy((rule("block"), rule("block"))), "rules[1].name", "another one named to-block"),
        (Policy((), (listed("block"), listed("block"))), "lists[1].name", "another one"),
        (Policy((), (listed("block", field="amount"),)), "lists[0].field", "no field with texts"),
        (Policy((), (listed("block", field="at"),)), "lists[0].field", "no field with texts"),
        (
            Policy((), suppressions=(Suppression("user", "u", 1, ("no",)),)),
            "suppressions[0].rules",
            "no rule no",
        ),
        (Policy((), suppressions=(Suppression("x", "u", 1),)), "suppressions[0].field", "'x'"),
        (Policy(thresholds={"review": 0.9, "block": 0.5}), "thresholds", "expected review <= "),
        (
            Policy(tuple(rule("block", name=f"r{i}") for i in range(101))),
            "rules",
            "101 rules, at most 100",
        ),
        (
            Policy((), (listed("block", *map(str, range(10_001))),)),
            "lists",
            "10,001 entries in all lists, at most 10,000",
        ),
    ],
)
def test_all_that_is_wrong_is_told_with_its_place(
    toy: Profile, policy: Policy, place: str, message: str
) -> None:
    with pytest.raises(PolicyFault) as caught:
        CompiledPolicy(policy, toy)
    assert [fault.place for fault in caught.value.faults] == [place]
    assert message in caught.value.faults[0].message


def test_costs_need_amounts_and_probabilities(toy: Profile) -> None:
    costs = Policy(thresholds={"review_cost": 300.0, "block_cost": 5000.0})
    assert decide(toy, costs) == [0]
    with pytest.raises(PolicyFault, match="thresholds: costs need amounts"):
        CompiledPolicy(costs, load_profile("vector"))
    with pytest.raises(PolicyFault, match="thresholds: costs need probabilities"):
        CompiledPolicy(costs, load_profile("card_unsupervised"))


def test_lists_of_payloads_that_are_encrypted_are_refused(tmp_path: Path) -> None:
    toy = profile(tmp_path)
    toy.erasable = True
    for policy in (
        Policy((), (listed("block", "x", field="city"),)),
        Policy((), suppressions=(Suppression("city", "x", 1),)),
    ):
        with pytest.raises(PolicyFault, match="encrypted"):
            CompiledPolicy(policy, toy)
    assert decide(toy, Policy((), (listed("block", "u1"),))) == [2]


@given(
    actions=st.lists(st.sampled_from(["approve", "review", "block", "reason"]), max_size=6),
    held=st.lists(st.booleans(), min_size=6, max_size=6),
    by_model=st.integers(0, 2),
)
@settings(deadline=None, max_examples=60)
def test_the_decision_is_what_the_order_says_whatever_the_rules(
    toy: Profile, actions: list[str], held: list[bool], by_model: int
) -> None:
    rules = tuple(
        rule(action, f"amount > {0 if hit else 99}", name=f"r{i}")
        for i, (action, hit) in enumerate(zip(actions, held, strict=False))
    )
    hit = {action for action, one in zip(actions, held, strict=False) if one}
    expected = 0 if "approve" in hit else max(by_model, 2 * ("block" in hit), "review" in hit)
    assert decide(toy, Policy(rules), model=by_model) == [expected]


def test_a_version_is_the_content_and_nothing_else() -> None:
    first = Policy((rule("block"),), thresholds={"review": 0.5, "block": 0.6})
    read = msgspec.json.decode(msgspec.json.encode(first), type=Policy)
    assert read.version == first.version
    assert first.with_thresholds(None).version == Policy((rule("block"),)).version
    assert first.with_thresholds({"block": 0.6, "review": 0.5}).version == first.version
    assert first.with_thresholds({"block": 0.7, "review": 0.5}).version != first.version


def test_many_entries_are_one_search(toy: Profile) -> None:
    policy = Policy((), (listed("block", *(f"u{i}" for i in range(0, 10_000, 2))),))
    made = rows(toy, *(TX | {"user": f"u{i}"} for i in range(100)))
    outcome = CompiledPolicy(policy, toy).decide(made)
    np.testing.assert_array_equal(outcome.decision, np.tile([2, 0], 50))
    assert outcome.hits.shape == (BITS, 100)


def test_a_profile_brings_rules_along(tmp_path: Path) -> None:
    plain = profile(tmp_path)
    text = "rules:\n- {name: large, when: amount > 1000, action: review, reason: a large amount}\n"
    ruled = profile(tmp_path, text)
    assert ruled.policy.rules == (Rule("large", "amount > 1000", "review", "a large amount"),)
    assert ruled.hash == plain.hash, "windows and bundles stay"
