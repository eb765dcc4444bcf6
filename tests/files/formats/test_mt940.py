"""MT940: marks, funds codes, entry dates without a year, and lines that cannot be read."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.files.formats.entry import Fault
from model.files.formats.times import nearest
from tests.files.formats.samples import HERE, changed, rejects_of, rows_of, written

SAMPLE = "statement.mt940.sta"


def test_statements_become_their_lines(tmp_path: Path) -> None:
    rows, done = rows_of(HERE / SAMPLE, tmp_path)
    assert [(row["amount"], row["currency"], row["reversal"]) for row in rows] == [
        ("12.50", "EUR", "false"),  # C, funds code R
        ("-30.10", "EUR", "false"),
        ("-20.00", "EUR", "true"),  # RC: a credit taken back
        ("5.00", "EUR", "true"),  # RD: a debit taken back
        ("1.00", "EUR", "false"),
        ("-1500", "JPY", "false"),
    ]
    assert [row["booked_at"] for row in rows[1:5]] == [
        "2026-01-02T00:00:00",  # valued on the last day of the year before
        "2025-12-30T00:00:00",
        "2025-12-30T00:00:00",
        "2025-12-15T00:00:00",  # 36 days before its value date, over New Year
    ]
    assert rows[0]["counterparty"] == "Ada Example"
    assert rows[0]["counterparty_account"] == "DE88100900001234567892"
    assert (rows[0]["reference"], rows[0]["text"]) == ("E-1", "Invoice 17 with thanks")
    assert rows[1]["text"] == "plain words of the bank over two lines"
    assert rows[4]["text"] == "supplementary words"
    assert done.good  # both closing balances agree


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2512311231C12.50NTRFX", "line"),  # a point: the library takes it for a reference
        ("2512311231C1234567890123456,00NTRFX", "line"),  # 16 digits: cut by the library
        ("2512311231C1,2,3NTRFX", "amount"),
        ("2512311231C12,505NTRFX", "amount"),
        ("2512311231C,NTRFX", "amount"),
        ("2513311231C12,50NTRFX", "time"),
        ("2512319931C12,50NTRFX", "time"),
        ("2512311231EC12,50NTRFX", "line"),  # MT942: only expected
        ("nonsense", "line"),
    ],
)
def test_a_line_at_fault_is_refused_alone(tmp_path: Path, line: str, reason: str) -> None:
    change = ("2512311231CR12,5NTRFE-1//B-1", line)
    rows, done = rows_of(changed(SAMPLE, tmp_path, change), tmp_path)
    (reject,) = rejects_of(done)
    assert (reject["place"], reject["field"], reject["reason"]) == (
        "statement 1, entry 1, line 6",
        "61",
        reason,
    )
    assert len(rows) == 5
    assert not done.good


def test_a_closing_balance_that_does_not_agree_is_told(tmp_path: Path) -> None:
    _, done = rows_of(changed(SAMPLE, tmp_path, ("EUR968,40", "EUR968,41")), tmp_path)
    assert [told.place for told in done.told if not told.good] == ["statement 1"]


def test_a_statement_that_is_cut_off_is_told(tmp_path: Path) -> None:
    lines = (HERE / SAMPLE).read_text().splitlines()[:9]
    _, done = rows_of(written(tmp_path, "cut.sta", "\n".join(lines)), tmp_path)
    (told,) = done.told
    assert not told.good
    assert "no pair of opening and closing balance" in told.words


def test_a_field_without_its_colon_is_told(tmp_path: Path) -> None:
    _, done = rows_of(changed(SAMPLE, tmp_path, (":61:2601021230RC", "61:2601021230RC")), tmp_path)
    assert not done.good


def test_a_word_that_a_reference_stands_elsewhere_is_none(tmp_path: Path) -> None:
    rows, _ = rows_of(changed(SAMPLE, tmp_path, ("NRTINONREF//B-3", "NRTIKREF//B-3")), tmp_path)
    assert rows[2]["reference"] == "B-3"


def test_several_descriptions_and_own_fields_of_a_bank(tmp_path: Path) -> None:
    more = ("over two lines", ":NS:01words of its own\n:86:and more")
    rows, done = rows_of(changed(SAMPLE, tmp_path, more), tmp_path)
    assert rows[1]["text"] == "plain words of the bank and more"
    assert done.good


def test_letters_of_windows_are_read_and_told(tmp_path: Path) -> None:
    text = (HERE / SAMPLE).read_text().replace("plain", "größere")
    rows, done = rows_of(written(tmp_path, "a.sta", text.encode("cp1252")), tmp_path)
    assert rows[1]["text"].startswith("größere words")
    assert "Windows-1252" in done.told[0].words


def test_without_envelopes_with_crlf_and_a_byte_order_mark(tmp_path: Path) -> None:
    lines = [x for x in (HERE / SAMPLE).read_text().splitlines() if not x.startswith(("{", "-"))]
    bare = written(tmp_path, "bare.sta", "\ufeff" + "\r\n".join(lines))
    assert rows_of(bare, tmp_path)[0] == rows_of(HERE / SAMPLE, tmp_path)[0]


@given(st.dates(date(2000, 1, 1), date(2099, 12, 31)), st.integers(-180, 180))
def test_an_entry_date_is_found_half_a_year_around_its_value_date(day: date, away: int) -> None:
    other = day + timedelta(days=away)
    if (day.month, day.day) != (2, 29):
        assert nearest(f"{day:%m%d}", other, "61") == day


def test_a_day_that_no_year_has() -> None:
    with pytest.raises(Fault, match="not in the calendar"):
        nearest("0231", date(2026, 1, 1), "61")
