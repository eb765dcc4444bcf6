"""Faults within blocks: wherever blocks are cut, and wherever a process dies within one, the
outcome is the same; and one transaction at fault is one dead letter.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers import persist
from tests.blocks import frames_on
from tests.faults.injected.bench import PROFILE, Bench
from tests.faults.injected.test_pipeline import Step, check, check_states, kinds, steps
from tidegate.broker.addresses import address_of
from tidegate.broker.records import TopicPartition
from tidegate.dead_letters.redrive import redrive
from tidegate.dead_letters.selection import Selection
from tidegate.messages.frame_column import read_block
from tidegate.pipeline import BY_ENTITY_2, CONSUMERS, FEATURES, FRAMES, SCORED
from tidegate.stream.dead_letters import place

pytestmark = pytest.mark.training

MANY = tuple(Step(k, user=k % 3, merchant=k % 2) for k in range(24))


def play(
    posted: Sequence[Step],
    faults: Mapping[int, str],
    batches: Mapping[str, int],
    burst: int = 12,
    **options: object,
) -> Bench:
    """Post in bursts while the stages run, each with batches of its own size; check everything."""
    with tempfile.TemporaryDirectory() as home:
        bench = Bench(Path(home), faults, batches=batches, **options)  # type: ignore[arg-type]
        try:
            for start in range(0, len(posted), burst):
                for step in posted[start : start + burst]:
                    step.post(bench)
                bench.turn()
            bench.run()
            check(bench, posted)
            check_states(bench)
        finally:
            bench.close()
    return bench


def test_positions_are_messages_and_lie_within_blocks() -> None:
    """Blocks of many, read by few at a time: the index stands beside the message's offset."""
    bench = play(MANY, {}, {"preprocess": 50, "preprocess-2": 2, "score": 3, "persist": 5})
    sizes = {
        topic: [len(read_block(r.value) or ()) for _, _, r in bench.broker.committed_records(topic)]
        for topic in FRAMES
    }
    assert max(sizes[BY_ENTITY_2]) > 3
    assert max(sizes[FEATURES]) == 2, "one poll of preprocess-2"
    assert all(sum(sizes[topic]) == len(MANY) for topic in FRAMES)


@pytest.mark.parametrize("part", range(3))
def test_a_crash_at_every_call_within_blocks(part: int) -> None:
    at, batches = part + 1, {"preprocess": 50, "preprocess-2": 4, "score": 3, "persist": 2}
    while play(MANY[:8], {at: "crash"}, batches, burst=8).happened:
        at += 3
    assert at > 200


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(steps, min_size=1, max_size=25),
    st.dictionaries(st.integers(1, 700), kinds, max_size=6),
    st.fixed_dictionaries({name: st.integers(1, 9) for name in CONSUMERS[:4]}),
    st.integers(1, 25),
    st.sampled_from([2, 7, 1000]),
)
def test_any_faults_with_blocks_cut_anywhere(
    posted: list[Step],
    faults: dict[int, str],
    batches: dict[str, int],
    burst: int,
    snapshot_every: int,
) -> None:
    play(posted, faults, batches, burst, snapshot_every=snapshot_every)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path, batch=50, snapshot_every=1000)
    yield bench
    bench.close()


def test_of_a_block_one_transaction_alone_is_a_dead_letter_and_comes_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in [*MANY[:9], Step(12345)]:
        step.post(bench)
    with monkeypatch.context() as shorter:
        shorter.setattr(persist, "_LONGEST_KEY", 4)
        bench.run()
    assert len(bench.rows()) == 9
    [letter] = bench.dead()
    assert (letter.told["stage"], letter.told["reason"]) == ("persist", "not_storable")
    failed = place(letter.told)
    assert failed is not None
    source, address = failed
    message = bench.broker.logs[source][int(letter.told["offset"])].value
    block = read_block(message)
    assert block is not None
    index = int(letter.told["index"])
    assert (block[index], address) == (
        letter.value,
        address_of(SCORED, int(letter.told["offset"]), index),
    )
    assert letter.key == b"t12345"
    assert letter.told["key"].endswith(f"/{letter.told['offset']}/{index}")
    assert redrive(bench.broker, PROFILE, Selection()).redriven == {SCORED: 1}
    put_back = bench.broker.logs[source][-2].value
    assert read_block(put_back) == [letter.value], "a block of one"
    bench.run()
    assert {row.transaction_id for row in bench.rows()} >= {"t12345"}
    assert len(bench.rows()) == 10


def test_rows_say_where_in_which_block_they_were(bench: Bench) -> None:
    for step in MANY:
        step.post(bench)
    bench.run()
    for row in bench.rows():
        source = TopicPartition(FEATURES, row.features_partition)
        block = read_block(bench.broker.logs[source][row.features_offset].value)
        assert block is not None
        assert block.ids[row.features_index] == row.transaction_id.encode()
    assert len(frames_on(bench.broker, SCORED)) == len(MANY)
    assert max(row.features_index for row in bench.rows()) > 0
