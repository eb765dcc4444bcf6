"""Drafts from the header lines of public data sets and of banks: which columns take which role."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.drafting.draft import Draft, draft
from model.drafting.reading import read_sample
from model.drafting.writing import written
from model.history.reading import read_history
from tests.model.drafting.exports import EXPORTS, nested
from tests.model.drafting.layouts import LAYOUTS, minor_units
from tidegate.profile import Profile, load_profile
from tidegate.profile.file_spec import FileSpec

pytestmark = pytest.mark.long

ALL = LAYOUTS | EXPORTS
ROLES = {
    "ulb": {"time": ("Time",), "money": ("Amount",), "label": ("Class",)},
    "paysim": {
        "time": ("step",), "money": ("amount",), "account": ("nameOrig",),
        "second": ("nameDest",), "label": ("isFraud",),
    },
    "banksim": {
        "time": ("step",), "money": ("amount",), "account": ("customer",),
        "second": ("merchant",), "label": ("fraud",),
    },
    "sparkov": {
        "id": ("trans_num",), "time": ("trans_date_trans_time",), "money": ("amt",),
        "account": ("cc_num",), "second": ("merchant",), "label": ("is_fraud",),
    },
    "ibm_aml": {
        "time": ("Timestamp",), "money": ("Amount Paid",), "account": ("From Bank", "Account"),
        "second": ("To Bank", "Account_2"), "label": ("Is Laundering",),
    },
    "tabformer": {
        "time": ("Year", "Month", "Day", "Time"), "money": ("Amount",),
        "account": ("User", "Card"), "second": ("Merchant Name",), "label": ("Is Fraud?",),
    },
    "ieee": {
        "id": ("TransactionID",), "time": ("TransactionDT",), "money": ("TransactionAmt",),
        "account": ("card1",), "label": ("isFraud",),
    },
    "bank_preamble": {"time": ("Buchungsdatum",), "money": ("Betrag (€)",)},
    "bank_debit_credit": {"time": ("Datum",), "money": ("Soll", "Haben")},
    "processor": {
        "id": ("Transaction ID",), "time": ("Date", "Time", "TimeZone"), "money": ("Gross",),
    },
    "sparkasse": {
        "time": ("Buchungstag",), "money": ("Betrag",), "account": ("Kontonummer/IBAN",),
        "second": ("Beguenstigter/Zahlungspflichtiger",),
    },
    "uk_bank": {"time": ("Transaction Date",), "money": ("Debit Amount", "Credit Amount")},
    "adyen": {
        "id": ("Psp Reference",), "time": ("Creation Date", "TimeZone"),
        "money": ("Gross Debit (GC)", "Gross Credit (GC)"), "account": ("Shopper Reference",),
    },
    "charges": {
        "id": ("id",), "time": ("Created date (UTC)",), "money": ("Amount",),
        "account": ("Customer ID",), "label": ("Is Fraudulent",),
    },
    "disputes": {
        "time": ("Posted Date",), "money": ("Amount (USD)",), "account": ("Card Number",),
        "second": ("Merchant Name",), "label": ("Dispute Outcome",),
    },
    "flagged": {
        "id": ("tx_id",), "time": ("booking",), "money": ("amt",), "account": ("acct_no",),
        "second": ("payee_name",), "label": ("fraud_flag",),
    },
    "transfers": {
        "time": ("TIMESTAMP",), "money": ("AMOUNT_IN_PAISE",), "account": ("ORIGINATOR",),
        "second": ("BENEFICIARY_ACCOUNT",), "label": ("SAR_FLAG",),
    },
    "workbook_days": {
        "time": ("Date",), "money": ("amount_cents",), "account": ("Buyer",),
        "label": ("Chargeback",),
    },
}  # fmt: skip
WRITTEN = {
    "ulb": {"Time": {"unit": "s"}},
    "paysim": {"step": {"unit": "hours"}},
    "banksim": {"step": {"unit": "days"}},
    "sparkov": {"trans_date_trans_time": {}},
    "ibm_aml": {"Timestamp": {"format": "%Y/%m/%d %H:%M"}},
    "tabformer": {"time": {"format": "%Y %m %d %H:%M"}},
    "ieee": {"TransactionDT": {"unit": "s"}},
    "bank_preamble": {"Buchungsdatum": {"format": "%d.%m.%y"}},
    "bank_debit_credit": {"amount": {"column": {"debit": "Soll", "credit": "Haben"}}},
    "processor": {
        "time": {"format": "%m/%d/%Y %H:%M:%S %Z"}, "Gross": {"currency": "Currency"},
    },
    "sparkasse": {"Buchungstag": {"format": "%d.%m.%y"}},
    "uk_bank": {"amount": {"column": {"debit": "Debit Amount", "credit": "Credit Amount"}}},
    "adyen": {"time": {"column": ["Creation Date", "TimeZone"]}},
    "charges": {"Amount": {"currency": "Currency"}, "Currency": {"values": ["USD", "JPY", "EUR"]}},
    "disputes": {"posted_date": {"format": "%m/%d/%Y %I:%M %p"}},
    "flagged": {"booking": {"format": "%Y%m%d%H%M%S"}},
    "transfers": {
        "TIMESTAMP": {"format": "%d/%b/%Y %H:%M:%S"}, "AMOUNT_IN_PAISE": {"minor": True},
    },
    "workbook_days": {
        "Date": {"unit": "days", "since": date(1899, 12, 30)}, "amount_cents": {"minor": True},
    },
}  # fmt: skip


def drafted(folder: Path, name: str, rows: int) -> tuple[Draft, Profile]:
    encoding = "windows-1252" if name == "bank_debit_credit" else "utf-8"
    (folder / f"{name}.csv").write_text(ALL[name].text(rows), encoding, newline="")
    return of_file(folder / f"{name}.csv")


def of_file(path: Path) -> tuple[Draft, Profile]:
    sample, _ = read_sample(str(path), FileSpec())
    found = draft(sample)
    profile = path.with_suffix(".yaml")
    profile.write_text(written(found, path.name))
    return found, load_profile(profile)


@pytest.mark.parametrize(
    ("name", "rows"), [(name, 3000) for name in ALL] + [(name, 2) for name in LAYOUTS]
)
def test_each_column_takes_its_role(tmp_path: Path, name: str, rows: int) -> None:
    found, _ = drafted(tmp_path, name, rows)
    assert {role: choice.columns for role, choice in found.choices.items() if choice} == ROLES[name]


@pytest.mark.parametrize("name", ALL)
def test_fields_say_how_their_cells_are_written(tmp_path: Path, name: str) -> None:
    found, _ = drafted(tmp_path, name, 3000)
    options = {field.name: field.options for field in found.fields}
    for field, expected in WRITTEN[name].items():
        assert options[field].items() >= expected.items()


def test_cents_and_seconds_of_a_payment_service(tmp_path: Path) -> None:
    (tmp_path / "charges.jsonl").write_text("\n".join(minor_units(2000)))
    found, profile = of_file(tmp_path / "charges.jsonl")
    options = {field.name: field.options for field in found.fields}
    assert options["amount"]["minor"] is True
    assert options["created"] == {"unit": "s"}
    assert profile.account == "customer"
    assert profile.fields["captured"].type == "bool"


def test_members_of_objects_are_fields_by_their_paths(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text("\n".join(nested(1500)))
    found, profile = of_file(tmp_path / "events.jsonl")
    assert profile.entities == ("customer_id", "merchant_id")
    assert found.choices["money"].columns == ("amount.value",)
    assert found.choices["label"].columns == ("review.fraud",)
    reading = read_history(profile, str(tmp_path / "events.jsonl"))
    assert (len(reading.history.ids), reading.refusals.total) == (1500, 0)
    assert (reading.history.labels == 1).sum() == found_frauds(found) > 30


def found_frauds(found: Draft) -> int:
    return int(found.choices["label"].why.partition(" ")[0])


def test_parquet_says_its_zone_its_decimals_and_its_bools(tmp_path: Path) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    amounts = [Decimal(f"{number % 90}.35") for number in range(1500)]
    table = pa.table(
        {
            "txn_uuid": [f"{number:032x}" for number in range(1500)],
            "event_time": pa.array(
                [start + timedelta(minutes=number) for number in range(1500)],
                pa.timestamp("us", "America/New_York"),
            ),
            "amount": pa.array(amounts, pa.decimal128(18, 2)),
            "pan_hash": pa.array([2**60 - number % 90 for number in range(1500)]),
            "is_fraud": [number % 20 == 3 for number in range(1500)],
        }
    )
    pq.write_table(table, tmp_path / "warehouse.parquet")
    found, profile = of_file(tmp_path / "warehouse.parquet")
    assert (profile.id_field, profile.account) == ("txn_uuid", "pan_hash")
    assert not found.choices["time"].unsure
    assert "2026-03-01 to 2026-03-02" in found.choices["time"].why
    reading = read_history(profile, str(tmp_path / "warehouse.parquet"))
    assert (len(reading.history.ids), (reading.history.labels == 1).sum()) == (1500, 75)


def test_amounts_of_several_currencies_are_compared_by_their_medians(tmp_path: Path) -> None:
    found, profile = drafted(tmp_path, "charges", 3000)
    scaled = found.features["amount_scaled"]["is"]
    sizes = [float(size) for size in re.findall(r"Amount / ([0-9.]+)", str(scaled))]
    assert "if Currency == 'JPY' else" in str(scaled)
    assert 100 < max(sizes) / min(sizes) < 250, "160 yen were paid for a dollar"
    assert profile.currency_field == "Currency"
    assert "customer_mean_1d" in profile.computed
    assert "several currencies" in found.choices["money"].unsure


def test_one_currency_gives_the_amount_its_decimals(tmp_path: Path) -> None:
    rows = "".join(f"t{n},2026-01-01T00:{n % 60:02}:00Z,{n}.5,KWD\n" for n in range(300))
    (tmp_path / "kwd.csv").write_text("id,time,amount,currency\n" + rows)
    _, profile = of_file(tmp_path / "kwd.csv")
    assert profile.fields["amount"].decimals == 3  # type: ignore[attr-defined] # it is money


def test_currency_signs_that_differ_are_told(tmp_path: Path) -> None:
    rows = "".join(f"t{n},2026-01-01T00:{n % 60:02}:00Z,{'€$'[n % 2]}{n}.50\n" for n in range(300))
    (tmp_path / "signs.csv").write_text("id,time,amount\n" + rows)
    found, _ = of_file(tmp_path / "signs.csv")
    assert found.choices["money"].unsure.startswith("$ and € stand beside the numbers")


def test_names_of_people_and_cards_are_not_listed(tmp_path: Path) -> None:
    for name, word in (
        ("charges", "fp1"),
        ("sparkasse", "Laden 1"),
        ("adyen", "shopper1"),
        ("transfers", "+4917"),
        ("bank_preamble", "Laden A"),
    ):
        drafted(tmp_path, name, 3000)
        assert word not in (tmp_path / f"{name}.yaml").read_text(), name


def test_an_empty_cell_may_be_the_word_for_legitimate(tmp_path: Path) -> None:
    found, profile = drafted(tmp_path, "flagged", 3000)
    assert (profile.history.fraud, profile.history.legitimate) == ("Y", "")
    assert "are rows without a verdict legitimate" in found.choices["label"].unsure
    assert "an empty cell is legitimate" in found.choices["label"].why


def test_a_banks_numbers_are_read_by_its_marks(tmp_path: Path) -> None:
    _, profile = drafted(tmp_path, "bank_preamble", 3000)
    assert (profile.file.decimal_mark, profile.file.thousands) == (",", ".")


def test_personal_data_and_what_gives_the_answer_away_are_no_inputs(tmp_path: Path) -> None:
    _, sparkov = drafted(tmp_path, "sparkov", 3000)
    hidden = {name for name, field in sparkov.fields.items() if field.ignored}
    assert hidden >= {"first", "last", "street", "job", "dob", "unix_time", "column_1", "is_fraud"}
    _, paysim = drafted(tmp_path, "paysim", 3000)
    hidden = {name for name, field in paysim.fields.items() if field.ignored}
    assert hidden == {"isFraud", "newbalanceOrig", "newbalanceDest", "isFlaggedFraud"}


def test_no_persons_name_stands_in_a_profile(tmp_path: Path) -> None:
    drafted(tmp_path, "sparkov", 2)
    text = (tmp_path / "sparkov.yaml").read_text()
    assert "Main St" not in text
    assert "Other" not in text
