"""Personal values in policies: topics keep these for good."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.policy.compiled import CompiledPolicy, PolicyFault
from model.policy.personal import masked, stored
from tests.model.policy.made import TEXT, rows
from tidegate.errors import ConfigError
from tidegate.messages.policy import ListEntry, Policy, Rule, Suppression, ValueList
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
        CompiledPolicy(PLAIN, toy)
    assert [fault.place for fault in caught.value.faults] == [
        "lists[0].entries",
        "suppressions[0].value",
    ]
    assert "values of user are kept as tokens only: `tidegate lists add`" in str(caught.value)
    kept = stored(PLAIN, toy)
    assert stored(kept, toy) == kept, "a token stays"
    token = toy.stored("user", "u1")
    assert [kept.lists[0].entries[0].value, kept.suppressions[0].value] == [token, token]
    assert kept.lists[1] == PLAIN.lists[1], "a shop is no person"
    made = rows(toy, {"user": token, "amount": 5.0}, {"user": "tok_else", "amount": 5.0})
    outcome = CompiledPolicy(kept, toy).decide(made)
    assert (outcome.decision.tolist(), outcome.suppressed.tolist()) == ([1, 0], [True, False])


@pytest.mark.parametrize("when", ["user == '{}'", "user != '{}'", "not user in ('x', '{}')"])
def test_a_condition_holds_no_plain_value(toy: Profile, when: str) -> None:
    with pytest.raises(PolicyFault, match="put this one on a list") as caught:
        CompiledPolicy(Policy((Rule("r", when.format("u1"), "block"),)), toy)
    assert caught.value.faults[0].place == "rules[0].when"
    token = toy.stored("user", "u1")
    CompiledPolicy(Policy((Rule("r", f"user == '{token}'", "block"),)), toy)


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
