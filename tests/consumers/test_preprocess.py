from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from consumers.preprocess import PreprocessStage
from consumers.replay.logs import Logs
from model.hashing import partitions_of
from tests.model.features.chain import NOW_MS, Chain, batch, encode, label_of
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import TopicPartition
from tidegate.pipeline import LABELS, RAW, TOPICS, WRONG_PARTITION
from tidegate.profile import load_profile
from tidegate.stream.snapshot import Snapshots
from tidegate.stream.stage import Output


def card(number: int, **changes: object) -> dict[str, Any]:
    return {
        "transaction_id": f"t{number}",
        "user_id": f"u{number % 3}",
        "amount": 10 + number,
        "merchant": f"m{number % 2}",
        "timestamp": 1_704_067_200 + 60 * number,
        "merchant_type": "fuel",
        "device_type": "x",
        "location_match": True,
    } | changes


def test_bad_records_leave_their_neighbours_alone() -> None:
    chain = Chain(load_profile("card"))
    good = encode([card(number) for number in range(6)])
    wrong = encode([card(9, amount=-1), card(9, extra=1), card(9, timestamp=2e9)])
    bad: list[bytes | None] = [None, b"{", *wrong, b"\xff"]
    mixed = [value for pair in zip(good, bad, strict=True) for value in pair]
    frames, rejects = chain.run(mixed)
    assert rejects == [
        (1, "empty"),
        (3, "invalid_json"),
        (5, "out_of_bounds"),
        (7, "unknown_field"),
        (9, "bad_time"),
        (11, "invalid_utf8"),
    ]
    alone, _ = Chain(load_profile("card")).run(good)
    assert frames.rows["values"].tobytes() == alone.rows["values"].tobytes()
    assert frames.rows["steps"]["offset"][:, 0].tolist() == [0, 2, 4, 6, 8, 10]
    assert frames.ids == [f"t{n}".encode() for n in range(6)]


def test_duplicates_count_once_and_conflicts_are_rejected() -> None:
    chain = Chain(load_profile("card"))
    first, second = encode([card(0), card(3)])
    frames, rejects = chain.run([first, first, second, *encode([card(0, amount=99)])])
    assert frames.ids == [b"t0", b"t3"]
    assert rejects == [(3, "conflicting_duplicate")]
    count = chain.profile.values.index("user_count_1h")
    assert frames.rows["values"][:, count].tolist() == [1, 2]
    again = chain.step(0, batch([second], 10))
    assert not again.emits
    assert not again.rejects


@pytest.mark.parametrize("stamped", [0, -1])
def test_a_record_without_a_time_of_its_own_may_not_be_of_the_future(stamped: int) -> None:
    """Another producer may stamp 0, or nothing: the log's time so far stands for it."""
    chain = Chain(load_profile("card"))
    ahead = NOW_MS / 1000 + 301
    first = batch(encode([card(1, timestamp=ahead), card(2)]))
    first.timestamps[:] = [stamped, stamped]
    reasons = [(reject.index, reject.reason) for reject in chain.step(0, first).rejects]
    assert reasons == [(0, "bad_time"), (1, "bad_time")], "nothing says what the time is"
    chain.step(0, batch(encode([card(3)]), 2))
    later = batch(encode([card(4, timestamp=ahead), card(5, timestamp=ahead - 2)]), 3)
    later.timestamps[:] = [stamped, stamped]
    output = chain.step(0, later)
    assert [(reject.index, reject.reason) for reject in output.rejects] == [(0, "bad_time")]
    assert sum(len(emit.values) for emit in output.emits) == 1


def test_a_rejected_id_is_not_remembered() -> None:
    chain = Chain(load_profile("card"))
    chain.step(0, batch(encode([card(1, amount=-5)])))
    frames, rejects = chain.run(encode([card(1)]), 1)
    assert (frames.ids, rejects) == ([b"t1"], [])


