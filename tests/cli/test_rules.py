"""What `tidegate rules` and `tidegate lists` bring into force or propose."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import app
from cli.audited import typist
from cli.lists import made
from cli.rules import bring
from cli.running.steps import keep_own_rules
from db.audit import export
from db.migrate import migrate
from db.policies.proposals import Proposals
from model.bundles.past_policies import Policies
from model.bundles.policies import current_policy, publish_policy
from model.policy.document import read_policy
from model.policy.edit import with_entries
from model.policy.faults import PolicyFault
from tidegate.broker.kafka import KafkaBroker
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.write import write
from tidegate.clock import now_us
from tidegate.errors import ConfigError
from tidegate.messages.documents import encode
from tidegate.messages.policy import AppliedPolicy, ListEntry, Policy, Rule, ValueList
from tidegate.pipeline import MODELS, PROMOTIONS
from tidegate.profile import load_profile
from tidegate.profile.personal import MASK
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
    opened = Proposals(settings.db_url, CARD.hash.decode(), lambda *_: True)
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


def test_what_was_decided_and_never_published_waits_again(
    settings: Settings,
    broker: MemoryBroker,
    proposals: Proposals,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A process ended between the two: seen to when proposals are opened the next time."""
    monkeypatch.setattr("db.policies.proposals.now_us", lambda: now_us() - 7_200_000_000)
    for author, policy in (("ana", LARGE), ("bo", DEAR)):
        draft = proposals.write_draft(author, policy, CARD.policy.version)
        assert proposals.decide(draft, "applied", "cy")
    monkeypatch.undo()
    publish_policy(broker, CARD, DEAR, by="cy")
    assert "is proposed" in bring(settings, CARD, broker, Policy())
    waiting = [(each.author, each.policy) for each in proposals.waiting()]
    assert dict(waiting) == {"ana": LARGE, typist(): Policy()}


def test_what_came_into_force_with_plain_values_is_brought_on_with_tokens(
    tmp_path: Path, broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_TOKEN_KEY", "a key of thirty-two characters or so")
    plain = "user_id: {type: string}"
    personal = "user_id: {type: string, personal: true, store: token}"
    file = tmp_path / "card.yaml"
    file.write_text(Path("profiles/card.yaml").read_text().replace(plain, personal, 1))
    profile, settings = load_profile(file), Settings(home=tmp_path)
    migrate(settings.db_url)
    policy = Policy((), (ValueList("bad", "block", "user_id", (ListEntry("u-1"),)),))
    sent = AppliedPolicy(policy, policy.version, profile.hash.decode(), 1, "ana")
    write(broker, MODELS, b"policy", encode(sent), what="a policy", timeout=1.0)
    changed = with_entries(policy, profile, "bad", [ListEntry("u-2")])
    assert "is in force instead of" in bring(settings, profile, broker, changed)
    applied = current_policy(broker, profile.hash.decode())
    assert applied
    assert [entry.value for entry in applied.policy.lists[0].entries] == [
        profile.stored("user_id", value) for value in ("u-1", "u-2")
    ]


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


@pytest.mark.processes
def test_personal_values_are_masked_unless_the_audit_is_told(
    pipeline_topics: KafkaBroker, kafka: str, tmp_path: Path
) -> None:
    file = tmp_path / "card.yaml"
    plain = "user_id: {type: string}"
    personal = "user_id: {type: string, personal: true}"
    text = Path("profiles/card.yaml").read_text().replace(plain, personal, 1)
    file.write_text(text.replace("label_delay: 7d", "label_delay: 77d"))  # a profile of its own
    profile, home = load_profile(file), Settings(home=tmp_path)
    migrate(home.db_url)
    listed = ValueList("bad", "block", "user_id", (ListEntry("u-secret"),))
    publish_policy(pipeline_topics, profile, Policy((), (listed,)), by="ana")
    show = ["rules", "show", "--profile", str(file), "--kafka", kafka, "--db", home.db_url]
    shown, told = (CliRunner().invoke(app, [*show, *more]) for more in ([], ["--unmask"]))
    assert ("u-secret" in shown.stdout, MASK in shown.stdout) == (False, True)
    assert read_policy(told.stdout) == Policy((), (listed,))
    assert [act.what for act in export(home.db_url)] == ["policy unmasked"]
    copy = tmp_path / "policy.yaml"
    copy.write_text(shown.stdout)
    refused = CliRunner().invoke(app, ["rules", "check", str(copy), "--profile", str(file)])
    assert "`tidegate rules show --unmask`" in str(refused.exception)


@pytest.mark.processes
def test_a_start_keeps_the_profiles_own_rules(
    pipeline_topics: KafkaBroker, kafka: str, tmp_path: Path
) -> None:
    text = Path("profiles/card.yaml").read_text().replace("label_delay: 7d", "label_delay: 79d")
    file, settings = tmp_path / "card.yaml", Settings(home=tmp_path, kafka=kafka)
    for limit in (900, 800):
        rule = f"{{name: large, when: amount > {limit}, action: review}}"
        file.write_text(f"{text}\nrules:\n- {rule}\n")
        for _ in range(2):
            keep_own_rules(settings, load_profile(file))
    past = Policies(pipeline_topics, load_profile(file)).history()
    assert [each.by for each in past] == ["profile"] * 2
    command = ["rules", "history", "--profile", str(file), "--kafka", kafka]
    told = CliRunner().invoke(app, command).stdout.splitlines()
    assert [line.split("  ", 1)[1] for line in told] == [
        f"{each.version}  1 rules, 0 lists, by profile" for each in past
    ]
