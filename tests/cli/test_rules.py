"""What `tidegate rules` and `tidegate lists` bring into force or propose."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.audited import typist
from cli.lists import made
from cli.rules import bring
from db.migrate import migrate
from db.policies.proposals import Proposals
from model.policy.compiled import PolicyFault
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.errors import ConfigError
from tidegate.messages.policy import Policy, Rule, ValueList
from tidegate.pipeline import MODELS, PROMOTIONS
from tidegate.profile import load_profile
from tidegate.settings import Settings

CARD = load_profile("card")
LARGE = Policy((Rule("large", "amount > 900", "block"),))
DEAR = Policy((Rule("dear", "amount > 90", "review"),))


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker({MODELS: 1, PROMOTIONS: 1})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(home=tmp_path, four_eyes=True)
    migrate(made.db_url)
    return made


@pytest.fixture
def proposals(settings: Settings) -> Iterator[Proposals]:
    opened = Proposals(settings.db_url, CARD.hash.decode())
    yield opened
    opened.close()


def test_what_can_decide_nothing_is_not_proposed(
    settings: Settings, broker: MemoryBroker, proposals: Proposals
) -> None:
    bad = Policy((), (ValueList("bad", "block", "amount"),))
    with pytest.raises(PolicyFault, match="no field with texts"):
        bring(settings, CARD, broker, bad)
    assert proposals.waiting() == []


def test_a_proposal_begins_with_the_policy_in_force(
    settings: Settings, broker: MemoryBroker, proposals: Proposals
) -> None:
    """Whatever its author's draft on the page began with."""
    proposals.write_draft(typist(), DEAR, "another")
    assert "is proposed" in bring(settings, CARD, broker, LARGE)
    [waiting] = proposals.waiting()
    assert (waiting.policy, waiting.instead_of) == (LARGE, CARD.policy.version)


def test_a_list_that_is_there_keeps_its_kind_and_field() -> None:
    policy = made(Policy(), "stolen", "block", "user_id")
    assert policy.lists == (ValueList("stolen", "block", "user_id"),)
    for kind, field in (("", ""), ("block", ""), ("", "user_id"), ("block", "user_id")):
        assert made(policy, "stolen", kind, field) == policy
    for kind, field in (("allow", ""), ("", "merchant"), ("watch", "user_id")):
        with pytest.raises(ConfigError, match="is there already, as block by user_id"):
            made(policy, "stolen", kind, field)
    with pytest.raises(ConfigError, match="there is no list other"):
        made(policy, "other", "", "user_id")
