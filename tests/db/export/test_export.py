"""Exports read back by the tools they are made for, on both databases."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sqlalchemy import create_engine, insert, text

from db.audit import export as audit
from db.cases.tables import verdicts
from db.engine import writing
from db.export import columns
from db.export.columns import columns_of, exported
from db.export.formats import as_csv, as_parquet
from db.export.view import view_of
from db.migrate import migrate
from db.search.filters import Filters
from db.store import Store
from tests.db.said import said
from tests.profile.test_tokens import changed
from tests.web import persist, scored, transaction
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.pipeline import DLQ, SCORED
from tidegate.profile import Profile, load_profile

pytestmark = pytest.mark.processes
CARD = load_profile("card")
FORMULA = '=HYPERLINK("http://x.example","a")'
COUNT = 25
PERSONAL = "merchant: {type: string}", "merchant: {type: string, personal: true}"
CURRENCIES = """
id: id
account: user
time: time
money: amount
entities: [user]
fields:
  id: {type: string}
  user: {type: string}
  time: {type: time}
  amount: {type: money, currency: currency}
  currency: {type: currency}
models: {online: {}}
thresholds: {review: 0.5, block: 0.9}
history: {simulate: 1000}
"""


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "AT_ONCE", 10)


def fill(url: str, profile: Profile = CARD) -> None:
    frames = [
        scored(
            profile,
            transaction(
                f"t{number:02d}",
                user_id="-u",
                amount=number + 0.5,
                merchant=FORMULA,
                timestamp="2026-01-31T18:30:00.250Z",
            ),
            "block" if number % 5 == 0 else "approve",
            number / 100,
            [{"feature": "amount", "value": 1.0, "contribution": 2.0, "text": 'a,b\n"c"'}],
        )
        for number in range(COUNT)
    ]
    persist(url, MemoryBroker({SCORED: 1, DLQ: 1}), profile, frames)
    with writing(url) as connection:
        connection.execute(insert(verdicts), [said("a", "t03"), said("b", "t04", fraud=False)])


@pytest.fixture
def store(url: str) -> Store:
    fill(url)
    return Store(url, CARD)


def csv_of(store: Store, filters: Filters, *, masked: bool = True) -> pd.DataFrame:
    rows = exported(store, CARD, filters, masked=masked)
    return pd.read_csv(io.BytesIO(b"".join(as_csv(columns_of(CARD), rows))))


def test_csv_is_what_the_rows_are(store: Store) -> None:
    found = csv_of(store, Filters())
    assert found["transaction_id"].tolist() == [f"t{n:02d}" for n in range(COUNT)][::-1]
    assert found["amount"].tolist() == [n + 0.5 for n in range(COUNT)][::-1]
    assert found["score"].tolist() == [n / 100 for n in range(COUNT)][::-1]
    assert set(found["event_time"]) == {"2026-01-31T18:30:00.250000+00:00"}
    assert set(found["payload_merchant"]) == {f"'{FORMULA}"}, "no spreadsheet computes it"
    assert set(found["account"]) == {"'-u"}
    assert found["feature_amount"].tolist() == [0.0] * COUNT
    assert json.loads(found["reasons"][0])[0]["text"] == 'a,b\n"c"'
    by_id = found.set_index("transaction_id")["verdict"]
    assert (by_id["t03"], by_id["t04"], by_id.isna().sum()) == ("fraud", "legitimate", COUNT - 2)
    row = store.get("t07")
    assert row is not None
    exported_row = found[found["transaction_id"] == "t07"].iloc[0]
    for name, value in row["features"].items():
        assert exported_row[f"feature_{name}"] == value
    for name, value in row["scores"].items():
        assert exported_row[f"score_{name}"] == value
    store.close()


def test_parquet_has_types_and_the_same_values(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    rows = exported(store, CARD, Filters(decision="block"), masked=True)
    file.write_bytes(b"".join(as_parquet(columns_of(CARD), rows)))
    table = pq.read_table(file)
    assert table["transaction_id"].to_pylist() == ["t20", "t15", "t10", "t05", "t00"]
    assert table["payload_merchant"].to_pylist() == [FORMULA] * 5
    assert str(table.schema.field("event_time").type) == "timestamp[us, tz=UTC]"
    assert table["amount"].to_pylist() == [20.5, 15.5, 10.5, 5.5, 0.5]
    empty = b"".join(as_parquet(columns_of(CARD), iter(())))
    assert pq.read_table(io.BytesIO(empty)).num_rows == 0
    store.close()


def test_the_view_unpacks_every_bit(postgres_url: str) -> None:
    fill(postgres_url)
    chance = np.random.default_rng(5)
    odd = [0.0, -0.0, np.nan, np.inf, -np.inf, 5e-324, -2.2e-308, 1.7976931348623157e308, 1 / 3]
    drawn = np.concatenate([odd, chance.integers(0, 2**64, 200, np.uint64).view("<f8")])
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(text("SET extra_float_digits = 3"))
        connection.exec_driver_sql(view_of(CARD, "for bi").replace("%", "%%"))
        width = len(CARD.values)
        for start in range(0, len(drawn) - width, width):
            values = drawn[start : start + width].astype("<f8")
            connection.execute(
                text("UPDATE transactions SET features = :packed WHERE transaction_id = 't03'"),
                {"packed": values.tobytes()},
            )
            row = connection.execute(
                text("SELECT * FROM \"for bi\" WHERE transaction_id = 't03'")
            ).one()
            for name, value in zip(CARD.values, values.tolist(), strict=True):
                unpacked = row._mapping[f"feature_{name}"]
                expected = value if np.isfinite(value) else None
                assert unpacked == expected, (name, value)
        assert row._mapping["verdict"] == "fraud"
        assert row._mapping["payload_merchant"] == FORMULA
        assert row._mapping["score_shadow"] is None
        count = connection.scalar(text('SELECT count(*) FROM "for bi"'))
    engine.dispose()
    assert count == COUNT


def test_a_view_takes_the_place_of_another_profiles(postgres_url: str, tmp_path: Path) -> None:
    fill(postgres_url)
    other = changed(tmp_path, PERSONAL)
    engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for profile in (CARD, other, CARD):
            connection.exec_driver_sql(view_of(profile, "for bi").replace("%", "%%"))
            assert connection.scalar(text('SELECT count(*) FROM "for bi"')) == COUNT
    engine.dispose()


def test_an_amount_whose_currency_nobody_knows_is_missing(url: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(CURRENCIES)
    profile = load_profile(path)
    body = {"user": "u", "time": 1_700_000_000, "amount": 12.5, "currency": "EUR"}
    frames = [scored(profile, body | {"id": f"t{number}"}) for number in range(4)]
    persist(url, MemoryBroker({SCORED: 1, DLQ: 1}), profile, frames)
    with writing(url) as connection:
        for name, payload in (("t1", "{}"), ("t2", '{"currency":"XAU"}'), ("t3", '{"currency":7}')):
            connection.execute(
                text("UPDATE transactions SET payload = :payload WHERE transaction_id = :name"),
                {"payload": payload, "name": name},
            )
    store = Store(url, profile)
    [rows] = exported(store, profile, Filters(), masked=True)
    store.close()
    place = [column.name for column in columns_of(profile)].index("amount")
    assert {row[0]: row[place] for row in rows} == {"t0": 12.5, "t1": None, "t2": None, "t3": None}


def test_the_command_masks_unless_told(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'tidegate.db'}"
    migrate(url)
    profile = changed(tmp_path, PERSONAL)
    fill(url, profile)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cli", *arguments, "--profile", str(profile.path)],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"TIDEGATE_DB": url, "TIDEGATE_HOME": str(tmp_path)},
        )

    for name, more in (("masked.csv", ()), ("all.csv", ("--unmask", "--filter", "id=t03"))):
        done = run("export", "--output", str(tmp_path / name), *more)
        assert done.returncode == 0, done.stderr
    assert "HYPERLINK" not in (tmp_path / "masked.csv").read_text()
    assert len(pd.read_csv(tmp_path / "masked.csv")) == COUNT
    assert "HYPERLINK" in (tmp_path / "all.csv").read_text()
    assert len(pd.read_csv(tmp_path / "all.csv")) == 1
    [entry] = audit(url)
    assert (entry.what, json.loads(entry.detail)["filters"]) == ("exported", ["id"])
    for wrong in (
        ["--output", str(tmp_path / "all.csv")],
        ["--output", str(tmp_path / "x.txt")],
        ["--output", str(tmp_path / "y.csv"), "--filter", "min_score=7"],
        ["--output", str(tmp_path / "y.csv"), "--filter", "nothing=7"],
    ):
        assert run("export", *wrong).returncode == 78, wrong
    shown = run("export-view")
    assert "feature_amount" in shown.stdout
    assert '"payload_merchant"' not in shown.stdout
    with writing(url) as connection:
        connection.execute(
            text("UPDATE transactions SET payload = 'broken' WHERE transaction_id = 't01'")
        )
    assert run("export", "--output", str(tmp_path / "half.csv")).returncode != 0
    assert not (tmp_path / "half.csv").exists()
