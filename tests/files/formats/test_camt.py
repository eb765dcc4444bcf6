"""camt.052 to camt.054: signs, batches, reversals, both layouts of parties, and totals."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.files.formats.samples import HERE, changed, rejects_of, rows_of, written
from tidegate.errors import ConfigError

SAMPLE = "statement.camt053.xml"


def test_a_statement_becomes_its_bookings(tmp_path: Path) -> None:
    rows, done = rows_of(HERE / SAMPLE, tmp_path)
    told = [(row["amount"], row["counterparty"], row["reversal"]) for row in rows]
    assert told == [
        ("12.50", "Ada Example", "false"),
        ("-10.10", "Payee One", "false"),
        ("-20.00", "Payee Two", "false"),
        ("20.00", "Payee Two", "true"),
        ("0.00", "", "false"),
    ]
    assert rows[0]["booked_at"] == "2025-12-31T23:30:00Z"
    assert (rows[0]["reference"], rows[0]["text"]) == ("E-1", "Invoice 17 with thanks")
    assert (rows[1]["reference"], rows[0]["kind"]) == ("T-1", "PMNT-RCDT-ESCT")
    assert {row["account"] for row in rows} == {"DE02120300000000202051"}
    assert len({row["id"] for row in rows}) == len(rows)
    assert dict(done.refused) == {"not_booked": 1}
    assert done.good


def test_a_reversal_keeps_the_sign_of_its_direction(tmp_path: Path) -> None:
    """`RvslInd` says why money moves; `CdtDbtInd` which way."""
    debit = ("<CdtDbtInd>CRDT</CdtDbtInd><RvslInd>", "<CdtDbtInd>DBIT</CdtDbtInd><RvslInd>")
    rows, done = rows_of(changed(SAMPLE, tmp_path, debit), tmp_path)
    assert (rows[3]["amount"], rows[3]["counterparty"]) == ("-20.00", "Shop")
    assert not done.good  # the closing balance no longer agrees


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ((">1002.40<", ">1002.41<"), "its closing balance does not agree"),
        (("<NbOfNtries>5<", "<NbOfNtries>7<"), "its number of entries does not agree"),
    ],
)
def test_a_total_that_does_not_agree_is_told(
    tmp_path: Path, change: tuple[str, str], words: str
) -> None:
    _, done = rows_of(changed(SAMPLE, tmp_path, change), tmp_path)
    assert not done.good
    assert [told for told in done.told if not told.good and told.words.startswith(words)]


def test_a_batch_whose_amounts_do_not_add_up_is_one_row(tmp_path: Path) -> None:
    fee = ('<Amt Ccy="EUR">20</Amt>', '<Amt Ccy="EUR">19</Amt>')
    rows, done = rows_of(changed(SAMPLE, tmp_path, fee), tmp_path)
    assert [row["amount"] for row in rows] == ["12.50", "-30.10", "20.00", "0.00"]
    assert [told.words for told in done.told if told.place.startswith("statement 1, entry 2")]


def test_the_layout_of_version_2_in_latin_1(tmp_path: Path) -> None:
    text = (HERE / SAMPLE).read_text()
    text = text.replace("053.001.08", "053.001.02").replace('"UTF-8"', '"ISO-8859-1"')
    text = text.replace("<Sts><Cd>", "<Sts>").replace("</Cd></Sts>", "</Sts>")
    text = text.replace("<Pty><Nm>", "<Nm>").replace("</Nm></Pty>", "</Nm>")
    part = '<Amt Ccy="EUR">10.10</Amt>'
    text = text.replace(part, f"<AmtDtls><TxAmt>{part}</TxAmt></AmtDtls>")
    text = text.replace("Ada Example", "Ünal Çelik")
    old = written(tmp_path, "old.xml", text.encode("latin-1"))
    rows, done = rows_of(old, tmp_path)
    assert [row["amount"] for row in rows] == ["12.50", "-10.10", "-20.00", "20.00", "0.00"]
    assert rows[0]["counterparty"] == "Ünal Çelik"
    assert done.good


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        (('<Amt Ccy="EUR">12.5<', '<Amt Ccy="EUR">12.555<'), "Amt", "amount"),
        (('<Amt Ccy="EUR">12.5<', '<Amt Ccy="EUR">-12.5<'), "Amt", "amount"),
        (('<Amt Ccy="EUR">12.5<', '<Amt Ccy="EUR">12,50<'), "Amt", "amount"),
        (('<Amt Ccy="EUR">12.5<', '<Amt Ccy="XAU">12.5<'), "Amt", "currency"),
        (('<Amt Ccy="EUR">12.5<', "<Amt>12.5<"), "Amt", "currency"),
        (('<Amt Ccy="EUR">12.5</Amt>', ""), "Amt", "missing"),
        (
            ("CRDT</CdtDbtInd><Sts>", "X</CdtDbtInd><Sts>"),
            "CdtDbtInd",
            "direction",
        ),
        (("2026-01-01T00:30:00+01:00", "2026-13-01T00:30:00"), "BookgDt/DtTm", "time"),
        (("2026-01-01T00:30:00+01:00", "0001-01-01T00:00:00+01:00"), "BookgDt/DtTm", "time"),
        (("<Id><IBAN>DE02120300000000202051</IBAN></Id><Ccy>", "<Ccy>"), "Acct/Id", "missing"),
    ],
)
def test_an_entry_at_fault_is_refused_alone(
    tmp_path: Path, change: tuple[str, str], field: str, reason: str
) -> None:
    rows, done = rows_of(changed(SAMPLE, tmp_path, change), tmp_path)
    first = rejects_of(done)[0]
    assert (first["field"], first["reason"]) == (field, reason)
    assert first["place"].startswith("statement 1, entry 1, line ")
    assert len(rows) == (0 if field == "Acct/Id" else 4)
    assert not done.good


def test_a_statement_given_again_has_the_same_ids_also_when_it_has_grown(tmp_path: Path) -> None:
    rows, _ = rows_of(HERE / SAMPLE, tmp_path)
    more = (
        '<Ntry><Amt Ccy="EUR">0.00</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>'
        "<BookgDt><Dt>2026-01-02</Dt></BookgDt><AddtlNtryInf>Closing note</AddtlNtryInf></Ntry>"
    )
    grown, _ = rows_of(changed(SAMPLE, tmp_path, ("</Stmt>", f"{more}</Stmt>")), tmp_path)
    assert grown[: len(rows)] == rows
    assert {**grown[-1], "id": ""} == {**grown[-2], "id": ""}  # equal bookings
    assert grown[-1]["id"] != grown[-2]["id"]


def test_a_party_may_be_named_as_the_ultimate_one_alone(tmp_path: Path) -> None:
    sample = (HERE / SAMPLE).read_text()
    ultimate = sample.replace("<Dbtr>", "<UltmtDbtr>").replace("</Dbtr>", "</UltmtDbtr>")
    rows, _ = rows_of(written(tmp_path, "ultimate.xml", ultimate), tmp_path)
    assert rows[0]["counterparty"] == "Ada Example"


def test_entities_are_not_read(tmp_path: Path) -> None:
    bomb = '?>\n<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>\n<Document'
    source = changed(SAMPLE, tmp_path, ("?>\n<Document", bomb), ("Ada Example", "&b;"))
    with pytest.raises(ConfigError, match="document type"):
        rows_of(source, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [SAMPLE]


def test_utf_16_prefixes_and_envelopes_give_the_same_rows(tmp_path: Path) -> None:
    rows, _ = rows_of(HERE / SAMPLE, tmp_path)
    bare = (HERE / SAMPLE).read_text().partition("?>\n")[2]
    prefixed = re.sub(r"<(/?)(\w)", r"<\1n:\2", bare).replace("xmlns=", "xmlns:n=")
    wide = f'<?xml version="1.0" encoding="UTF-16"?>{bare}'.encode("utf-16")
    header = '<AppHdr xmlns="urn:iso:std:iso:20022:tech:xsd:head.001.001.02"><Fr/></AppHdr>'
    for content in (prefixed, wide, f'<Env xmlns="urn:x">{header}{bare}</Env>'):
        assert rows_of(written(tmp_path, "other.xml", content), tmp_path)[0] == rows


def test_the_line_is_right_far_down_a_file(tmp_path: Path) -> None:
    far = changed(SAMPLE, tmp_path, ("<Bal>", "\n" * 70_000 + "<Bal>"), (">12.5<", ">12.555<"))
    _, done = rows_of(far, tmp_path)
    assert rejects_of(done)[0]["place"] == "statement 1, entry 1, line 70018"


def test_a_file_that_is_cut_off_leaves_nothing_behind(tmp_path: Path) -> None:
    content = (HERE / SAMPLE).read_bytes()
    source = written(tmp_path, "cut.xml", content[: len(content) // 2])
    with pytest.raises(ConfigError, match=r"line \d+: not well-formed XML, or cut off"):
        rows_of(source, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["cut.xml"]
