"""Totals that stand below the rows of a CSV."""

from __future__ import annotations

from collections.abc import Sequence

from model.files.columns import is_date

_WORDS = frozenset(
    {"summe", "gesamt", "gesamtsumme", "zwischensumme", "saldo", "endsaldo"}
    | {"sum", "total", "totals", "subtotal", "suma", "somme", "totale", "totaal"}
)

Rows = Sequence[Sequence[str]]


def footer(head: Rows, tail: Rows, width: int) -> int:
    """How many of the last records of a file, `tail`, are totals; `head` are its first rows.

    A total begins with a word for it, and has no date in a column where all rows have one.
    """
    rows = [cells for cells in head if len(cells) == width and not _begins_as_total(cells)]
    dated = [i for i in range(width) if len(rows) > 1 and all(is_date(row[i]) for row in rows)]
    count = 0
    for cells in reversed(tail):
        without = len(cells) == width and not any(is_date(cells[i]) for i in dated)
        if not (dated and without and _begins_as_total(cells)):
            break
        count += 1
    return count


def _begins_as_total(cells: Sequence[str]) -> bool:
    words = next((cell.split() for cell in cells if cell.strip()), [""])
    return words[0].rstrip(":").casefold() in _WORDS
