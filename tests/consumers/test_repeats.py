"""Once means once: what comes again is dropped by every keyed step, whatever made it come again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from consumers.preprocess import PreprocessStage
from consumers.repeats import READ_AGAIN, REPEAT
from tests.consumers.test_preprocess import card
from tests.model.features.chain import NOW_MS, Chain, batch, encode
from tests.model.test_sip import murmur_collision
from tidegate.broker.records import Batch
from tidegate.metrics import ID_MEMORY
from tidegate.pipeline import BY_ENTITY_2
from tidegate.profile import load_profile
from tidegate.profile.spec import DAY
from tidegate.stream.dead_letters import ATTEMPT
from tidegate.stream.stage import Output

CARD = load_profile("card")


def merchant_counts(output: Output) -> list[float]:
    rows = CARD.features_layout.rows([value or b"" for value in output.emits[0].values])
    counts: list[float] = rows["values"][:, CARD.values.index("merchant_count_1h")].tolist()
    return counts


def handed_on(chain: Chain, records: list[dict[str, Any]], start: int = 0) -> Batch:
    """What the first step makes of records, as the second one reads it."""
    emit = chain.step(0, batch(encode(records), start)).emits[0]
    return batch(emit.values, start, emit.topic, emit.keys)


def one_merchant(count: int) -> list[dict[str, Any]]:
    return [card(number, merchant="m") for number in range(count)]


def test_the_first_step_reads_all_again_and_the_second_counts_once() -> None:
    """The first step's group has lost its offsets: what it makes again comes at new offsets."""
    chain = Chain(CARD)
    frames = handed_on(chain, one_merchant(6))
    chain.step(1, frames)
    before = chain.states[1].digest()
    again = batch(frames.values, 6, frames.source.topic, frames.keys)
    output = chain.step(1, again)
    assert (output.emits, output.rejects, dict(output.passed)) == ([], [], {READ_AGAIN: 6})
    assert chain.states[1].digest() == before
    more = [card(number, merchant="m") for number in range(6, 8)]
    assert merchant_counts(chain.step(1, handed_on(chain, more, 6))) == [7, 8]


def test_it_is_noticed_when_the_ids_are_long_forgotten() -> None:
    chain = Chain(CARD)
    frames = handed_on(chain, one_merchant(6))
    chain.step(1, frames)
    later = batch(frames.values, 6, frames.source.topic, frames.keys)
    later.timestamps[:] = [NOW_MS + 3 * DAY // 1000] * 6
    assert dict(chain.step(1, later).passed) == {READ_AGAIN: 6}


def test_how_the_log_is_cut_changes_nothing_and_a_snapshot_goes_on() -> None:
    frames = handed_on(Chain(CARD), one_merchant(20))
    values = [*frames.values[:15], *frames.values[5:]]
    whole, cut = Chain(CARD), Chain(CARD)
    whole.step(1, batch(values, 0, BY_ENTITY_2))
    for start in range(0, len(values), 4):
        cut.step(1, batch(values[start : start + 4], start, BY_ENTITY_2))
        stage = cut.stages[1]
        cut.states[1] = stage.load_state(0, 1, cut.states[1].arrays())
    assert whole.states[1].digest() == cut.states[1].digest()


def test_a_raw_topic_made_anew_begins_again_and_nothing_is_dropped() -> None:
    chain = Chain(CARD)
    chain.step(1, handed_on(chain, one_merchant(6)))
    anew = Chain(CARD)
    records = batch(encode([card(number, merchant="m") for number in range(10, 14)]))
    records.timestamps[:] = [NOW_MS + 1000] * 4
    emit = anew.step(0, records).emits[0]
    output = chain.step(1, batch(emit.values, 6, emit.topic, emit.keys))
    assert merchant_counts(output) == [7, 8, 9, 10]


def test_a_dead_letter_that_is_put_back_passes_once() -> None:
    """It lies behind what was read of its source, and was never counted."""
    chain = Chain(CARD)
    frames = handed_on(chain, one_merchant(6))
    damaged = [b"damaged" if i == 2 else value for i, value in enumerate(frames.values)]
    output = chain.step(1, batch(damaged, 0, BY_ENTITY_2))
    assert [reject.index for reject in output.rejects] == [2]
    put_back = batch([frames.values[2]] * 2, 6, BY_ENTITY_2)
    put_back.headers[:] = [[(ATTEMPT, b"1")]] * 2
    output = chain.step(1, put_back)
    assert [len(emit.values) for emit in output.emits] == [1]
    assert dict(output.passed) == {REPEAT: 1}
    after = handed_on(Chain(CARD), [card(6, merchant="m")], 6)
    assert merchant_counts(chain.step(1, after)) == [7]


@pytest.mark.parametrize("together", [True, False])
def test_one_id_under_eight_accounts_counts_once_at_the_merchant(together: bool) -> None:
    chain = Chain(CARD)
    accounts = [f"u{number}" for number in range(8)]
    records = [card(1, transaction_id="race", user_id=user, merchant="m") for user in accounts]
    frames = handed_on(chain, records[:1])
    for number, record in enumerate(records[1:], 1):
        own = handed_on(Chain(CARD), [record], number)
        frames.values += own.values
        frames.keys += own.keys
        frames.offsets.append(number)
        frames.timestamps.append(NOW_MS)
        frames.headers.append(None)
    parts = [frames] if together else [frames.slice(i, i + 1) for i in range(8)]
    outputs = [chain.step(1, part) for part in parts]
    emitted = [emit for output in outputs for emit in output.emits]
    assert sum(len(emit.values) for emit in emitted) == 1
    reasons = [reject.reason for output in outputs for reject in output.rejects]
    assert reasons == ["conflicting_duplicate"] * 7
    after = handed_on(Chain(CARD), [card(2, transaction_id="after", merchant="m")], 8)
    assert merchant_counts(chain.step(1, after)) == [2]


def test_a_day_later_the_file_is_sent_again_and_does_not_count() -> None:
    """2,000,000 ids have come in between: 17 minutes were remembered, now a day is."""
    chain = Chain(CARD)
    first = batch(encode([card(number, user_id="u") for number in range(50)]))
    chain.step(0, first)
    ids = np.random.default_rng(1).integers(1, 2**63, (2_000_000, 2)).astype(np.uint64)
    step = DAY // len(ids)
    times = NOW_MS * 1000 + np.arange(len(ids)) * step
    memory = chain.states[0].seen.ids
    for start in range(0, len(ids), 100_000):
        memory.begin()
        memory.remember(ids[start : start + 100_000], times[start : start + 100_000])
    again = batch(first.values, 50)
    again.timestamps[:] = [NOW_MS + DAY // 1000] * 50
    output = chain.step(0, again)
    assert (output.emits, dict(output.passed)) == ([], {REPEAT: 50})


def test_how_far_back_ids_are_known_is_told_with_the_commit() -> None:
    chain = Chain(CARD)
    for told in chain.step(0, batch(encode([card(0)]))).on_commit:
        told()
    assert ID_MEMORY.labels("preprocess", "0")._value.get() == DAY / 1e6


def test_ids_that_anyone_could_make_collide_are_two_transactions() -> None:
    one, other = (name.decode() for name in murmur_collision())
    stage = PreprocessStage(CARD)
    state = stage.new_state(0, 1)
    state.begin()
    records = [card(0, transaction_id=one), card(0, transaction_id=other)]
    output = stage.process(state, batch(encode(records)))
    assert not output.rejects
    assert len(output.emits[0].values) == 2
