"""How many verdicts of a source count: by the log alone, whatever batches, waits and restarts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.label import LabelStage
from consumers.quota import SOURCES, Quota, share
from db.decode import ScoredRow
from model.hashing import partitions_of
from tests.consumers.test_label import row, said
from tests.stream.crash import Case, Record, Run
from tests.stream.hooked_snapshots import new_folder
from tests.stream.test_waiting import System
from tidegate.messages.documents import decode_label, decode_outcome, decode_verdict
from tidegate.pipeline import DLQ, FEEDBACK, LABELS, OUTCOMES
from tidegate.profile import load_profile
from tidegate.profile.spec import VerdictSources
from tidegate.stream.waiting import SPAN, decode, encode, kept

HOUR_MS = 3_600_000


def restored(quota: Quota, most: int, offset: int) -> Quota:
    again = Quota(most)
    again.from_note(kept(encode([], quota.to_note())), offset)
    return again


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 4 * HOUR_MS)), max_size=80),
    st.integers(1, 6),
)
def test_a_source_has_its_quota_each_hour(said: list[tuple[int, int]], most: int) -> None:
    quota, latest = Quota(most), 0
    counts: Counter[tuple[int, int]] = Counter()
    for offset, (source, time_ms) in enumerate(said):
        hour = time_ms // HOUR_MS
        if not latest - 1 <= hour <= latest:
            latest, counts = hour, Counter()
        quota = restored(quota, most, offset)
        admitted = quota.admit(offset, str(source), time_ms)
        assert admitted == (counts[source, latest] < most)
        counts[source, latest] += admitted


def admitted(quota: Quota, hours: list[int], start: int = 0) -> list[bool]:
    return [quota.admit(start + at, "s", hour * HOUR_MS) for at, hour in enumerate(hours)]


def test_a_clock_that_ran_ahead_holds_no_quota() -> None:
    quota = Quota(2)
    assert admitted(quota, [5, 900, 900, 900]) == [True, True, True, False]
    assert admitted(quota, [6, 6, 6, 5], start=4) == [True, True, False, False]


def test_new_names_buy_no_new_quota() -> None:
    quota = Quota(10)
    passed = sum(quota.admit(number, f"source {number}", 0) for number in range(2000))
    assert passed == SOURCES - 1 + 10


def test_what_is_undone_is_counted_again() -> None:
    quota = Quota(2)
    assert admitted(quota, [0])
    quota.commit()
    before = quota.digest()
    quota.begin()
    assert admitted(quota, [1, 1, 1], start=1) == [True, True, False]
    quota.rollback()
    assert quota.digest() == before
    assert admitted(quota, [0, 0], start=1) == [True, False]


def test_the_fullest_note_is_no_longer_than_kafka_takes() -> None:
    import random

    quota = Quota(1_000_000_000)
    for number in range(100):
        quota.admit(number, f"source {number}", 0)
    chance = random.Random(1)
    waits = [place for place in range(SPAN) if chance.random() < 0.5]
    note = encode(waits, quota.to_note())
    assert len(note) < 3850
    assert (decode(note), kept(note)) == (waits, quota.to_note())


class Sourced(System):
    """The label stage with a quota of three verdicts an hour."""

    profile = load_profile("card")
    profile.sources = VerdictSources(hourly=3)

    def outcomes(self) -> int:
        return len(self.broker.committed_records(OUTCOMES))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["post", "late", "run", "restart"]), min_size=4, max_size=14))
def test_labels_are_those_of_the_log_whatever_waits_and_restarts(steps: list[str]) -> None:
    """A verdict that waits for its row, and is read again, is counted once."""
    system, posted = Sourced(), list[str]()
    for number, step in enumerate([*steps, "run"]):
        name = f"t{number}"
        if step in ("post", "late"):
            posted.append(name)
            system.post(name)
        if step == "post":
            system.rows.add(name)
        elif step == "run":
            system.run(1)
        elif step == "restart":
            system.runner.close()
            system.start()
    system.rows |= set(posted)
    system.run(10)
    assert sorted(system.labelled()) == sorted(posted[:3])
    assert system.outcomes() == len(posted[3:])


def test_the_next_hour_brings_a_new_quota() -> None:
    system = Sourced()
    system.rows |= {f"t{number}" for number in range(9)}
    system.post(*[f"t{number}" for number in range(5)])
    system.run(1)
    system.clock.now += 3_600_000_000
    system.post(*[f"t{number}" for number in range(5, 9)])
    system.run(1)
    assert system.labelled() == ["t0", "t1", "t2", "t5", "t6", "t7"]


class Rows:
    """Rows that are there, those of `late-...` from the third look on."""

    def __init__(self) -> None:
        self._looks: Counter[str] = Counter()

    def __call__(self, ids: list[str]) -> Mapping[str, ScoredRow]:
        self._looks.update(ids)
        return {name: row(name) for name in ids if "late" not in name or self._looks[name] > 2}


def run_to_its_end(case: Case) -> Run:
    """Also until nothing waits any more."""
    run = Run(case).go()
    for _ in range(2000):
        if len(run.read(LABELS)) + len(run.read(OUTCOMES)) >= len(case.records):
            break
        run._turn(0)
    return run


FAULTS = st.tuples(st.integers(1, 300), st.sampled_from(["crash", "crash", "rebuild", "abort"]))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(["there", "late"]), min_size=6, max_size=20),
    st.lists(FAULTS, max_size=6),
    st.integers(1, 5),
)
def test_whatever_crashes_the_labels_are_a_fold_of_the_log(
    kinds: list[str], crashes: list[tuple[int, str]], batch: int
) -> None:
    """A quota of three in each of two partitions; a crash at any call, before or after."""
    rows = Rows()
    names = [f"{kind}-{number}" for number, kind in enumerate(kinds)]
    sent = [Record(name.encode(), said(name, label_id=name)) for name in names]
    topics = {FEEDBACK: 2, LABELS: 1, OUTCOMES: 1, DLQ: 1}
    profile = load_profile("card")
    profile.sources = VerdictSources(hourly=3)
    run = run_to_its_end(
        Case(lambda: LabelStage(profile, rows), sent, topics, new_folder(), batch, crashes=crashes)
    )
    in_order = [
        [decode_verdict(record.value or b"").label_id for record in run.broker.logs[source]]
        for source in run.sources()
    ]
    labelled = Counter(decode_label(value or b"").label_id for value in run.read(LABELS))
    over = Counter(decode_outcome(value or b"").label_id for value in run.read(OUTCOMES))
    assert labelled == Counter(name for names in in_order for name in names[:3])
    assert over == Counter(name for names in in_order for name in names[3:])


def test_a_source_that_keeps_to_its_quota_does_not_meet_it() -> None:
    """However its ids fall: 20,000 of them on four partitions, as on a broker."""
    ids = [f"card-{number:07}".encode() for number in range(20_000)]
    fullest = int(np.bincount(partitions_of(ids, 4)).max())
    assert 5_000 < fullest <= share(20_000, 4) == 5_283
    assert [share(hourly, partitions) for hourly, partitions in ((3, 1), (3, 2), (400, 4))] == [
        3,
        3,
        140,
    ]
