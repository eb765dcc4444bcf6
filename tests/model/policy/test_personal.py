"""Personal values in policies: topics keep these for good."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.bundles.past_policies import Policies
from model.bundles.policies import keep_own, publish_policy
from model.bundles.serving import Serving
from model.policy.admission import MOST_BYTES, admitted
from model.policy.compiled import CompiledPolicy
from model.policy.edit import with_rule
from model.policy.faults import PolicyFault
from model.policy.personal import masked, stored
from tests.model.policy.made import TEXT, rows
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Batch, TopicPartition
from tidegate.broker.write import write
from tidegate.errors import ConfigError
from tidegate.messages.documents import encode
from tidegate.messages.policy import AppliedPolicy, ListEntry, Policy, Rule, Suppression, ValueList
from tidegate.pipeline import MODELS, PROMOTIONS
from tidegate.profile import Profile, load_profile
from tidegate.profile.personal import MASK

PLAIN = Policy(
    (Rule("r", "user in list:bad and amount > 1", "review"),),
    (
        ValueList("bad", "watch", "user", (ListEntry("u1"), ListEntry("u2", 9, "why"))),
        ValueList("shops", "block", "shop", (ListEntry("s1"),)),
    ),
    (Suppression("user", "u1", 1 << 60),),
)


@pytest.fixture(params=[False, True], ids=["tokens", "erasable"])
def toy(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Profile:
    monkeypatch.setenv("TIDEGATE_TOKEN_KEY", "a key of thirty-two characters or so")
    text = TEXT.replace(
        "user: {type: string}", "user: {type: string, personal: true, store: token}"
    )
    path = tmp_path / "toy.yaml"
    path.write_text(text + "erasable: true\n" * request.param)
    return load_profile(path)


def test_plain_values_are_refused_and_tokens_decide(toy: Profile) -> None:
    with pytest.raises(PolicyFault) as caught:
        admitted(PLAIN, toy)
    assert [fault.place for fault in caught.value.faults] == [
        "lists[0].entries",
        "suppressions[0].value",
    ]
    assert "values of user are kept as tokens only: `tidegate rules apply` and" in str(caught.value)
    kept = stored(PLAIN, toy)
    assert stored(kept, toy) == kept, "a token stays"
    token = toy.stored("user", "u1")
    assert [kept.lists[0].entries[0].value, kept.suppressions[0].value] == [token, token]
    assert kept.lists[1] == PLAIN.lists[1], "a shop is no person"
    made = rows(toy, {"user": token, "amount": 5.0}, {"user": "tok_else", "amount": 5.0})
    for policy in (admitted(kept, toy), CompiledPolicy(PLAIN, toy)):
        outcome = policy.decide(made)
        assert (outcome.decision.tolist(), outcome.suppressed.tolist()) == ([1, 0], [True, False])


@pytest.mark.parametrize("when", ["user == '{}'", "user != '{}'", "not user in ('x', '{}')"])
def test_a_condition_holds_no_plain_value(toy: Profile, when: str) -> None:
    plain = Policy((Rule("off", "amount > 1", "block"), Rule("r", when.format("u1"), "block")))
    for policy in (plain, with_rule(plain, Rule("r", when.format("u1"), "block", "", False), "r")):
        with pytest.raises(PolicyFault, match="put this one on a list") as caught:
            admitted(policy, toy)
        assert caught.value.faults[0].place == "rules[1].when"
        assert str(caught.value).startswith("rules[1].when: character ")
    CompiledPolicy(plain, toy)
    token = toy.stored("user", "u1")
    admitted(Policy((Rule("r", f"user == '{token}'", "block"),)), toy)


def test_all_that_is_wrong_is_told_at_once(toy: Profile) -> None:
    wrong = with_rule(PLAIN, Rule("s", "x > 1", "review"))
    with pytest.raises(PolicyFault) as caught:
        admitted(wrong, toy)
    assert [fault.place for fault in caught.value.faults] == [
        "rules[1].when",
        "lists[0].entries",
        "suppressions[0].value",
    ]


def test_a_policy_of_before_decides_after_a_restart_and_is_replayed(toy: Profile) -> None:
    """Plain values were asked about, and 1,000,000 bytes, only once some were in force."""
    entries = tuple(ListEntry(f"u{number}", note="n" * 250) for number in range(4_000))
    large = Policy((), (ValueList("bad", "block", "user", entries),))
    assert large.size > MOST_BYTES
    held = Policy((Rule("r", "user == 'u1'", "block"),), PLAIN.lists, PLAIN.suppressions)
    name = toy.hash.decode()
    for offset, policy in enumerate((held, large)):
        broker = MemoryBroker({MODELS: 1, PROMOTIONS: 1})
        sent = encode(AppliedPolicy(policy, policy.version, name, 1, "ana"))
        write(broker, PROMOTIONS, b"policy", sent, what="a policy", timeout=1.0)
        serving = Serving(toy, Path("none"))
        source = TopicPartition(MODELS, 0)
        serving.absorb(Batch(source, [offset], [b""], [sent], [0], [None], offset + 1))
        assert (serving.waits_for_policy, serving.policy_refused) == (False, "")
        assert serving.policy
        made = rows(toy, {"user": toy.stored("user", "u1"), "amount": 5.0})
        assert serving.policy.decide(made).decision.tolist() == [2]
        again = Policies(broker, toy).compiled(policy.version)
        assert again
        assert again.decide(made).decision.tolist() == [2]
        with pytest.raises(PolicyFault):
            publish_policy(broker, toy, policy, by="ana")


def test_rules_of_the_profile_that_hold_a_plain_value_decide_and_are_not_kept(
    toy: Profile, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(toy, "policy", Policy((Rule("r", "user == 'u1'", "block"),)))
    assert Serving(toy, Path("none")).policy
    broker = MemoryBroker({MODELS: 1, PROMOTIONS: 1})
    keep_own(broker, toy)
    assert "are not kept on topic promotions" in caplog.text
    assert Policies(broker, toy).history() == []


def test_a_mask_is_no_value(toy: Profile, tmp_path: Path) -> None:
    kept = stored(PLAIN, toy)
    assert masked(kept, toy) == kept, "a token may be seen"
    text = TEXT.replace("user: {type: string}", "user: {type: string, personal: true}")
    path = tmp_path / "plain.yaml"
    path.write_text(text)
    plain = load_profile(path)
    shown = masked(PLAIN, plain)
    assert [entry.value for entry in shown.lists[0].entries] == [MASK, MASK]
    assert (shown.lists[1], shown.suppressions[0].value) == (PLAIN.lists[1], MASK)
    assert stored(PLAIN, plain) == PLAIN
    with pytest.raises(ConfigError, match="a value of user: `tidegate rules show --unmask"):
        stored(shown, plain)
