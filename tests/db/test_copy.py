"""Whatever a frame holds comes back from either database, bit for bit."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Row, select

from db.engine import open_database
from db.rows import trace
from db.tables import transactions
from tests.db.scored import LAYOUT, Writer
from tidegate.broker.addresses import address_of
from tidegate.messages.frames import DECISIONS, Frames
from tidegate.pipeline import FEATURES

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
LONG = st.integers(-(2**63), 2**63 - 1)
LONGS = (
    "event_us",
    "ingest_us",
    "amount_minor",
    "features_offset",
    "scored_us",
    "models_offset",
    "online_labels",
)
FLOAT = st.floats(width=64)


@st.composite
def _frames(draw: st.DrawFn) -> Frames:
    ids = draw(st.lists(TEXT.filter(bool), min_size=1, max_size=8, unique=True))
    rows = LAYOUT.empty(len(ids))
    for row in rows:
        for name in LONGS:
            row[name] = draw(LONG)
        row["values"] = [draw(FLOAT), draw(FLOAT)]
        row["scores"] = [draw(FLOAT), draw(FLOAT), draw(FLOAT)]
        row["score"] = draw(st.floats(allow_nan=False, allow_infinity=False))
        row["keys"] = [draw(st.integers(0, 2**64 - 1)), 0]
        row["steps"]["offset"], row["steps"]["partition"] = (
            draw(LONG),
            draw(st.integers(-(2**31), 2**31 - 1)),
        )
        row["decision"] = draw(st.integers(0, 2))
        row["body_hash"] = np.void(draw(st.binary(min_size=16, max_size=16)))
        row["bundle"] = draw(st.text("0123456789abcdef", max_size=16)).encode()
        row["policy"] = draw(st.sampled_from([b"", b"0123456789abcdef", b"fedcba9876543210"]))
        row["model_decision"] = row["decision"]
        if draw(st.booleans()):
            row["rule_hits"] = np.void(draw(st.binary(min_size=16, max_size=16).filter(any)))
            row["model_decision"] = draw(st.integers(0, 2))
    columns = [[draw(TEXT).encode() for _ in ids] for _ in range(3)]
    return Frames(rows, [i.encode() for i in ids], *columns)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(batch=_frames())
def test_round_trip(writer: Writer, url: str, batch: Frames) -> None:
    _clear(url)
    writer.write(*LAYOUT.pack(batch))
    assert writer.dead() == []
    stored = {row.transaction_id.encode(): row for row in _stored(url)}
    assert stored.keys() == set(batch.ids)
    for i, transaction_id in enumerate(batch.ids):
        _compare(batch, i, stored[transaction_id])


def _compare(batch: Frames, i: int, row: Row[tuple[object, ...]]) -> None:
    frame = batch.rows[i]
    same = (
        "event_us",
        "amount_minor",
        "scored_us",
        "models_offset",
        "online_labels",
        "score",
    )
    assert [getattr(row, name) for name in same] == [frame[name].item() for name in same]
    assert (row.ingested_us, row.persisted_us, row.profile) == (
        frame["ingest_us"],
        9_000,
        "abcd1234",
    )
    assert (row.features, row.scores, row.keys) == tuple(
        frame[n].tobytes() for n in ("values", "scores", "keys")
    )
    assert row.body_hash == frame["body_hash"].tobytes()
    assert row.trace == trace(batch.rows["steps"][i : i + 1]).tobytes()
    if frame["features_offset"] >= 0:
        again = address_of(FEATURES, row.features_offset, row.features_index)
        assert again == frame["features_offset"]
    else:
        assert (row.features_offset, row.features_index) == (frame["features_offset"], 0)
    assert (row.raw_offset, row.raw_partition) == (
        frame["steps"]["offset"][0],
        frame["steps"]["partition"][0],
    )
    assert (row.decision, row.bundle) == (DECISIONS[frame["decision"]], frame["bundle"].decode())
    by_model = DECISIONS[frame["model_decision"]]
    assert (row.policy or "").encode() == frame["policy"]
    assert row.rule_hits == (
        frame["rule_hits"].tobytes() if any(frame["rule_hits"].tobytes()) else None
    )
    assert row.model_decision == (None if by_model == row.decision else by_model)
    assert row.payload == batch.payloads[i].decode()
    assert [row.account or "", row.reasons or ""] == [
        batch.accounts[i].decode(),
        batch.reasons[i].decode(),
    ]


def _stored(url: str) -> list[Row[tuple[object, ...]]]:
    database = open_database(url, "read")
    with database.engine.connect() as connection:
        rows = list(connection.execute(select(transactions)))
    database.close()
    return rows


def _clear(url: str) -> None:
    database = open_database(url)
    with database.engine.begin() as connection:
        connection.execute(transactions.delete())
    database.close()
