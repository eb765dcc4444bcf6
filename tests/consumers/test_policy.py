"""The score stage with policies."""

from __future__ import annotations

import logging

import msgspec
import numpy as np
import pytest

from consumers.alerts import Alert
from consumers.score import ScoreStage
from model.bundles.reasons import Reason
from model.hashing import hash64
from tests.consumers.scoring import (
    STATE,
    champion,
    count,
    features_batch,
    models,
    ready,
    scored,
    shadow,
)
from tests.trained import Trained
from tidegate.broker.records import Batch
from tidegate.errors import Retry
from tidegate.messages.frames import Frames
from tidegate.messages.policy import AppliedPolicy, ListEntry, Policy, Rule, Suppression, ValueList
from tidegate.messages.rule_hits import FIRST_LIST, hit_bits
from tidegate.metrics import POLICY_REFUSED, RULE_HITS
from tidegate.pipeline import ALERTS
from tidegate.stream.sources import Sources
from tidegate.stream.stage import Output

ROWS = slice(300)
LARGE = Policy(
    (Rule("all-large", "amount > 1000000", "block"), Rule("dear", "amount > 50", "review", "dear"))
)


def applied(trained: Trained, policy: Policy, version: str = "") -> AppliedPolicy:
    name = trained.profile.hash.decode()
    return AppliedPolicy(policy, version or policy.version, name, 1, "ana")


def alerts_of(output: Output) -> list[Alert]:
    return [
        msgspec.json.decode(value or b"", type=Alert)
        for emit in output.emits
        if emit.topic == ALERTS
        for value in emit.values
    ]


def reasons_of(frames: Frames) -> list[list[Reason]]:
    return [msgspec.json.decode(text, type=list[Reason]) if text else [] for text in frames.reasons]


def amounts(trained: Trained) -> np.ndarray:
    return trained.values[ROWS, trained.profile.values.index("amount")]


def with_keys(trained: Trained, rows: slice, account: bytes) -> Batch:
    """Frames in which these rows are of an account; the others are of nobody."""
    batch, layout = features_batch(trained, ROWS), trained.profile.features_layout
    frames = layout.unpack([value for value in batch.values if value])
    frames.rows["keys"][rows, 0] = hash64([account])
    batch.values = list(layout.pack(frames))
    return batch


def test_without_a_policy_a_row_names_none(trained: Trained) -> None:
    rows = scored(trained, ready(trained).process(Sources(), features_batch(trained, ROWS))).rows
    assert set(rows["policy"].tolist()) == {b""}
    assert not any(map(any, map(bytes, rows["rule_hits"].tolist())))
    np.testing.assert_array_equal(rows["model_decision"], rows["decision"])


def test_rules_hit_and_rows_say_so(trained: Trained) -> None:
    stage = ready(trained, applied(trained, LARGE))
    before = RULE_HITS.labels("dear")._value.get()
    output = count(stage.process(Sources(), features_batch(trained, ROWS)))
    frames = scored(trained, output)
    dear = amounts(trained) > 50
    assert 0 < dear.sum() < len(dear)
    assert (stage.policy, stage.refused) == (LARGE.version, "")
    assert set(frames.rows["policy"].tolist()) == {LARGE.version.encode()}
    hits = [hit_bits(bytes(packed)) for packed in frames.rows["rule_hits"].tolist()]
    assert hits == [[1] if one else [] for one in dear]
    np.testing.assert_array_equal(
        frames.rows["decision"], np.maximum(frames.rows["model_decision"], dear)
    )
    for row, reasons, one in zip(frames.rows, reasons_of(frames), dear, strict=True):
        rules = [reason for reason in reasons if reason.rule]
        assert rules == ([Reason("", None, 0.0, "dear", rule="dear")] if one else [])
        assert len(reasons) > len(rules) or not row["model_decision"]
        assert not (one and any("would pass" in reason.text for reason in reasons))
    told = {alert.transaction_id: alert for alert in alerts_of(output)}
    assert set(told) == {f"t{i}" for i in np.flatnonzero(frames.rows["decision"]).tolist()}
    assert told[f"t{int(np.argmax(dear))}"].rules == ["dear"]
    assert RULE_HITS.labels("dear")._value.get() - before == dear.sum()


def test_an_approved_row_says_which_rule_approved_it(trained: Trained) -> None:
    policy = Policy(
        (Rule("known", "amount > 0", "approve"),), thresholds={"review": 1e-9, "block": 1e-9}
    )
    output = ready(trained, applied(trained, policy)).process(
        Sources(), features_batch(trained, ROWS)
    )
    frames = scored(trained, output)
    assert (frames.rows["model_decision"] == 2).all(), "by the policy's thresholds"
    assert (frames.rows["decision"] == 0).all()
    texts = {reason.text for reasons in reasons_of(frames) for reason in reasons}
    assert texts == {"rule known: amount > 0"}
    assert alerts_of(output) == []


def test_lists_go_by_the_hashes_in_the_frames(trained: Trained) -> None:
    field = trained.profile.hashed[0]
    policy = Policy((), (ValueList("bad", "block", field, (ListEntry("u1"),)),))
    batch = with_keys(trained, slice(7, 8), b"u1")
    stage = ready(trained, applied(trained, policy))
    rows = scored(trained, stage.process(Sources(), batch)).rows
    assert rows["model_decision"][7] < 2
    expected = rows["model_decision"].copy()
    expected[7] = 2
    np.testing.assert_array_equal(rows["decision"], expected)
    assert [hit_bits(bytes(packed)) for packed in rows["rule_hits"].tolist()] == [
        [FIRST_LIST] if i == 7 else [] for i in range(len(rows))
    ]


