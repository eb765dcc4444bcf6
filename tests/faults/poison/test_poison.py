"""Each poison ends in the dead letters, whole and explained; its neighbours pass; redrive puts it
back once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.injected.bench import NOW_MS, PROFILE, Bench
from tests.faults.poison.corpus import CORPUS, POISON_RAW, Poison, tx
from tidegate.broker.records import TopicPartition
from tidegate.dead_letters.redrive import redrive
from tidegate.dead_letters.selection import Selection
from tidegate.errors import Retry
from tidegate.pipeline import FEEDBACK, FRAMES, LABELS, QUARANTINE, RAW, SCORED

pytestmark = pytest.mark.training

HEADERS = {
    "stage",
    "reason",
    "detail",
    "exception",
    "topic",
    "partition",
    "offset",
    "time",
    "recorded",
    "attempt",
    "profile",
    "key",
}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path, batch=50, snapshot_every=1000)
    yield bench
    bench.close()


def neighbour(number: int) -> bytes:
    return tx(transaction_id=f"n{number}", user_id=f"u{number % 4}")


@pytest.mark.parametrize("poison", CORPUS, ids=lambda poison: poison.name)
def test_it_is_a_dead_letter_and_its_neighbours_pass(poison: Poison, bench: Bench) -> None:
    bench.post(neighbour(1))
    bench.put(poison.topic, poison.key, poison.value, [("from", b"outside")])
    bench.post(neighbour(2))
    bench.run()
    [letter] = bench.dead()
    assert (letter.key, letter.value) == (poison.key, poison.value), "untouched"
    assert letter.told.keys() - {"index"} == HEADERS
    assert (letter.told["stage"], letter.told["reason"], letter.told["topic"]) == (
        poison.stage,
        poison.reason,
        poison.topic,
    )
    assert letter.told["attempt"] == "1"
    assert letter.told.get("index") == ("0" if poison.topic in FRAMES else None)
    assert letter.told["profile"] == PROFILE.hash.decode()
    assert abs(int(letter.told["time"]) - NOW_MS * 1000) < 3_600_000_000
    place = TopicPartition(poison.topic, int(letter.told["partition"]))
    assert bench.broker.logs[place][int(letter.told["offset"])].value == poison.value
    assert ("from", b"outside") in letter.headers
    assert letter.told["detail"]
    assert sorted(row.transaction_id for row in bench.rows()) == ["n1", "n2"]


def test_the_whole_corpus_among_good_ones(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    bench = Bench(tmp_path, batch=7, snapshot_every=20)
    request.addfinalizer(bench.close)
    for number, poison in enumerate(CORPUS):
        for extra in range(12):  # fewer than one reject in ten, else the stage stops
            bench.post(neighbour(number * 12 + extra))
        bench.put(poison.topic, poison.key, poison.value)
    bench.run()
    assert Counter(letter.told["reason"] for letter in bench.dead()) == Counter(
        poison.reason for poison in CORPUS
    )
    assert len(bench.rows()) == 12 * len(CORPUS)
    for name in ("preprocess", "preprocess-2"):
        for source, digest in bench.digests(name).items():
            assert digest == bench.fold(name, source), "poison leaves no trace in the state"


def test_a_conflicting_duplicate_is_a_dead_letter(bench: Bench) -> None:
    bench.post(neighbour(1))
    bench.post(tx(transaction_id="n1", user_id="u1", amount=99))
    elsewhere = next(f"u{i}" for i in range(2, 99) if i % 4 != 1)
    bench.post(tx(transaction_id="n1", user_id=elsewhere, amount=77))
    bench.post(neighbour(1))
    bench.run()
    assert [row.transaction_id for row in bench.rows()] == ["n1"]
    assert [letter.told["reason"] for letter in bench.dead()] == ["conflicting_duplicate"] * 2


def test_redriven_when_the_cause_is_gone(bench: Bench) -> None:
    """A verdict came long before its transaction: a dead letter; then the transaction comes."""
    bench.put(FEEDBACK, b"n5", b'{"transaction_id": "n5", "verdict": "fraud"}')
    bench.put(RAW, b"u1", b"nonsense")
    bench.run()
    assert {letter.told["reason"] for letter in bench.dead()} == {
        "unknown_transaction",
        "invalid_json",
    }
    bench.post(neighbour(5))
    bench.run()
    for _ in range(2):
        redrive(bench.broker, PROFILE, Selection())
        bench.run()
    labels = [record.key for _, _, record in bench.broker.committed_records(LABELS)]
    assert labels == [b"n5"], "redriving twice gives one label"
    attempts = sorted(
        letter.attempt for letter in bench.dead() if letter.told["reason"] == "invalid_json"
    )
    assert attempts == [1, 2, 3]
    for _ in range(3):
        redrive(bench.broker, PROFILE, Selection(), attempts=4)
        bench.run()
    [(_, _, record)] = bench.broker.committed_records(QUARANTINE)
    assert (record.key, record.value) == (b"u1", b"nonsense")


def test_a_redriven_transaction_without_an_id_is_one_row(bench: Bench) -> None:
    """A dead letter of a stage that once knew less: the record is good now."""
    bench.put(RAW, b"u1", tx(transaction_id=None, timestamp=NOW_MS / 1000 + 2 * 86_400))
    bench.run()
    [letter] = bench.dead()
    assert letter.told["reason"] == "bad_time"
    bench.broker._time += 2 * 86_400_000
    for _ in range(2):
        redrive(bench.broker, PROFILE, Selection(reason="bad_time"))
        bench.run()
    assert len(bench.rows()) == 1


def test_the_breaker_holds_a_partition_that_would_empty_its_topic(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    bench = Bench(tmp_path, batch=40, snapshot_every=10_000)
    request.addfinalizer(bench.close)
    for number in range(1000):
        bench.put(RAW, b"u1", POISON_RAW[2].value if number % 8 == 0 else neighbour(number))
    for _ in range(40):
        bench.turn(("preprocess",))
    before, at = len(bench.dead()), bench.positions("preprocess")
    assert 90 <= before < 100
    assert sum(at.values()) < 900, "the rest of the topic is where it was"


def test_repeated_ids_with_another_body_never_hold(bench: Bench) -> None:
    """Yesterday's file with other amounts."""
    for amount in (1, 2):
        for number in range(150):
            bench.post(tx(transaction_id=f"n{number}", user_id="u1", amount=amount))
    bench.post(neighbour(999))
    bench.run()
    assert len(bench.rows()) == 151
    assert Counter(letter.told["reason"] for letter in bench.dead()) == {
        "conflicting_duplicate": 150
    }


