"""pacs.008: the debtor's money in the settlement's currency."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.files.formats.samples import HERE, changed, rejects_of, rows_of
from tidegate.errors import ConfigError

SAMPLE = "transfers.pacs008.xml"


def test_transfers_leave_the_debtors_account(tmp_path: Path) -> None:
    rows, done = rows_of(HERE / SAMPLE, tmp_path)
    assert [(row["amount"], row["currency"], row["reference"]) for row in rows] == [
        ("-10.235", "KWD", "E-10"),
        ("-2001", "JPY", "T-11"),
    ]
    assert rows[0]["id"] == "8a562c67-ca16-48ba-b074-65581be6f011"
    assert [row["booked_at"] for row in rows] == [
        "2026-01-02T08:59:58Z",
        "2026-01-02T08:00:00.250000Z",
    ]
    assert rows[0]["counterparty_account"] == "77-1"
    assert done.good


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (('Ccy="JPY">2001<', 'Ccy="JPY">2001.5<'), "IntrBkSttlmAmt"),
        (("<IBAN>DE88100900001234567892</IBAN>", ""), "DbtrAcct/Id"),
        (("2026-01-02T08:59:58Z", "today"), "AccptncDtTm"),
    ],
)
def test_a_transfer_at_fault_is_refused(
    tmp_path: Path, change: tuple[str, str], field: str
) -> None:
    rows, done = rows_of(changed(SAMPLE, tmp_path, change), tmp_path)
    assert [reject["field"] for reject in rejects_of(done)] == [field]
    assert len(rows) == 1


@pytest.mark.parametrize("change", [("<NbOfTxs>2<", "<NbOfTxs>3<"), (">2011.235<", ">2011.234<")])
def test_a_total_that_does_not_agree_is_told(tmp_path: Path, change: tuple[str, str]) -> None:
    _, done = rows_of(changed(SAMPLE, tmp_path, change), tmp_path)
    assert not done.good


def test_another_message_is_named(tmp_path: Path) -> None:
    other = changed(SAMPLE, tmp_path, ("pacs.008.001.08", "pacs.004.001.09"))
    with pytest.raises(ConfigError, match=r"a pacs\.004, which is not read"):
        rows_of(other, tmp_path)