def test_a_suppressed_alert_is_not_sent_and_the_decision_stays(trained: Trained) -> None:
    field, batch = trained.profile.hashed[0], features_batch(trained, ROWS)
    policy = msgspec.structs.replace(LARGE, suppressions=(Suppression(field, "u1", 1 << 60),))
    stage = ready(trained, applied(trained, policy))
    everyone = stage.process(Sources(), batch)
    quiet = stage.process(Sources(), with_keys(trained, slice(None), b"u1"))
    loud = {alert.transaction_id for alert in alerts_of(everyone)}
    blocked = {alert.transaction_id for alert in alerts_of(everyone) if alert.decision == "block"}
    assert {alert.transaction_id for alert in alerts_of(quiet)} == blocked < loud
    decided = [scored(trained, output).rows["decision"].tolist() for output in (everyone, quiet)]
    assert decided[0] == decided[1]


def test_it_switches_between_two_batches_and_a_redelivery_changes_nothing(
    trained: Trained,
) -> None:
    stage, batch = ready(trained), features_batch(trained, ROWS)
    strict = Policy((Rule("every", "amount >= 0", "block"),))
    stage.process(Sources(), batch)
    message = models(applied(trained, LARGE), applied(trained, strict), start=1)
    for _ in range(2):
        stage.absorb(STATE, message)
        rows = scored(trained, stage.process(Sources(), batch)).rows
        assert (rows["decision"] == 2).all(), "the newest of both, for all rows of the batch"
        assert (rows["models_offset"] == 3).all()
    stage.absorb(STATE, models(applied(trained, Policy()), start=3))
    rows = scored(trained, stage.process(Sources(), batch)).rows
    np.testing.assert_array_equal(rows["decision"], rows["model_decision"])
    assert set(rows["policy"].tolist()) == {Policy().version.encode()}


@pytest.mark.parametrize(
    ("policy", "version", "message"),
    [
        (Policy((Rule("bad", "nothing > 5", "block"),)), "", "'nothing' is no field"),
        (Policy((Rule("good", "amount > 5", "block"),)), "0" * 16, "reads it differently"),
    ],
)
def test_a_policy_that_cannot_decide_leaves_the_one_before(
    trained: Trained, policy: Policy, version: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    stage = ready(trained, applied(trained, LARGE))
    with caplog.at_level(logging.ERROR):
        stage.absorb(STATE, models(applied(trained, policy, version), start=2))
    assert stage.policy == LARGE.version
    assert message in stage.refused
    assert POLICY_REFUSED._value.get() == 1
    assert f"{LARGE.version} goes on" in caplog.text
    stage.absorb(STATE, models(applied(trained, Policy()), start=3))
    assert (stage.policy, stage.refused) == (Policy().version, "")
    assert POLICY_REFUSED._value.get() == 0


@pytest.mark.parametrize("own", [Policy(), LARGE])
def test_after_a_start_nothing_is_decided_where_the_only_policy_is_refused(
    trained: Trained, own: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The topic is compacted: without the policy its block lists would be off."""
    monkeypatch.setattr(trained.profile, "policy", own)
    stage, batch = ready(trained), features_batch(trained, ROWS)
    newer = applied(trained, Policy((Rule("bad", "nothing > 5", "block"),)))
    stage.absorb(STATE, models(newer, start=1))
    with pytest.raises(Retry, match=r"no policy can decide: .*'nothing' is no field.*rules apply"):
        stage.process(Sources(), batch)
    assert "'nothing' is no field" in stage.refused
    stage.absorb(STATE, models(applied(trained, LARGE), start=2))
    rows = scored(trained, stage.process(Sources(), batch)).rows
    assert set(rows["policy"].tolist()) == {LARGE.version.encode()}


def test_another_profiles_policy_is_passed_over(trained: Trained) -> None:
    other = AppliedPolicy(LARGE, LARGE.version, "ffffffff", 1)
    assert ready(trained, other).policy == ""


def test_the_profiles_own_rules_hold_until_a_policy_is_applied(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trained.profile, "policy", LARGE)
    stage = ScoreStage(trained.profile, trained.bundle.path.parent)
    stage.absorb(STATE, models(champion(trained)))
    assert stage.policy == LARGE.version
    stage.absorb(STATE, models(applied(trained, Policy()), start=1))
    assert stage.policy == Policy().version


def test_the_shadow_is_compared_by_the_policys_thresholds(trained: Trained) -> None:
    policy = Policy(thresholds={"review": 1e-9, "block": 1.0})
    stage = ready(trained, shadow(trained, trained.bundle.hash), applied(trained, policy))
    assert stage.serving.shadow
    assert stage.serving.champion
    for bundle in (stage.serving.shadow, stage.serving.champion.bundle):
        assert bundle.rule._asdict() == policy.thresholds
    stage.absorb(STATE, models(applied(trained, Policy()), start=3))
    assert stage.serving.champion.bundle.rule == trained.bundle.rule
