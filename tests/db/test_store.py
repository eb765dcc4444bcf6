"""Reading rows back: by id, by page, for labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.engine import open_database
from db.names import Names, names_of, save
from db.revisions import Revision, read_degraded, write_revisions
from db.store import Store
from tests.db.scored import LAYOUT, NAMES, Writer, frames, values
from tidegate.profile import load_profile

REASONS = '[{"feature":"count_1h","contribution":1.5,"value":9.0}]'


def test_a_row_is_decoded_by_name(writer: Writer, store: Store) -> None:
    writer.write(*values(["a"], decision=2, reasons=REASONS))
    row = store.get("a")
    assert row is not None
    assert row == row | {
        "transaction_id": "a",
        "account": "u1",
        "decision": "block",
        "profile": "abcd1234",
        "profile_name": "toy",
        "payload": '{"user_id":"u1","merchant":7,"body":0}',
        "features": {"amount": 1.5, "count_1h": None},
        "scores": {"trees": 0.25, "online": 0.5},
        "bundle": "0123456789abcdef",
        "models_offset": -1,
        "online_labels": 3,
        "amount_minor": 1_250,
        "ingested_us": 2_000,
        "preprocessed_us": 4_000,
        "scored_us": 5_000,
        "persisted_us": 9_000,
        "raw_offset": 11,
        "features_offset": 33,
        "features_index": 6,
        "body_hash": "00" * 16,
        "reasons": [{"feature": "count_1h", "contribution": 1.5, "value": 9.0}],
        "policy": None,
        "rules_hit": [],
        "model_decision": "block",
        "alert_suppressed": False,
        "steps": [
            {"partition": 0, "offset": 11, "labels": 0, "time_us": 3_000, "index": 0},
            {"partition": 0, "offset": 22, "labels": 0, "time_us": 4_000, "index": 5},
        ],
    }
    assert store.get("b") is None
    assert store.get("a\0b") is None


def test_a_row_says_which_rules_hit(writer: Writer, store: Store) -> None:
    reasons = (
        '[{"feature":"","value":null,"contribution":0.0,"text":"x","rule":"large"},'
        '{"feature":"count_1h","contribution":1.5,"value":9.0}]'
    )
    ruled = frames(["a"], decision=1, reasons=reasons)
    ruled.rows["policy"], ruled.rows["model_decision"] = b"00112233aabbccdd", 0
    ruled.rows["rule_hits"] = np.frombuffer(b"\1" + bytes(14) + b"\x80", "V16")
    writer.write(*LAYOUT.pack(ruled))
    row = store.get("a")
    assert row is not None
    assert row == row | {
        "policy": "00112233aabbccdd",
        "rules_hit": ["large"],
        "decision": "review",
        "model_decision": "approve",
        "alert_suppressed": True,
    }


def test_a_row_without_account_and_reasons(writer: Writer, store: Store) -> None:
    writer.write(*values(["a"], account=""))
    row = store.get("a")
    assert row is not None
    assert (row["account"], row["reasons"]) == (None, [])


def test_a_detector_without_a_score_was_left_out(writer: Writer, store: Store) -> None:
    scored = frames(["a"])
    scored.rows["scores"][:, :2] = [np.nan, 0.5]
    writer.write(*LAYOUT.pack(scored))
    row = store.get("a")
    assert row is not None
    assert (row["degraded"], row["scores"]) == (["trees"], {"trees": None, "online": 0.5})


def test_rows_that_lack_a_score_are_found_whatever_the_others_are(writer: Writer, url: str) -> None:
    scores = {
        "a": (0.0, 1.0),
        "b": (np.nan, 0.5),
        "c": (5e-324, 1 - 1e-16),
        "d": (1.0, -np.nan),
        "e": (np.nan, np.nan),
        "f": (0.5, 1e-300),
        "g": (-np.nan, 1.0),
    }
    scored = frames(list(scores))
    scored.rows["scores"][:, :2] = list(scores.values())
    writer.write(*LAYOUT.pack(scored))
    write_revisions(url, [Revision("g", 1, 0.5, "approve", b"")])
    degraded = read_degraded(url, NAMES.hash, 2)
    assert [row.transaction_id for row in degraded] == ["b", "d", "e"]
    assert degraded[0].features == np.array([1.5, np.nan], "<f8").tobytes()
    assert read_degraded(url, "ffff0000", 2) == []


def test_rows_of_an_older_profile_keep_their_names(writer: Writer, url: str) -> None:
    writer.write(*values(["a"]))
    reader = Store(url, Names("ffff0000", "newer", ("other",), ("m",), ()))
    row = reader.get("a")
    reader.close()
    assert row is not None
    assert list(row["features"]) == ["amount", "count_1h"]


def test_the_age_of_the_stream_is_that_of_many_clocks(writer: Writer, store: Store) -> None:
    hour = 3_600_000_000
    assert store.age_us() == 0
    writer.write(*values(["first"], event_us=1))
    assert store.age_us() == 0
    writer.write(*values([f"old{i}" for i in range(30)], event_us=hour))
    writer.write(*values([f"new{i}" for i in range(30)], event_us=5 * hour))
    writer.write(*values(["last"], event_us=900 * hour))
    assert store.age_us() == 4 * hour


def test_the_largest_amount_and_a_missing_second_entity(writer: Writer, store: Store) -> None:
    scored = frames(["a"])
    scored.rows["amount_minor"] = 10**15
    scored.payloads[:] = [b'{"user_id":"u1","amount":10000000000000.0}']
    writer.write(*LAYOUT.pack(scored))
    row, label = store.get("a"), store.lookup(["a"])["a"]
    assert row is not None
    assert row["amount_minor"] == label.amount_minor == 10**15
    assert label.entities == ["u1", None]


def test_a_label_gets_what_it_needs(writer: Writer, store: Store) -> None:
    writer.write(*values(["a"], decision=1))
    row = store.lookup(["a", "a", "missing"])["a"]
    assert row == (
        "a",
        "abcd1234",
        1_000,
        1_250,
        [7, 2**64 - 1],
        [1.5, None],
        0.25,
        "review",
        ["u1", "7"],
    )
    assert set(store.lookup(["a", "missing"])) == {"a"}


def test_a_look_up_of_many(writer: Writer, store: Store) -> None:
    ids = [f"t{i}" for i in range(2_500)]
    writer.write(*values(ids))
    assert store.lookup(ids).keys() == store.existing([*ids, "missing"]) == set(ids)


def test_filters(writer: Writer, store: Store) -> None:
    writer.write(
        *values(["a"], event_us=10),
        *values(["b"], event_us=20, decision=1, score=0.7),
        *values(["c"], event_us=30, decision=2, score=0.9, account="u2"),
    )
    for filters, expected in (
        ({"decision": "review"}, "b"),
        ({"account": "u2"}, "c"),
        ({"since_us": 20}, "cb"),
        ({"until_us": 20}, "a"),
        ({"min_score": 0.7}, "cb"),
        ({"min_score": 0.7, "account": "u1"}, "b"),
        ({}, "cba"),
    ):
        page, following = store.list(filters, None, 5)
        assert "".join(row["transaction_id"] for row in page) == expected
        assert following is None
    assert store.counts() == {"approve": 1, "review": 1, "block": 1}


def test_a_wrong_cursor_or_filter_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="nonsense"):
        store.list({}, "nonsense", 5)
    with pytest.raises(KeyError):
        store.list({"colour": "red"}, None, 5)


def test_recent_rows_newest_first(writer: Writer, store: Store) -> None:
    writer.write(*values(["a", "b"]))
    newest = store.recent(0)
    assert [row["transaction_id"] for row in newest] == ["b", "a"]
    writer.write(*values(["c"]))
    assert [row["transaction_id"] for row in store.recent(newest[0]["seq"])] == ["c"]


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(limit=st.integers(1, 7), inserts=st.lists(st.integers(0, 5), max_size=6))
def test_paging_is_complete_and_stable_under_inserts(
    writer: Writer, store: Store, limit: int, inserts: list[int]
) -> None:
    first = store.count()
    writer.write(*values([f"old{first + i}" for i in range(10)]))
    before, met, cursor = store.count(), [], None
    pending = iter(inserts)
    while True:
        page, cursor = store.list({}, cursor, limit)
        met += [row["transaction_id"] for row in page]
        if cursor is None:
            break
        total = store.count()
        if extra := next(pending, 0):
            writer.write(*values([f"new{total + i}" for i in range(extra)]))
    assert len(met) == len(set(met)) == before


def test_a_reader_cannot_write(store: Store) -> None:
    with (
        store._database.engine.connect() as connection,
        pytest.raises(Exception, match=r"read-?only"),
    ):
        connection.exec_driver_sql("DELETE FROM transactions")


def test_the_places_of_all_rows_come_in_parts(
    writer: Writer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.store._CHUNK", 3)
    scored = frames([f"t{number}" for number in range(8)])
    scored.rows["steps"]["partition"][:, 0] = [0, 1] * 4
    scored.rows["steps"]["offset"][:, 0] = 1 << np.arange(30, 38)
    scored.rows["ingest_us"] = range(8)
    writer.write(*LAYOUT.pack(scored))
    parts = list(store.raw_places(2))
    assert [len(part) for part in parts] == [3, 3]
    assert sorted(np.concatenate(parts).tolist()) == sorted(
        [number % 2, 1 << (30 + number), number] for number in range(2, 8)
    )
    assert list(store.raw_places(100)) == []


def test_versions_are_compared_by_the_names_of_their_columns(url: str, store: Store) -> None:
    card = load_profile("card")
    own = names_of(card)
    database = open_database(url)
    with database.engine.begin() as connection:
        for each in (
            own._replace(hash="same0000"),
            own._replace(hash="values00", values=own.values[::-1]),
            own._replace(hash="entities", entities=own.entities[:1]),
        ):
            save(connection, each)
    database.close()
    versions = ("same0000", "values00", "entities", "nobody00")
    assert [store.has_columns_of(version, card) for version in versions] == [True] + [False] * 3
