"""A crash, a time-out or an abort at every I/O call: everything once, and the state is the fold of
the log.
"""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.stream.crash import Case, Record, Run
from tests.stream.hooked_snapshots import new_folder
from tests.stream.toy import KEYS, CountStage
from tidegate.pipeline import DLQ
from tidegate.stream import restoration

TOPICS = {"in": 2, "side": 1, "out": 2, DLQ: 1}


def poison(value: bytes | None) -> bool:
    return (value or b"").startswith((b"bad", b"boom"))


def check(run: Run) -> None:
    """Every input is one output or one dead letter."""
    sent = [r.value for r in run.case.records if not r.side]
    names = [value.split(b" ")[0] for value in run.read("out") if value]
    assert Counter(names) == Counter(v.split(b":")[1] for v in sent if not poison(v))
    assert Counter(run.dead()) == Counter(
        (v, "bad_key" if v.startswith(b"bad") else "exception") for v in sent if poison(v)
    )


def check_state(run: Run) -> None:
    """From the snapshots there are."""
    folds = {source: run.fold(source, poison) for source in run.sources()}
    assert run.digests() == folds


@st.composite
def cases(draw: st.DrawFn) -> Case:
    kinds = st.sampled_from([*map(str, range(KEYS)), "bad", "boom", "side", "side"])
    records = []
    for at, kind in enumerate(draw(st.lists(kinds, min_size=1, max_size=30))):
        side = kind == "side"
        records.append(
            Record(b"%d" % (at % 5), b"%d" % at if side else f"{kind}:{at}".encode(), side)
        )
    faults = st.tuples(
        st.integers(1, 300), st.sampled_from(["crash", "crash", "rebuild", "abort", "expire"])
    )
    return Case(
        CountStage,
        records,
        TOPICS,
        new_folder(),
        draw(st.integers(1, 5)),
        draw(st.sampled_from([2, 5, 1000])),
        draw(st.integers(1, 3)),
        draw(st.booleans()),
        draw(st.lists(faults, max_size=6)),
        draw(st.lists(st.integers(1, 20), max_size=2)),
    )


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases())
def test_any_faults_anywhere(case: Case) -> None:
    run = Run(case).go()
    check(run)
    check_state(run)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases())
def test_any_faults_while_states_are_restored_a_batch_a_turn(case: Case) -> None:
    """With a snapshot after each: rebalances and crashes meet every point of a restore."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(restoration, "SLICE_US", 0)
        patch.setattr(restoration, "SNAPSHOT_US", 0)
        run = Run(case).go()
    check(run)
    check_state(run)


RECORDS = [
    Record(
        b"%d" % (at % 4), b"%d" % at if at % 4 == 3 else f"{at % KEYS}:{at}".encode(), at % 4 == 3
    )
    for at in range(24)
] + [Record(b"1", b"bad:100"), Record(b"2", b"boom:101"), Record(b"2", b"3:102")]


def fixed(*crashes: tuple[int, str], every: int = 4) -> Run:
    folder = new_folder()
    return Run(
        Case(CountStage, RECORDS, TOPICS, folder, 4, every, 1, len(crashes) == 2, list(crashes))
    ).go()


@pytest.mark.parametrize("kind", ["crash", "rebuild", "abort", "expire"])
def test_one_fault_at_every_call(kind: str) -> None:
    calls, happened = fixed().calls, set()
    for at in range(1, calls + 1, 1 if kind == "crash" else 2):
        run = fixed((at, kind))
        happened.update(run.happened)
        check(run)
        check_state(run)
    assert len(happened) >= (14 if kind == "crash" else 6)


@pytest.mark.parametrize("kind", ["crash", "rebuild"])
@pytest.mark.parametrize("turn", [3, 6])
def test_what_a_worker_leaves_open_holds_nobody_up_when_others_get_its_partitions(
    kind: str, turn: int
) -> None:
    """Three workers for two partitions, one comes back: a fault at each call around that."""
    records = [Record(b"0", b"0:0"), Record(b"1", b"1", side=True), Record(b"0", b"0:2")]
    happened = set()
    for at in range(1, 101):
        folder = new_folder()
        run = Run(Case(CountStage, records, TOPICS, folder, 1, 2, 3, False, [(at, kind)], [turn]))
        happened.update(run.go().happened)
        check(run)
        check_state(run)
    assert happened >= {f"{kind} after send_offsets", f"{kind} before commit"}


def test_two_crashes_in_a_row_and_a_damaged_snapshot() -> None:
    for at in range(1, fixed().calls, 3):
        run = fixed((at, "crash"), (at + 7, "crash"))
        check(run)
        check_state(run)
