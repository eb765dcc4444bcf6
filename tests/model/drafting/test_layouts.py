"""Drafts from the header lines of public data sets and of banks: which columns take which role."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.drafting.draft import Draft, draft
from model.drafting.reading import read_sample
from model.drafting.writing import written
from tests.model.drafting.layouts import LAYOUTS, minor_units
from tidegate.profile import Profile, load_profile
from tidegate.profile.file_spec import FileSpec

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
    "processor": {"time": {"format": "%m/%d/%Y %H:%M:%S %Z"}},
}


def drafted(folder: Path, name: str, rows: int) -> tuple[Draft, Profile]:
    encoding = "windows-1252" if name == "bank_debit_credit" else "utf-8"
    (folder / f"{name}.csv").write_text(LAYOUTS[name].text(rows), encoding, newline="")
    return of_file(folder / f"{name}.csv")


def of_file(path: Path) -> tuple[Draft, Profile]:
    sample, _ = read_sample(str(path), FileSpec())
    found = draft(sample)
    profile = path.with_suffix(".yaml")
    profile.write_text(written(found, path.name))
    return found, load_profile(profile)


@pytest.mark.parametrize("rows", [2, 3000])
@pytest.mark.parametrize("name", LAYOUTS)
def test_each_column_takes_its_role(tmp_path: Path, name: str, rows: int) -> None:
    found, _ = drafted(tmp_path, name, rows)
    assert {role: choice.columns for role, choice in found.choices.items() if choice} == ROLES[name]


@pytest.mark.parametrize("name", LAYOUTS)
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
