"""Policies in the whole pipeline: each row names its own, and is replayed by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from consumers.replay.replay import Difference, Replay
from db.store import Store
from model.bundles.past_policies import Policies
from model.bundles.policies import (
    BY_PROFILE,
    Overtaken,
    current_policy,
    keep_own,
    publish_policy,
)
from model.policy.faults import PolicyFault
from tests.faults.injected.bench import PROFILE, Bench
from tests.faults.injected.test_pipeline import Step
from tidegate.errors import ConfigError
from tidegate.messages.policy import ListEntry, Policy, Rule, ValueList
from tidegate.pipeline import ALERTS, PROMOTIONS
from tidegate.stream.snapshot import Snapshots

pytestmark = pytest.mark.training

FIRST = Policy(
    (Rule("fuel", "merchant_type == 'fuel' and amount >= 5", "review", "dear fuel"),),
    (ValueList("stolen", "block", "user_id", (ListEntry("u7"),)),),
)
SECOND = Policy(
    (Rule("friends", "user_id == 'u7'", "approve"),), thresholds={"review": 1e-9, "block": 1.0}
)


def publish(bench: Bench, policy: Policy) -> None:
    publish_policy(bench.broker, PROFILE, policy, by="ana")


def decided(bench: Bench, store: Store, *steps: Step) -> list[dict[str, Any]]:
    """Rows, once all of the pipeline has done its part."""
    for step in steps:
        step.post(bench)
    bench.run(("preprocess", "preprocess-2", "score", "persist"))
    return [store.get(f"t{step.id}") or {} for step in steps]


def test_rows_name_their_policy_and_are_replayed_by_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    store = Store(bench.database, PROFILE)
    [plain] = decided(bench, store, Step(1, amount=9))
    publish(bench, FIRST)
    first = decided(bench, store, Step(2, amount=9), Step(3, amount=1), Step(4, 7, amount=9))
    publish(bench, SECOND)
    second = decided(bench, store, Step(5, 7), Step(6))
    rows = [plain, *first, *second]
    assert [(row["policy"], row["decision"], row["rules_hit"]) for row in rows] == [
        (None, "approve", []),
        (FIRST.version, "review", ["fuel"]),
        (FIRST.version, "approve", []),
        (FIRST.version, "block", ["fuel", "list:stolen"]),
        (SECOND.version, "approve", ["friends"]),
        (SECOND.version, "review", []),
    ]
    assert [row["model_decision"] for row in rows] == ["approve"] * 4 + ["review"] * 2
    replay = Replay(PROFILE, bench.broker, Snapshots(bench.snapshots), bench.folder)
    assert [replay.differences(row) for row in rows] == [[]] * 6
    changed = first[0] | {"policy": SECOND.version}
    assert replay.differences(changed) == [
        Difference("model_decision", 0.0, 1.0),
        Difference("hit by fuel", 1.0, 0.0),
    ]
    with pytest.raises(ConfigError, match="the policy 0123456789abcdef is neither on the topic"):
        replay.differences(first[0] | {"policy": "0123456789abcdef"})
    log = bench.broker.logs[next(source for source in bench.broker.logs if source.topic == ALERTS)]
    told = [msgspec.json.decode(record.value) for record in log if record.value]
    assert [(alert["transaction_id"], alert["rules"]) for alert in told] == [
        ("t2", ["fuel"]),
        ("t4", ["fuel", "list:stolen"]),
        ("t6", []),
    ]
    store.close()
    bench.close()


def test_rows_that_the_profiles_own_rules_decided_are_replayed_after_these_were_edited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, other = Bench(tmp_path), Policy((Rule("dear", "amount >= 5", "block"),))
    store, name = Store(bench.database, PROFILE), PROFILE.hash.decode()
    keep_own(bench.broker, PROFILE)
    past = Policies(bench.broker, PROFILE)
    assert past.history() == [], "it has no rules of its own"
    rows = []
    for at, own in enumerate((FIRST, other, FIRST)):
        monkeypatch.setattr(PROFILE, "policy", own)
        bench.kill("score")  # it starts again with the file as it is now
        for _ in range(2):  # `tidegate up`, and again
            keep_own(bench.broker, PROFILE)
        rows += decided(bench, store, Step(at, amount=9))
    monkeypatch.setattr(PROFILE, "policy", Policy())
    assert [row["rules_hit"] for row in rows] == [["fuel"], ["dear"], ["fuel"]]
    replay = Replay(PROFILE, bench.broker, Snapshots(bench.snapshots), bench.folder)
    assert [replay.differences(row) for row in rows] == [[]] * 3
    assert [(one.version, one.by) for one in past.history()] == [
        (own.version, BY_PROFILE) for own in (FIRST, other, FIRST)
    ]
    assert current_policy(bench.broker, name) is None, "nobody has applied one"
    publish(bench, SECOND)
    monkeypatch.setattr(PROFILE, "policy", other)
    keep_own(bench.broker, PROFILE)
    assert past.history()[-1].version == SECOND.version, "the profile's rules are not in force"
    store.close()
    bench.close()


def test_a_policy_is_published_once_it_can_decide(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    name = PROFILE.hash.decode()
    assert current_policy(bench.broker, name) is None
    with pytest.raises(PolicyFault, match=r"rules\[0\].when: character 1: 'x' is no field"):
        publish(bench, Policy((Rule("bad", "x > 1", "block"),)))
    assert current_policy(bench.broker, name) is None
    applied = publish_policy(
        bench.broker, PROFILE, FIRST, by="ana", instead_of=PROFILE.policy.version
    )
    assert current_policy(bench.broker, name) == applied
    assert (applied.version, applied.by) == (FIRST.version, "ana")
    with pytest.raises(Overtaken, match="has come into force since"):
        publish_policy(bench.broker, PROFILE, SECOND, by="bo", instead_of="")
    publish_policy(bench.broker, PROFILE, SECOND, by="bo", instead_of=FIRST.version)
    known = Policies(bench.broker, PROFILE)
    assert [known.get(each.version) for each in (FIRST, SECOND)] == [FIRST, SECOND]
    assert [known.compiled(""), known.get(PROFILE.policy.version)] == [None, PROFILE.policy]
    logs = [log for source, log in bench.broker.logs.items() if source.topic == PROMOTIONS]
    assert [len(log) for log in logs] == [2], "kept for good"
    bench.close()