def test_a_record_without_id_is_named_after_its_place() -> None:
    frames, _ = Chain(load_profile("card")).run(encode([card(0, transaction_id=None), card(1)]), 41)
    assert frames.ids == [b"transactions.raw-0-41", b"t1"]
    assert b'"transaction_id":"transactions.raw-0-41"' in frames.payloads[0]


@pytest.mark.parametrize(
    ("name", "record", "expected"),
    [
        ("vector", {"id": "a", "data": [1, 2, 3, 4, 5, 6, 7, 8.5]}, {"data_0": 1, "data_7": 8.5}),
        (
            "creditcard",
            {"Time": 5, "Amount": 12.345, **{f"V{n}": n for n in range(1, 29)}},
            {"Amount": 12.34, "V28": 28},
        ),
        (
            "wallet",
            {
                "user_id": "u",
                "transaction_type": "retiro",
                "amount": 20,
                "balance_before": 15,
                "balance_after": -5,
                "timestamp": 1704067200,
            },
            {
                "transaction_type": 1,
                "balance_error": 0,
                "overdraft": 5,
                "withdrawn": 20,
                "user_count_1d": 1,
            },
        ),
    ],
)
def test_other_profiles(name: str, record: dict[str, Any], expected: dict[str, float]) -> None:
    chain = Chain(load_profile(name))
    frames, rejects = chain.run(encode([record]))
    assert not rejects
    values = dict(zip(chain.profile.values, frames.rows["values"][0].tolist(), strict=True))
    assert {key: values[key] for key in expected} == expected
    assert frames.rows["event_us"][0] > 1_700_000_000_000_000


def test_frames_that_are_none_are_rejected() -> None:
    chain = Chain(load_profile("card"))
    emit = chain.step(0, batch(encode([card(0), card(1)]))).emits[0]
    output = chain.step(
        1, batch([emit.values[0], b"junk", emit.values[1][:-3] if emit.values[1] else b""])
    )
    assert [reject.reason for reject in output.rejects] == ["not_a_frame", "truncated_frame"]
    assert len(output.emits[0].values) == 1


def test_verdicts_reach_only_the_partition_of_their_key() -> None:
    profile = load_profile("card")
    stage = PreprocessStage(profile, 1)
    labels = [label_of(profile, f"t{n}", 0, ["u", f"m{n}"], fraud=True) for n in range(40)]
    home = partitions_of([f"m{n}".encode() for n in range(40)], 4)
    for partition in range(4):
        state = stage.new_state(partition, 4)
        state.begin()
        messages = [*(msgspec.json.encode(label) for label in labels), b"junk"]
        stage.absorb(state, batch(messages, 0, LABELS))
        state.commit()
        assert len(state.arrays()["waiting"]) == int((home == partition).sum())
        assert state.labels_next == 41


PARTITIONS = 4


def placed(partition: int, records: list[dict[str, Any]], profile: str = "card") -> Output:
    """What a partition of several makes of records that a producer put there."""
    stage = PreprocessStage(load_profile(profile), 0)
    state = stage.new_state(partition, PARTITIONS)
    state.begin()
    given = batch(encode(records))
    return stage.process(state, replace(given, source=TopicPartition(RAW, partition)))


def test_a_transaction_in_a_partition_that_is_not_its_accounts_is_refused() -> None:
    records = [card(number, user_id=f"u{number}") for number in range(40)]
    homes = partitions_of([record["user_id"].encode() for record in records], PARTITIONS)
    for partition in range(PARTITIONS):
        output = placed(partition, records)
        taken = load_profile("card").features_layout.rows(output.emits[0].values)
        assert len(taken) == int((homes == partition).sum())
        assert {reject.index for reject in output.rejects} == set(
            np.flatnonzero(homes != partition).tolist()
        )
        assert {reject.reason for reject in output.rejects} == {WRONG_PARTITION}
        assert "murmur2" in output.rejects[0].detail


