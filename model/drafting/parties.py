"""Which columns name the transaction, the account and whom it deals with."""

from __future__ import annotations

import re

from model.drafting.choice import Answers, Choice, Columns, ranked, rivals, share
from model.drafting.evidence import Column
from model.drafting.words import (
    ACCOUNT,
    FREE_TEXT,
    ID,
    NO_ACCOUNT,
    NO_SECOND,
    PERSONAL,
    SECOND,
    Points,
    folded,
    says,
    score,
)

_FEW = 20
"""Cards of one customer."""


def choose_id(columns: Columns, answers: Answers) -> Choice:
    """The transaction's id: a column of its kind of name in which no value comes twice."""
    if "id" in answers:
        named = columns.get(answers["id"])
        return Choice((named.name,), "as you said") if named else Choice()

    def points(column: Column) -> float:
        party = score(column.key, ACCOUNT) or score(column.key, SECOND)
        known = score(column.key, ID) if not party or score(column.key, ID) >= 7 else 0
        return known if column.unique and column.code and not column.sentences else 0

    found = ranked(columns.values(), points)
    if not found:
        return Choice((), "no column names each row: ids are made")
    return Choice((found[0].name,), f"{found[0].distinct:,} rows, no value twice")


def choose_account(columns: Columns, answers: Answers, taken: set[str]) -> Choice:
    """Whose transactions stay in order: windows are kept of it first."""
    if "account" in answers:
        return _named(columns, answers["account"])
    free = [column for column in columns.values() if column.name not in taken]
    found = ranked(free, _account_points)
    if not found:
        return _instead(free)
    best = found[0]
    parts = _composite(columns, best)
    others = tuple(name for name in rivals(found, _account_points) if name not in parts)
    return Choice(parts, _repeats(best), _doubt(best), others=others)


def choose_second(columns: Columns, answers: Answers, taken: set[str]) -> Choice:
    """Whom the account deals with: merchant, terminal, payee."""
    if "second" in answers:
        return _named(columns, answers["second"])
    free = [column for column in columns.values() if column.name not in taken]
    found = ranked(free, _second_points)
    if not found:
        return Choice()
    best = found[0]
    unsure = f"{best.blanks:,} rows have none" if best.blanks else ""
    return Choice(
        _with_bank(columns, best), _repeats(best), unsure, others=rivals(found, _second_points)
    )


def _account_points(column: Column) -> float:
    return 0 if column.blanks else _points(column, ACCOUNT, NO_ACCOUNT)


def _second_points(column: Column) -> float:
    return _points(column, SECOND, NO_SECOND)


def _points(column: Column, patterns: Points, against: str) -> float:
    if not column.code or (column.distinct < 2 and column.rows > 100):
        return 0
    points = score(column.key, patterns, against)
    if column.rows > 1000 and column.distinct < 5:
        return points / 4
    return points


def _instead(free: list[Column]) -> Choice:
    """Without an account: whom it deals with, if every row says that; an export of one account."""
    found = [column for column in ranked(free, _second_points) if _comes_again(column)]
    if found and not found[0].blanks:
        unsure = "the file names no account: windows are kept of whom it deals with"
        return Choice((found[0].name,), _repeats(found[0]), unsure)
    odd = [
        column
        for column in free
        if column.rows >= 500
        and column.code
        and not column.blanks
        and not column.sentences
        and not says(column.key, f"{PERSONAL}|{FREE_TEXT}")
        and re.search(r"[A-Za-z]", column.words[0])
        and column.rows // 1000 + 50 < column.distinct < column.rows * 0.7
    ]
    if odd:
        unsure = "is this the account? its values come again like an account's"
        return Choice((odd[0].name,), _repeats(odd[0]), unsure)
    return Choice((), "no column names an account")


def _comes_again(column: Column) -> bool:
    """Whether its values are seldom alone, in as many rows as can say so."""
    return column.rows < 100 or column.distinct < column.filled / 2


def _named(columns: Columns, answer: str) -> Choice:
    """What a person said: one column, or several with + between them."""
    names = tuple(part for part in answer.split("+") if part in columns)
    return Choice(names, "as you said") if names else Choice()


def _composite(columns: Columns, best: Column) -> tuple[str, ...]:
    """The columns that name the account together: customer and card, or bank and account."""
    cards = [
        column.name
        for column in columns.values()
        if column.name != best.name and column.key == "card" and column.distinct <= _FEW
    ]
    if cards and not says(best.key, r"card"):
        return (best.name, cards[0])
    return _with_bank(columns, best)


def _with_bank(columns: Columns, best: Column) -> tuple[str, ...]:
    names = list(columns)
    place = names.index(best.name)
    if place and says(folded(names[place - 1]), r"\bbank\b") and says(best.key, r"account"):
        return (names[place - 1], best.name)
    return (best.name,)


def _repeats(column: Column) -> str:
    return (
        f"{column.distinct:,} different in {column.filled:,} rows, the most frequent in "
        f"{share(column.values[0][1] if column.values else 0, column.filled)}"
    )


def _doubt(column: Column) -> str:
    if column.rows >= 1000 and column.distinct > 0.9 * column.rows:
        return "almost every row names another one: its windows say little"
    return ""
