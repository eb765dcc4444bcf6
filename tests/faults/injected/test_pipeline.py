"""Crashes, time-outs, aborts and rebalances anywhere in the whole pipeline: rows = acknowledged -
dead letters.

No transaction twice, and every state is the single-threaded fold of its own log, its inputs in the
recorded order.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.faults.injected.bench import NOW_MS, PROFILE, STATEFUL, Bench
from tidegate.broker.records import TopicPartition
from tidegate.dead_letters.letters import transaction_id
from tidegate.messages.documents import Rollback, Verdict, encode
from tidegate.pipeline import CONSUMERS, FEEDBACK, LABELS, RAW

pytestmark = pytest.mark.training

LABELS_0 = TopicPartition(LABELS, 0)
_INVALID = b'{"user_id": "u1", "amount": 1}'


@dataclass(frozen=True)
class Step:
    """Something posted: `tx` (id, user, merchant, amount, seconds late), a record that is none, a
    verdict, or a rollback of the learner.
    """

    id: int
    user: int = 0
    merchant: int = 0
    amount: int = 1
    late_s: int = 0
    kind: str = "tx"

    @property
    def body(self) -> bytes:
        return msgspec.json.encode(
            {
                "transaction_id": f"t{self.id}",
                "user_id": f"u{self.user}",
                "amount": self.amount,
                "is_online": False,
                "merchant": f"m{self.merchant}",
                "timestamp": NOW_MS / 1000 - self.late_s,
                "merchant_type": "fuel",
                "device_type": "pos",
                "location_match": True,
            }
        )

    def post(self, bench: Bench) -> None:
        if self.kind == "tx":
            bench.post(self.body)
        elif self.kind == "rollback":
            end = len(bench.broker.logs[LABELS_0])
            bench.put(
                LABELS,
                b"rollback",
                encode(Rollback(min(end, self.id), PROFILE.hash.decode(), 0)),
            )
        elif self.kind == "bad":
            bench.put(RAW, f"u{self.user}".encode(), _INVALID)
        else:
            name = f"t{self.id}"
            bench.put(
                FEEDBACK,
                name.encode(),
                encode(Verdict(name, "fraud", f"v{self.amount}-{name}")),
            )


def check(bench: Bench, steps: Sequence[Step]) -> None:
    """Each thing posted became exactly what it should."""
    posted = [step for step in steps if step.kind == "tx"]
    bodies: dict[str, Counter[bytes]] = {}
    for step in posted:
        canonical = PROFILE.canonical(PROFILE.decode(step.body))
        bodies.setdefault(f"t{step.id}", Counter())[canonical] += 1
    rows = {row.transaction_id: row.payload.encode() for row in bench.rows()}
    assert len(bench.rows()) == len(rows), "a row twice"
    assert rows.keys() == bodies.keys(), "lost, or out of nowhere"
    dead = Counter(letter.told["reason"] for letter in bench.dead())
    others = sum(sum(found.values()) - found[rows[name]] for name, found in bodies.items())
    assert all(found[rows[name]] for name, found in bodies.items()), "a row that nobody posted"
    assert dead["conflicting_duplicate"] == others, "each other body is one dead letter"
    assert dead["missing_field"] == sum(step.kind == "bad" for step in steps)
    check_labels(bench, steps, set(rows))


def check_labels(bench: Bench, steps: Sequence[Step], known: set[str]) -> None:
    """Each verdict is one label, or, when its row did not come in time, one dead letter."""
    labels = Counter(
        (record.key or b"").decode()
        for _, _, record in bench.broker.committed_records(LABELS)
        if record.key != b"rollback"
    )
    gone = Counter(
        transaction_id(PROFILE, letter)
        for letter in bench.dead()
        if letter.told["reason"] == "unknown_transaction"
    )
    assert labels.keys() <= known
    assert labels + gone == Counter(f"t{step.id}" for step in steps if step.kind == "verdict")


def check_states(bench: Bench) -> None:
    """From the snapshots there are, and from the log."""
    for name in STATEFUL:
        digests = bench.digests(name)
        assert digests
        for source, digest in digests.items():
            assert digest == bench.fold(name, source), (name, source, bench.happened)


def play(
    steps: Sequence[Step],
    faults: Mapping[int, str],
    order: Sequence[str] = CONSUMERS,
    **options: object,
) -> Bench:
    """Post, two at a time, while the stages run; then run to the end and check everything."""
    with tempfile.TemporaryDirectory() as home:
        bench = Bench(Path(home), faults, **options)  # type: ignore[arg-type]
        try:
            left = list(steps)
            while left:
                for step in left[:2]:
                    step.post(bench)
                del left[:2]
                bench.turn(order)
            bench.run(order)
            check(bench, steps)
            check_states(bench)
        finally:
            bench.close()
    return bench


FIXED = (
    Step(1, user=1),
    Step(2, user=2, merchant=1),
    Step(1, user=1),
    Step(1, kind="verdict"),
    Step(3, user=1, late_s=7200),
    Step(1, user=1, amount=9),
    Step(4, user=3, kind="bad"),
    Step(5, user=2, merchant=1, late_s=90_000),
    Step(2, user=5, merchant=2),
    Step(9, kind="verdict"),
    Step(5, kind="verdict", amount=2),
    Step(6, user=4),
    Step(1, kind="rollback"),
    Step(6, kind="verdict"),
)
"""A duplicate, a conflict on the same partition and one elsewhere, late ones, a bad one, verdicts
known and unknown, a rollback of the learner."""


def test_without_a_fault() -> None:
    bench = play(FIXED, {})
    assert bench.calls > 300


@pytest.mark.parametrize("part", range(4))
def test_a_crash_at_every_call(part: int) -> None:
    at, happened = part + 1, set()
    while True:
        bench = play(FIXED, {at: "crash"})
        if not bench.happened:
            break
        happened.update(bench.happened)
        at += 4
    assert at > 300
    assert len(happened) >= 10


@pytest.mark.parametrize("kind", ["rebuild", "abort", "expire", "away"])
def test_other_faults_everywhere(kind: str) -> None:
    calls = play(FIXED, {}).calls
    happened = set()
    for at in range(1, calls, 7):
        happened.update(play(FIXED, {at: kind, at + 1: kind, at + 2: kind}).happened)
    assert happened


steps = st.builds(
    Step,
    st.integers(0, 9),
    st.integers(0, 3),
    st.integers(0, 2),
    st.integers(1, 3),
    st.sampled_from([0, 0, 60, 4000, 200_000]),
    st.sampled_from(["tx", "tx", "tx", "tx", "bad", "verdict", "verdict", "rollback"]),
)
kinds = st.sampled_from(["crash", "crash", "crash", "rebuild", "abort", "expire", "away"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(steps, min_size=1, max_size=25),
    st.dictionaries(st.integers(1, 900), kinds, max_size=8),
    st.integers(1, 6),
    st.sampled_from([2, 7, 1000]),
    st.permutations(CONSUMERS),
    st.fixed_dictionaries(
        {}, optional={"preprocess": st.just(2), "preprocess-2": st.just(2), "score": st.just(3)}
    ),
)
def test_any_faults_with_any_events(
    posted: list[Step],
    faults: dict[int, str],
    batch: int,
    snapshot_every: int,
    order: list[str],
    workers: dict[str, int],
) -> None:
    play(posted, faults, order, batch=batch, snapshot_every=snapshot_every, workers=workers)
