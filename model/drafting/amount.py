"""Which column holds the amount, and how it is written."""

from __future__ import annotations

import re
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc

from model.drafting.choice import Answers, Choice, Columns, ranked, rivals
from model.drafting.evidence import Column
from model.drafting.number_form import NumberForm
from model.drafting.words import CENTS, CREDIT, DEBIT, MONEY, NO_MONEY, says, score
from tidegate.profile.number_types import MONEY_LIMIT, NARROW_LIMIT
from tidegate.profile.spec import Json


def choose_money(columns: Columns, answers: Answers, *, json: bool = False) -> Choice:
    """The amount. `json`: whole numbers in JSON may be minor units."""
    if "money" in answers:
        named = columns.get(answers["money"])
        return _single(named, ()) if named else Choice()
    pair = _debit_credit(columns)
    found = ranked((column for column in columns.values() if column not in pair), _points)
    if not found:
        return _apart(*pair) if pair else Choice()
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
    if form.whole and says(column.key, CENTS):
        options = {**options, "minor": True}
    elif minor and form.whole and form.high >= 100:
        options = {**options, "minor": True}
        unsure = "whole numbers in JSON: taken as minor units (cents)"
    if len(form.units) > 1:
        unsure = f"{' and '.join(sorted(form.units))} stand beside the numbers, which count alike"
    return Choice((column.name,), described(form), unsure, options, others)


def _debit_credit(columns: Columns) -> tuple[Column, ...]:
    """Two columns of amounts whose names differ in a word for debit and one for credit, and of
    which no row fills both; the first rows may fill the same.
    """
    credited = {_without(CREDIT, column): column for column in columns.values()}
    for debit in columns.values():
        credit = credited.get(_without(DEBIT, debit))
        if credit is not None and credit is not debit and _are_apart(debit, credit):
            return debit, credit
    return ()


def _without(words: str, column: Column) -> str:
    """The name with a mark for the word, or the name itself, made unlike any with a mark."""
    marked, found = re.subn(words, "=", column.key)
    return marked if found else f"no {column.key}"


def _are_apart(debit: Column, credit: Column) -> bool:
    filled = [column for column in (debit, credit) if column.filled]
    if not filled or any(column.numbers is None for column in filled):
        return False
    both = pc.and_(_counts(debit), _counts(credit))
    return not pc.any(both).as_py()


def _counts(column: Column) -> pa.Array:
    """Whether each row holds an amount other than zero."""
    cells = column.cells.fill_null("")
    return pc.match_substring_regex(cells, "[1-9]")


def _apart(debit: Column, credit: Column) -> Choice:
    filled = [column.numbers for column in (debit, credit) if column.filled]
    forms = [form for form in filled if form is not None]
    options = money_options(_wider(forms[0], forms[-1]))
    return Choice(
        (debit.name, credit.name),
        f"{debit.filled:,} rows fill the debit column, {credit.filled:,} the credit column",
        "debits count as negative amounts",
        {**options, "min": -cast("float", options["max"])},
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
    narrow = NARROW_LIMIT // 10**decimals
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