def test_a_bad_record_among_misplaced_ones_keeps_its_own_reason() -> None:
    home = int(partitions_of([b"u"], PARTITIONS)[0])
    elsewhere = next(
        f"v{n}" for n in range(99) if partitions_of([f"v{n}".encode()], PARTITIONS)[0] != home
    )
    records = [
        card(0, user_id=elsewhere),
        card(1, user_id="u", amount=-1),
        card(2, user_id="u"),
        card(2, user_id=elsewhere),
        card(3, user_id="u"),
    ]
    output = placed(home, records)
    assert sorted((reject.index, reject.reason) for reject in output.rejects) == [
        (0, WRONG_PARTITION),
        (1, "out_of_bounds"),
        (3, WRONG_PARTITION),
    ]
    assert len(output.emits[0].values) == 2


def test_a_misplaced_transaction_does_not_take_its_id() -> None:
    stage = PreprocessStage(load_profile("card"), 0)
    home = int(partitions_of([b"u"], PARTITIONS)[0])
    state = stage.new_state((home + 1) % PARTITIONS, PARTITIONS)
    state.begin()
    output = stage.process(state, batch(encode([card(0, user_id="u")])))
    assert [reject.reason for reject in output.rejects] == [WRONG_PARTITION]
    assert len(state.seen.ids) == 0


def test_a_state_is_folded_of_the_frames_of_the_version_before_as_well(tmp_path: Path) -> None:
    """That version named a profile by the hash of its whole file."""
    profile = load_profile("card")
    chain = Chain(profile)
    emit = chain.step(0, batch(encode([card(number) for number in range(6)]))).emits[0]
    ours = [value or b"" for value in emit.values]
    old = [value[:4] + profile.version + value[12:] for value in ours[:3]]
    other = ours[3][:4] + b"00000000" + ours[3][12:]
    records = batch([*old, other, *ours[3:]], 0, emit.topic)
    logs = Logs(MemoryBroker(dict.fromkeys(TOPICS, 1)), Snapshots(f"file://{tmp_path}"))
    own = logs.restorer(chain.stages[1])._own(records, set())
    logs.close()
    assert own.values == [*old, *ours[3:]]
    merchants = profile.values.index("merchant_count_1h")
    (folded,) = chain.step(1, own).emits
    rows = profile.features_layout.unpack([value or b"" for value in folded.values]).rows
    assert rows["values"][:, merchants].tolist() == [1, 1, 2, 2, 3, 3]


def test_a_transaction_without_the_second_entity_passes_its_step_and_touches_no_state() -> None:
    profile = load_profile("tests/data/transfers.yaml")
    records = [
        {
            "transaction_id": f"t{number}",
            "user_id": "u",
            "amount": 9_999_999_999_999.99,
            "timestamp": 1_704_067_200 + number,
            "device_type": "mobile",
        }
        for number in range(400)
    ]
    chain = Chain(profile)
    emit = chain.step(0, batch(encode(records))).emits[0]
    assert emit.keys == [f"t{number}".encode() for number in range(400)]
    spread = np.bincount(partitions_of(list(emit.keys), PARTITIONS), minlength=PARTITIONS)
    assert spread.min() > 0.7 * 400 / PARTITIONS
    untouched = chain.states[1].arrays()
    (passed,) = chain.step(1, batch(emit.values, 0, emit.topic, emit.keys)).emits
    assert chain.states[1].arrays()["rows"].tobytes() == untouched["rows"].tobytes()
    frames = profile.features_layout.unpack([value or b"" for value in passed.values])
    assert frames.ids == [f"t{number}".encode() for number in range(400)]
    named = dict(zip(profile.values, frames.rows["values"].T, strict=True))
    assert np.isnan(named["merchant_count_7d"]).all()
    assert named["user_count_1h"].tolist() == list(range(1, 401))
    assert (frames.rows["amount_minor"] == 999_999_999_999_999).all()
    assert named["user_sum_1d"][-1] == 400 * 999_999_999_999_999 / 100
    assert not named["user_deviation_7d"].any()
