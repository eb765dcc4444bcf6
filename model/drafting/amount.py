"""Which column holds the amount, and how it is written."""

from __future__ import annotations

from model.drafting.choice import Answers, Choice, Columns, ranked, rivals
from model.drafting.evidence import Column
from model.drafting.number_form import NumberForm
from model.drafting.words import CREDIT, DEBIT, MONEY, NO_MONEY, says, score
from tidegate.profile.number_types import MONEY_LIMIT
from tidegate.profile.spec import Json

_NARROW = 3_000_000_000
"""Minor units up to which windows need one word for a sum."""


def choose_money(columns: Columns, answers: Answers, *, json: bool = False) -> Choice:
    """The amount. `json`: whole numbers in JSON may be minor units."""
    if "money" in answers:
        named = columns.get(answers["money"])
        return _single(named, ()) if named else Choice()
    pair = _debit_credit(columns)
    found = ranked(columns.values(), _points)
    if pair and not found:
        return pair
    if not found:
        return Choice()
    return _single(found[0], rivals(found, _points), minor=json)


def _points(column: Column) -> float:
    numeric = column.numbers is not None and column.filled
    return score(column.key, MONEY, NO_MONEY) if numeric else 0


def _single(column: Column, others: tuple[str, ...], *, minor: bool = False) -> Choice:
    form = column.numbers
    if form is None:
        return Choice()
    options = money_options(form)
    unsure = ""
    if minor and form.whole and form.high >= 100:
        options = {**options, "minor": True}
        unsure = "whole numbers in JSON: taken as minor units (cents)"
    return Choice((column.name,), described(form), unsure, options, others)


def _debit_credit(columns: Columns) -> Choice:
    """Two columns of which each row fills one; the first rows may fill the same."""
    debit = next((column for column in columns.values() if says(column.key, DEBIT)), None)
    credit = next((column for column in columns.values() if says(column.key, CREDIT)), None)
    if debit is None or credit is None:
        return Choice()
    filled = [column.numbers for column in (debit, credit) if column.filled]
    forms = [form for form in filled if form is not None]
    if not forms or len(forms) < len(filled):
        return Choice()
    options = money_options(_wider(forms[0], forms[-1]))
    high = options["max"]
    return Choice(
        (debit.name, credit.name),
        f"{debit.filled:,} rows fill the debit column, {credit.filled:,} the credit column",
        "debits count as negative amounts",
        {**options, "min": -high},
    )


def _wider(one: NumberForm, two: NumberForm) -> NumberForm:
    mark = one.decimal_mark if one.places else two.decimal_mark
    return NumberForm(
        mark,
        one.thousands or two.thousands,
        max(one.places, two.places),
        min(one.low, two.low),
        max(one.high, two.high),
        exponents=False,
        padded=False,
    )


def money_options(form: NumberForm) -> dict[str, Json]:
    """Decimals and bounds that leave room, as far as amounts can be kept exactly."""
    largest = max(form.high, -form.low, 1)
    decimals = form.places if form.places in (3, 4) else 2
    while decimals > 2 and largest * 10**decimals > MONEY_LIMIT:
        decimals -= 1
    room = max(1_000_000, 10 ** len(str(int(largest * 10))))
    high = min(room, MONEY_LIMIT // 10**decimals)
    narrow = _NARROW // 10**decimals
    if largest * 3 <= narrow < high:
        high = narrow
    return {"decimals": decimals, "min": -high if form.low < 0 else 0, "max": high}


def marks(form: NumberForm) -> dict[str, str]:
    """What the reader must know of a column's numbers that are not written as programs do."""
    found = {}
    if form.decimal_mark != ".":
        found["decimal_mark"] = form.decimal_mark
    if form.thousands:
        found["thousands"] = form.thousands
    return found


def described(form: NumberForm) -> str:
    """The bounds of a column of numbers, and its decimals."""
    decimals = f"{form.places} decimals" if form.places else "whole numbers"
    mark = f" behind {form.decimal_mark!r}" if form.decimal_mark != "." and form.places else ""
    return f"{form.low:,.2f} to {form.high:,.2f}, {decimals}{mark}"
