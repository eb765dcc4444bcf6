"""ISO 8583: minor units by currency, directions, reversals, dates without a year."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from model.files.formats.convert import convert
from tests.files.formats.samples import HERE, message, rejects_of, rows_of, written

SAMPLE = "payments.iso8583.jsonl"


def test_messages_become_payments(tmp_path: Path) -> None:
    rows, done = rows_of(HERE / SAMPLE, tmp_path)
    assert [(row["amount"], row["currency"], row["kind"]) for row in rows] == [
        ("-12.50", "EUR", "authorization 00"),
        ("-5000", "JPY", "financial 01"),
        ("-123.45", "EUR", "financial 09"),
        ("1.234", "KWD", "financial 20"),
        ("12.50", "EUR", "reversal 00"),
    ]
    assert [row["reversal"] for row in rows] == ["false"] * 4 + ["true"]
    assert rows[0]["booked_at"] == "2025-12-31T23:59:59Z"  # the file ends in 2026
    assert rows[1]["booked_at"] == "2026-01-01T00:05:00Z"
    assert rows[0]["value_date"] == "2026-01-01"
    assert (rows[0]["merchant_category"], rows[2]["cash_back"]) == ("5411", "50.00")
    assert rows[0]["counterparty"] == "Corner Shop Berlin DE"
    assert dict(done.refused) == {"repeat": 1, "not_a_payment": 2}
    assert done.good


@pytest.mark.parametrize(
    ("fields", "amount"),
    [
        ({"f4": 1250}, "-12.50"),
        ({"f4": "1250", "f49": "036"}, "-12.50"),
        ({"f4": "1250", "f49": 36}, "-12.50"),
        ({"f4": "1250", "f49": "048"}, "-1.250"),
        ({"f4": "1250", "f49": "KWD"}, "-1.250"),
        ({"f4": "1250", "f49": "990"}, "-0.1250"),
        ({"t": "0400"}, "12.50"),
        ({"t": "0420", "f3": "200000"}, "-12.50"),
        ({"t": "0420", "f95": "000000000250" + "0" * 30}, "10.00"),
        ({"t": None, "MTI": "200"}, "-12.50"),
        ({"f4": None, "DE004": "000000001250"}, "-12.50"),
        ({"f2": None, "f35": "4000001234567899=29121010000"}, "-12.50"),
        ({"f2": None, "f102": "0007"}, "-12.50"),
        ({"f4": None, "fields": {"4": "000000001250"}}, "-12.50"),
        ({"t": "1200", "f12": "251231235959", "f7": None}, "-12.50"),
    ],
)
def test_amounts(tmp_path: Path, fields: dict[str, object], amount: str) -> None:
    source = written(tmp_path, "one.jsonl", message(**fields))
    (row,), done = rows_of(source, tmp_path, "iso8583")
    assert row["amount"] == amount
    assert done.good


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({"f4": "12.50"}, "4", "digits"),
        ({"f4": 12.5}, "4", "json"),
        ({"f4": "-1250"}, "4", "digits"),
        ({"f4": "٣"}, "4", "digits"),
        ({"f4": None}, "4", "amount"),
        ({"f49": None}, "49", "currency"),
        ({"f49": "EURO"}, "49", "currency"),
        ({"f49": "XXX"}, "49", "currency"),
        ({"f49": "959"}, "4", "currency"),  # gold has no minor units
        ({"f49": "000"}, "49", "currency"),
        ({"f3": None}, "3", "missing"),
        ({"f3": "310000"}, "3", "not_a_payment"),
        ({"t": "2200"}, "0", "mti"),  # version 2003 writes amounts in another way
        ({"t": None}, "0", "mti"),
        ({"f2": None}, "2", "missing"),
        ({"f7": "1301120000"}, "7", "time"),
        ({"f7": None}, "7", "missing"),
        ({"f54": "0040978D"}, "54", "amount"),
        ({"f54": "0040840D000000005000"}, "54", "currency"),
        ({"f37": 12}, "37", "json"),
        ({"f04": "1"}, "4", "twice"),
        ({"f43": {"name": "x"}}, "43", "json"),
    ],
)
def test_a_message_at_fault_is_refused(
    tmp_path: Path, fields: dict[str, object], field: str, reason: str
) -> None:
    source = written(tmp_path, "one.jsonl", message() + message(**{"f11": "2", **fields}))
    rows, done = rows_of(source, tmp_path, "iso8583")
    (reject,) = rejects_of(done)
    assert (reject["place"], reject["field"], reject["reason"]) == (
        "message 2, line 2",
        field,
        reason,
    )
    assert len(rows) == 1


def test_a_line_that_is_no_json_is_refused_alone(tmp_path: Path) -> None:
    source = written(tmp_path, "two.jsonl", "{broken\n\n[1]\n" + message())
    rows, done = rows_of(source, tmp_path, "iso8583")
    assert [reject["place"] for reject in rejects_of(done)] == [
        "message 1, line 1",
        "message 2, line 3",
    ]
    assert len(rows) == 1


def test_an_array_gives_the_same_rows(tmp_path: Path) -> None:
    messages = [json.loads(line) for line in (HERE / SAMPLE).read_text().splitlines()]
    array = written(tmp_path, "all.json", json.dumps(messages, indent=1))
    assert rows_of(array, tmp_path)[0] == rows_of(HERE / SAMPLE, tmp_path)[0]


def test_without_the_last_day_a_date_without_year_is_refused(tmp_path: Path) -> None:
    done = convert([written(tmp_path, "one.jsonl", message())], tmp_path / "rows.jsonl")
    assert done.first_refused[0].reason == "year"
    assert "--last-day" in done.first_refused[0].detail


def test_version_1993_needs_no_last_day(tmp_path: Path) -> None:
    sent = message(t="1200", f12="251231235959", f7="0101045959", f15="260102")
    out = tmp_path / "rows.jsonl"
    assert convert([written(tmp_path, "one.jsonl", sent)], out).good
    row = json.loads(out.read_text())
    assert (row["booked_at"], row["value_date"]) == ("2026-01-01T04:59:59Z", "2026-01-02")


@pytest.mark.parametrize(
    ("last", "sent", "year"),
    [
        (date(2026, 1, 1), "1231235959", "2025"),
        (date(2026, 1, 1), "0102000000", "2026"),  # the terminal's day is ahead of UTC's
        (date(2025, 12, 31), "0101003000", "2026"),
        (date(2026, 1, 1), "0601000000", "2025"),
        (date(2028, 12, 31), "0229120000", "2028"),
        (date(9999, 12, 31), "1231120000", "9999"),
        (date(2029, 2, 15), "0229120000", "2028"),
    ],
)
def test_the_year_is_that_of_the_latest_such_day(
    tmp_path: Path, last: date, sent: str, year: str
) -> None:
    out = tmp_path / "rows.jsonl"
    convert([written(tmp_path, "one.jsonl", message(f7=sent))], out, last_day=last)
    assert json.loads(out.read_text())["booked_at"].startswith(f"{year}-")


def test_what_pyiso8583_decodes_is_read(tmp_path: Path) -> None:
    import iso8583
    from iso8583.specs import default_ascii

    sent = {"t": "0200", "p": "7220000000C08000", "2": "4000001234567899", "3": "000000"}
    sent |= {"4": "000000001250", "7": "1231235959", "11": "000001", "41": "TERM0001"}
    sent |= {"42": "SHOP00000000001", "49": "978"}
    raw, _ = iso8583.encode(dict(sent), default_ascii)
    decoded, _ = iso8583.decode(raw, default_ascii)
    source = written(tmp_path, "one.jsonl", json.dumps(decoded))
    (row,), _ = rows_of(source, tmp_path)
    assert (row["amount"], row["terminal"]) == ("-12.50", "TERM0001")
