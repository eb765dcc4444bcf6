"""What was ever in force: read once, bounded in memory, and whole up to the largest policy."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from model.bundles import past_policies
from model.bundles.past_policies import Policies
from model.bundles.policies import current_policy, publish_policy
from model.policy.admission import MOST_BYTES
from model.policy.compiled import CompiledPolicy
from model.policy.document import policy_text, read_policy
from model.policy.edit import with_rule
from model.policy.faults import MOST_ENTRIES, PolicyFault
from tests.broker.conftest import on_kafka
from tidegate.broker.kafka import KafkaBroker
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import TopicPartition
from tidegate.broker.write import write
from tidegate.errors import ConfigError, Stop
from tidegate.messages.documents import encode
from tidegate.messages.policy import AppliedPolicy, ListEntry, Policy, Rule, ValueList
from tidegate.pipeline import MODELS, PROMOTIONS
from tidegate.profile import load_profile
from tidegate.stream.side_topic import read_range

CARD = load_profile("card")


def policy(number: int) -> Policy:
    rules = (Rule(f"r{number}", f"amount > {number}", "review"),)
    return Policy(rules, thresholds={"review": 0.1 + number / 100, "block": 0.9})


@pytest.fixture
def broker() -> MemoryBroker:
    made = MemoryBroker({MODELS: 1, PROMOTIONS: 1})
    for number in range(5):
        publish_policy(made, CARD, policy(number), by="ana")
    return made


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The offsets that were read, in their order."""
    offsets: list[int] = []

    def noted(*of: object) -> object:
        for batch in read_range(*of):  # type: ignore[arg-type]
            offsets.extend(batch.offsets)
            yield batch

    monkeypatch.setattr(past_policies, "read_range", noted)
    return offsets


def test_each_record_is_read_once_however_many_ask(broker: MemoryBroker, read: list[int]) -> None:
    known = Policies(broker, CARD)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: known.history(), range(40)))
    assert all(one == found[0] for one in found)
    assert [past.version for past in found[0]] == [policy(number).version for number in range(5)]
    assert read == [0, 1, 2, 3, 4]
    publish_policy(broker, CARD, policy(5), by="bo")
    assert [past.by for past in known.history()] == ["ana"] * 5 + ["bo"]
    assert known.get(policy(2).version) == policy(2)
    assert known.names(policy(3).version) == {0: "r3"}
    assert known.decided_by(policy(4).version, Path("none"), "none").review == 0.14  # type: ignore[union-attr]
    assert read == [0, 1, 2, 3, 4, 5]
    with pytest.raises(ConfigError, match="the policy 0123456789abcdef is neither on the topic"):
        known.get("0123456789abcdef")


def test_old_documents_are_read_again_and_not_held(broker: MemoryBroker, read: list[int]) -> None:
    known = Policies(broker, CARD, held=700)
    assert len(known.history()) == 5
    assert 0 < known._held <= 700
    assert len(known._documents) < 5
    del read[:]
    for number in (0, 3, 1, 1, 4):
        assert known.get(policy(number).version) == policy(number)
        assert known._held <= 700
    assert read[0] == 0, "the document alone"
    assert len(read) < 5
    assert len(known.history()) == 5


def applied(broker: MemoryBroker, *numbers: int) -> list[str]:
    """Versions of these policies, which came into force in this order."""
    for number in numbers:
        publish_policy(broker, CARD, policy(number), by="cy")
    return [policy(number).version for number in numbers]


@pytest.mark.parametrize("held", [1, 1 << 20])
def test_a_topic_that_was_made_anew_is_read_anew(broker: MemoryBroker, held: int) -> None:
    known = Policies(broker, CARD, held)
    assert len(known.history()) == 5
    broker.create(PROMOTIONS, 1)
    seven, eight = applied(broker, 7, 8)
    assert [past.version for past in known.history()] == [seven, eight]
    assert known.get(seven) == policy(7)
    with pytest.raises(ConfigError, match="is neither on the topic"):
        known.get(policy(1).version)


def test_another_record_in_the_place_of_a_document_is_none(broker: MemoryBroker) -> None:
    known = Policies(broker, CARD, held=1)
    assert len(known.history()) == 5
    broker.create(PROMOTIONS, 1)
    versions = applied(broker, 10, 11, 12, 13, 14, 15)
    with pytest.raises(ConfigError, match="is neither on the topic"):
        known.get(policy(1).version)
    assert [past.version for past in known.history()] == versions
    assert [known.get(version) for version in versions] == [policy(at) for at in range(10, 16)]


