"""OFX: zones, tags without ends, empty elements, amounts."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.files.formats.entry import Fault
from model.files.formats.ofx_times import ofx_time
from tests.files.formats.samples import HERE, changed, rejects_of, rows_of, written
from tidegate.errors import ConfigError

SAMPLE = "statement.ofx"


def test_a_statement_becomes_its_transactions(tmp_path: Path) -> None:
    rows, done = rows_of(HERE / SAMPLE, tmp_path)
    assert [(row["amount"], row["booked_at"], row["counterparty"]) for row in rows] == [
        ("-12.50", "2025-12-31T19:30:00Z", "Tea & Co"),
        ("1000.50", "2026-01-02T00:00:00", ""),
    ]
    assert {row["account"] for row in rows} == {"ICIC/0001234"}
    assert [row["text"] for row in rows] == ["", "salary"]
    assert done.good


def test_the_xml_of_version_2(tmp_path: Path) -> None:
    assert rows_of(HERE / "statement2.ofx", tmp_path)[0] == rows_of(HERE / SAMPLE, tmp_path)[0]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("20260101", "2026-01-01"),
        ("20260101120000", "2026-01-01T12:00:00Z"),
        ("202601011200", "2026-01-01T12:00:00Z"),
        ("20260101120000.250[-5:EST]", "2026-01-01T17:00:00.250000Z"),
        ("20260101120000[-5]", "2026-01-01T17:00:00Z"),
        ("20260101010000[+5.5:IST]", "2025-12-31T19:30:00Z"),
        ("20260101010000[5.50:IST]", "2025-12-31T19:30:00Z"),
        ("20260101010000[+5.30:IST]", "2025-12-31T19:30:00Z"),
        ("20260101010000[+5.75:NPT]", "2025-12-31T19:15:00Z"),
        ("20260101010000[+5.45:NPT]", "2025-12-31T19:15:00Z"),
        ("20260101120000[-3.5:NST]", "2026-01-01T15:30:00Z"),
        ("20260101120000[-0.5]", "2026-01-01T12:30:00Z"),
    ],
)
def test_times(text: str, moment: str) -> None:
    assert ofx_time(text, "DTPOSTED") == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-01",
        "20260231",
        "20260101250000",
        "20260101120000[+5.20:X]",
        "20260101120000[+15]",
        "00010101000000[+5]",
        "99991231235959[-5]",
        "20260101120000[EST]",
    ],
)
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(Fault):
        ofx_time(text, "DTPOSTED")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (("-12.50", "-1,234.50"), "TRNAMT"),
        (("-12.50", "-12.505"), "TRNAMT"),
        (("-12.50", "-1,200"), "TRNAMT"),  # twelve hundred?
        (("<CURDEF>INR", "<CURDEF>EURO"), "TRNAMT"),
        (("20260101010000[+5.5:IST]", "01.01.2026"), "DTPOSTED"),
        (("<FITID>F-1", "<FITID>F-1<CORRECTFITID>F-0"), "CORRECTFITID"),
        (("<ACCTID>0001234", ""), "ACCTID"),
    ],
)
def test_a_transaction_at_fault_is_refused(
    tmp_path: Path, change: tuple[str, str], field: str
) -> None:
    _, done = rows_of(changed(SAMPLE, tmp_path, change), tmp_path)
    assert rejects_of(done)[0]["field"] == field
    assert not done.good


@pytest.mark.parametrize(
    "change",
    [
        ("<OFX>", "<ofx>"),
        ("</OFX>", ""),  # cut off: ofxtools takes what there is
        ("</BANKTRANLIST>", "</BANKTRANLIST></BANKMSGSRSV1></OFX>"),
        ("<LEDGERBAL>", "words <LEDGERBAL>"),
    ],
)
def test_a_file_that_is_no_ofx(tmp_path: Path, change: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match="OFX"):
        rows_of(changed(SAMPLE, tmp_path, change), tmp_path, "ofx")


@pytest.mark.parametrize(
    ("header", "codec", "told"),
    [
        ("CHARSET:1252", "cp1252", False),
        ("CHARSET:8859-1", "latin-1", False),
        ("CHARSET:NONE", "utf-8", False),
        ("CHARSET:NONE", "cp1252", True),
        ("CHARSET:UTF-8", "utf-8", False),
    ],
)
def test_letters_are_read_as_the_header_says(
    tmp_path: Path, header: str, codec: str, told: bool
) -> None:
    text = (HERE / SAMPLE).read_text().replace("CHARSET:1252", header).replace("Tea", "Té")
    rows, done = rows_of(written(tmp_path, "a.ofx", text.encode(codec)), tmp_path)
    assert rows[0]["counterparty"] == "Té & Co"
    assert bool(done.told) is told


def test_transactions_of_investments_are_told(tmp_path: Path) -> None:
    other = "<INVSTMTRS><INVBANKTRAN><STMTTRN><TRNAMT>1</STMTTRN></INVBANKTRAN></INVSTMTRS></OFX>"
    rows, done = rows_of(changed(SAMPLE, tmp_path, ("</OFX>", other)), tmp_path)
    assert len(rows) == 2
    assert [told.words for told in done.told if not told.good] == [
        "1 transaction outside of bank and card statements: not read"
    ]
