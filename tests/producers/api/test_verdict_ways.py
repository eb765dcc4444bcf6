"""What the API says of a verdict, with the stages of the pipeline behind it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from model.verdicts import label_numbers
from producers.api.verdict_fold import Recent, Status
from producers.api.verdict_ways import STATUSES, VerdictWays
from tests.faults.injected.bench import NOW_MS, PROFILE, Bench
from tests.faults.injected.test_pipeline import Step
from tests.support import eventually
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.memory.group import Group
from tidegate.broker.memory.log import Record
from tidegate.broker.records import Position, TopicPartition
from tidegate.dead_letters.redrive import redrive
from tidegate.dead_letters.selection import Selection
from tidegate.errors import ConfigError
from tidegate.messages.documents import (
    Champion,
    Label,
    OnlineWeights,
    Verdict,
    VerdictOutcome,
    encode,
)
from tidegate.pipeline import FEEDBACK, LABELS, MODELS, OUTCOMES, SCORED, group_of
from tidegate.stream import waiting

pytestmark = pytest.mark.training

HASH = PROFILE.hash.decode()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, batch=50)
    yield made
    made.close()


@contextmanager
def asking(bench: Bench) -> Iterator[VerdictWays]:
    ways = VerdictWays(bench.broker, HASH)
    try:
        yield ways
    finally:
        ways.close()


def say(bench: Bench, name: str, label_id: str, verdict: str = "fraud", given_us: int = 1) -> None:
    said = Verdict(name, verdict, label_id, given_us=given_us)  # type: ignore[arg-type]
    bench.put(FEEDBACK, name.encode(), encode(said))


def status(ways: VerdictWays, label_id: str) -> str:
    found = ways.get(label_id)
    return found.status if found else ""


def becomes(ways: VerdictWays, label_id: str, wanted: str) -> bool:
    return bool(eventually(lambda: status(ways, label_id) == wanted))


def test_a_verdict_waits_is_joined_and_is_learnt(bench: Bench) -> None:
    with asking(bench) as ways:
        say(bench, "t1", "L")
        assert status(ways, "L") == "waiting"
        Step(1).post(bench)
        for _ in range(10):
            bench.turn(("preprocess", "preprocess-2", "score", "persist", "label"))
            bench.clock.now += 5_000_000
        assert becomes(ways, "L", "joined")
        bench.run()
        assert becomes(ways, "L", "learnt")
        assert ways.get("nobody") is None
    with asking(bench) as again:  # a worker that starts anew reads the topics again
        assert status(again, "L") == "learnt"


def test_of_two_verdicts_the_later_one_holds_and_the_other_names_it(bench: Bench) -> None:
    Step(1).post(bench)
    say(bench, "t1", "first", given_us=10)
    say(bench, "t1", "second", "legitimate", given_us=20)
    say(bench, "t1", "third", "legitimate", given_us=30)
    say(bench, "t1", "first", given_us=40)  # a label id counts once
    bench.run()
    with asking(bench) as ways:
        assert ways.get("first") == Status("first", "t1", "superseded", superseded_by="third")
        assert status(ways, "second") == "learnt"
        assert status(ways, "third") == "repeated"


def test_an_unknown_transaction_is_refused_until_its_verdict_is_put_back(bench: Bench) -> None:
    say(bench, "t1", "L")
    bench.turn()
    bench.clock.now += 60_000_000
    bench.run()
    with asking(bench) as ways:
        refused = ways.get("L")
        assert refused is not None
        assert (refused.status, refused.reason) == ("refused", "unknown_transaction")
        assert "no transaction t1" in refused.detail
        Step(1).post(bench)
        redrive(bench.broker, PROFILE, Selection())
        assert becomes(ways, "L", "waiting")
        bench.run()
        assert becomes(ways, "L", "learnt")


def test_what_the_learner_left_out_is_known_by_its_outcome() -> None:
    broker = MemoryBroker(dict.fromkeys((FEEDBACK, LABELS, OUTCOMES, MODELS), 1), time_ms=NOW_MS)
    for outcome in ("frozen", "superseded", "repeated"):
        said = VerdictOutcome(f"label-{outcome}", "t", outcome)
        broker.append(OUTCOMES, b"", encode(said), None, None)
    for poison in (b"", b"nonsense", b'{"label_id": 3}', None):
        for topic in (FEEDBACK, LABELS, OUTCOMES, MODELS):
            broker.append(topic, b"", poison, None, None)
    ways = VerdictWays(broker, HASH)
    try:
        for outcome in ("frozen", "superseded", "repeated"):
            assert status(ways, f"label-{outcome}") == outcome
            assert outcome in STATUSES
    finally:
        ways.close()


def labelled(
    broker: MemoryBroker,
    label_id: str,
    *,
    fraud: bool = True,
    given_us: int = 1,
    name: str = "t",
    weight: float = 1.0,
) -> None:
    said = Label(name, label_id, fraud, "", HASH, 1, 1, given_us, [], [], 0.0, "pass", [], weight)
    broker.append(LABELS, b"", encode(said), None, None)


def learnt(broker: MemoryBroker, bundle: str) -> None:
    """The bundle is champion, and its learner has gone past all labels."""
    end = len(broker.logs[TopicPartition(LABELS, 0)])
    broker.append(MODELS, b"", encode(Champion(bundle, HASH, 1)), None, None)
    broker.append(MODELS, b"", encode(OnlineWeights(bundle, end, b"", end, 1)), None, None)


def test_a_verdict_without_a_weight_is_recorded_and_supersedes_none() -> None:
    broker = MemoryBroker(dict.fromkeys((FEEDBACK, LABELS, OUTCOMES, MODELS), 1), time_ms=NOW_MS)
    labelled(broker, "trusted", fraud=True, given_us=1)
    labelled(broker, "crowd", fraud=False, given_us=2, weight=0.0)
    labelled(broker, "twice", name="t2", weight=0.0)
    labelled(broker, "twice", name="t2", weight=0.5)
    learnt(broker, "champion")
    ways = VerdictWays(broker, HASH)
    try:
        assert status(ways, "crowd") == "recorded"
        assert status(ways, "trusted") == status(ways, "twice") == "learnt"
    finally:
        ways.close()


def test_only_the_learner_of_the_champion_is_believed() -> None:
    broker = MemoryBroker(dict.fromkeys((FEEDBACK, LABELS, OUTCOMES, MODELS), 1), time_ms=NOW_MS)
    labelled(broker, "L")
    said = VerdictOutcome("L", "t", "frozen", bundle="lost")
    broker.append(OUTCOMES, b"", encode(said), None, None)
    learnt(broker, "lost")
    ways = VerdictWays(broker, HASH)
    try:
        assert status(ways, "L") == "frozen"
        learnt(broker, "next")
        assert becomes(ways, "L", "learnt")
        said = VerdictOutcome("L", "t", "repeated", bundle="next")
        broker.append(OUTCOMES, b"", encode(said), None, None)
        assert becomes(ways, "L", "repeated")
        learnt(broker, "lost")
        assert becomes(ways, "L", "frozen")
    finally:
        ways.close()


@pytest.mark.parametrize("order", [("one", "two"), ("two", "one")])
def test_of_two_verdicts_given_at_once_the_one_holds_that_holds_everywhere(
    order: tuple[str, str],
) -> None:
    broker = MemoryBroker(dict.fromkeys((FEEDBACK, LABELS, OUTCOMES, MODELS), 1), time_ms=NOW_MS)
    for label_id in order:
        labelled(broker, label_id, fraud=label_id == "one", given_us=7)
    learnt(broker, "champion")
    ways = VerdictWays(broker, HASH)
    try:
        loser, holder = sorted(order, key=lambda label_id: int(label_numbers([label_id])[0]))
        assert ways.get(loser) == Status(loser, "t", "superseded", superseded_by=holder)
        assert status(ways, holder) == "learnt"
    finally:
        ways.close()


def refused(broker: MemoryBroker, label_id: str, offset: int) -> None:
    said = VerdictOutcome(label_id, "t", "refused", "unknown_transaction", "", offset)
    broker.append(OUTCOMES, b"", encode(said), None, None)


def markers(broker: MemoryBroker, topic: str) -> None:
    """What transactions leave behind."""
    for _ in range(2):
        broker.logs[TopicPartition(topic, 0)].append(Record(None, None, None, 0, marker=True))


def test_what_was_decided_before_the_start_is_never_called_waiting() -> None:
    """Labels and outcomes share their topics with markers; verdicts do not."""
    broker = MemoryBroker(dict.fromkeys((FEEDBACK, LABELS, OUTCOMES, MODELS), 1), time_ms=NOW_MS)
    for number in range(20):
        verdict = Verdict(f"t{number}", "fraud", f"L{number}")
        broker.append(FEEDBACK, b"", encode(verdict), None, None)
    for number in range(10, 17):
        if number % 2:
            labelled(broker, f"L{number}")
        else:
            refused(broker, f"L{number}", number)
        markers(broker, LABELS if number % 2 else OUTCOMES)
    source = TopicPartition(FEEDBACK, 0)
    group = broker.groups.setdefault(group_of("label"), Group())
    group.positions[source] = Position(19, waiting.encode([9, 18]))
    ways = VerdictWays(broker, HASH, newest=10)
    try:
        told = {number: status(ways, f"L{number}") for number in range(10, 20)}
        assert told == {  # L18 is in the note, L19 behind the position
            **{number: "joined" if number % 2 else "refused" for number in range(10, 17)},
            17: "",  # its label or outcome is older than those that are read
            18: "waiting",
            19: "waiting",
        }
    finally:
        ways.close()


def test_labels_push_their_verdicts_out() -> None:
    broker = MemoryBroker(dict.fromkeys((FEEDBACK, LABELS, OUTCOMES, MODELS), 1), time_ms=NOW_MS)
    ways = VerdictWays(broker, HASH, newest=10)
    try:
        for number in range(15):
            broker.append(FEEDBACK, b"", encode(Verdict("t", "fraud", f"L{number}")), None, None)
            assert status(ways, f"L{number}") == "waiting"
        for number in range(45):
            labelled(broker, f"L{number}")
        assert status(ways, "L44") == "joined"
        assert {status(ways, f"L{number}") for number in range(15)} == {""}
    finally:
        ways.close()


def test_only_the_newest_are_known() -> None:
    broker = MemoryBroker(dict.fromkeys((FEEDBACK, LABELS, OUTCOMES, MODELS), 1), time_ms=NOW_MS)
    for number in range(40):
        verdict = Verdict(f"t{number}", "fraud", f"L{number}")
        broker.append(FEEDBACK, b"", encode(verdict), None, None)
    ways = VerdictWays(broker, HASH, newest=10)
    try:
        assert [bool(ways.get(f"L{number}")) for number in (0, 29, 30, 39)] == [
            False,
            False,
            True,
            True,
        ]
        for number in range(40, 70):
            verdict = Verdict(f"t{number}", "fraud", f"L{number}")
            broker.append(FEEDBACK, b"", encode(verdict), None, None)
        assert status(ways, "L69") == "waiting"
        assert all(ways.get(f"L{number}") for number in range(60, 70))
        assert ways.get("L30") is None
    finally:
        ways.close()


def test_without_its_topics_it_says_so() -> None:
    ways = VerdictWays(MemoryBroker({SCORED: 1}), HASH)
    try:
        with pytest.raises(ConfigError, match=FEEDBACK):
            ways.get("L")
    finally:
        ways.close()


def test_recent_keys_are_bounded() -> None:
    recent: Recent[int, int] = Recent(10)
    for number in range(100):
        recent.put(number, number)
    known = [number for number in range(100) if recent.get(number) is not None]
    assert set(range(90, 100)) <= set(known)
    assert len(known) <= 20