def test_a_topic_that_lost_its_beginning_is_read_anew(broker: MemoryBroker) -> None:
    known = Policies(broker, CARD, held=1)
    assert len(known.history()) == 5
    broker.expire(TopicPartition(PROMOTIONS, 0), 3)
    with pytest.raises(ConfigError, match="is neither on the topic"):
        known.get(policy(1).version)
    assert [past.version for past in known.history()] == [policy(3).version, policy(4).version]
    assert known.get(policy(3).version) == policy(3)


@pytest.mark.processes
def test_kafka_trims_a_topic_and_another_takes_its_place(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = on_kafka(kafka)
    full, anew = (bench.topic() for _ in range(2))
    for topic, numbers in ((full, (0, 1, 2, 3)), (anew, (7,))):
        for number in numbers:
            made = policy(number)
            sent = encode(AppliedPolicy(made, made.version, CARD.hash.decode(), number))
            write(bench.broker, topic, b"policy", sent, what="a policy", timeout=30.0)
    monkeypatch.setattr(past_policies, "PROMOTIONS", full)
    known = Policies(bench.broker, CARD, held=1)
    assert [past.applied_us for past in known.history()] == [0, 1, 2, 3]
    bench.expire(TopicPartition(full, 0), 2)
    with pytest.raises(ConfigError, match="is neither on the topic"):
        known.get(policy(1).version)
    assert known.get(policy(2).version) == policy(2)
    monkeypatch.setattr(past_policies, "PROMOTIONS", anew)
    assert [past.applied_us for past in known.history()] == [7]
    assert known.get(policy(7).version) == policy(7)


def test_a_topic_that_ends_before_it_is_read_is_a_fault_of_the_setup(
    broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends(*_: object) -> object:
        raise Stop("promotions/0 ends at 1")

    known = Policies(broker, CARD, held=1)
    assert len(known.history()) == 5
    monkeypatch.setattr(past_policies, "read_range", ends)
    with pytest.raises(ConfigError, match="ends at 1"):
        known.get(policy(1).version)


def test_versions_of_the_same_names_and_thresholds_share_them(broker: MemoryBroker) -> None:
    """Of 100 rules and 27 lists they take 13 KB, and a change of an entry is a version."""
    for number in range(3):
        entries = [ListEntry(f"u-{number}")]
        publish_policy(broker, CARD, _with(policy(9), entries), by="ana")
    *_, one, two, three = Policies(broker, CARD).history()
    assert one.names is two.names is three.names
    assert one.thresholds is two.thresholds is three.thresholds
    assert one.names == {0: "r9"}


def test_a_version_comes_into_force_at_times(broker: MemoryBroker) -> None:
    known, version = Policies(broker, CARD), policy(2).version
    at = known.history()[2].applied_us
    assert [known.applied_since(version, at + more) for more in (0, 1)] == [True, False]
    assert not known.applied_since(policy(8).version, 0)


def largest() -> Policy:
    """10,000 entries, with notes that fill the document to its last byte."""
    made = Policy((Rule("r", "user_id in list:big", "review"),))
    entries = [ListEntry(f"u-{number:06d}", 1 << 50) for number in range(MOST_ENTRIES)]
    left = MOST_BYTES - _with(made, entries).size - len(',"note":""') * MOST_ENTRIES
    each, more = divmod(left, MOST_ENTRIES)
    entries = [
        msgspec.structs.replace(entry, note="n" * (each + (place < more)))
        for place, entry in enumerate(entries)
    ]
    return _with(made, entries)


def _with(made: Policy, entries: list[ListEntry]) -> Policy:
    lists = (ValueList("big", "watch", "user_id", tuple(entries)),)
    return msgspec.structs.replace(made, lists=lists)


@pytest.mark.processes
def test_the_largest_policy_that_is_allowed_comes_into_force(
    pipeline_topics: KafkaBroker, tmp_path: Path
) -> None:
    text = Path("profiles/card.yaml").read_text().replace("label_delay: 7d", "label_delay: 78d")
    (tmp_path / "card.yaml").write_text(text)
    profile, made = load_profile(tmp_path / "card.yaml"), largest()
    assert made.size == MOST_BYTES
    assert read_policy(policy_text(made)) == made
    publish_policy(pipeline_topics, profile, made, by="ana")
    applied = current_policy(pipeline_topics, profile.hash.decode())
    assert applied
    assert applied.policy == made
    compiled = Policies(pipeline_topics, profile).compiled(made.version)
    assert compiled
    assert compiled.policy == made
    over = with_rule(made, Rule("s", "amount > 1", "review"))
    with pytest.raises(PolicyFault, match=r"1,000,0\d\d bytes in all, at most 1,000,000 are"):
        publish_policy(pipeline_topics, profile, over, by="ana")
    assert CompiledPolicy(over, profile).policy == over, "one that is in force goes on"