def test_verdicts_on_unknown_transactions_never_hold(bench: Bench) -> None:
    for number in range(400):
        bench.put(
            FEEDBACK, b"x%d" % number, b'{"transaction_id": "x%d", "verdict": "fraud"}' % number
        )
    bench.post(neighbour(1))
    bench.put(FEEDBACK, b"n1", b'{"transaction_id": "n1", "verdict": "fraud"}')
    bench.run()
    labels = [record.key for _, _, record in bench.broker.committed_records(LABELS)]
    assert labels == [b"n1"]
    assert len(bench.dead()) == 400


def test_a_share_below_a_tenth_goes_on_whatever_the_batch(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    bench = Bench(tmp_path, batch=4000, snapshot_every=10_000)
    request.addfinalizer(bench.close)
    for number in range(2600):
        bench.put(RAW, b"u1", POISON_RAW[2].value if number % 13 == 0 else neighbour(number))
    bench.run()
    assert (len(bench.dead()), len(bench.rows())) == (200, 2400)


def test_waiting_for_the_database_does_not_count_rejects_twice(bench: Bench) -> None:
    """One reject in a batch that is tried 150 times is one reject."""
    bench.put(SCORED, b"x", b"no frame")
    bench.clock.step = 6_000_000  # past the longest pause at every look
    left, hook = 150, bench.broker.hook

    def away(name: str, done: bool) -> None:
        nonlocal left
        hook(name, done)
        if name == "sql.write" and not done and left:
            left -= 1
            raise Retry("the database is away")

    bench.broker.hook = away
    bench.run()
    assert (left, len(bench.dead())) == (0, 1)
