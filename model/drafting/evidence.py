"""What a column's cells say of it, whatever its name."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from model.drafting.number_form import NumberForm, number_form
from model.drafting.sample import Sample
from model.drafting.time_form import TimeForm, is_clock, packed_form, time_form
from model.drafting.words import NO_TIME, TIME, folded, score

_LOOKED_AT = 4000
"""Different values of a column that are taken apart."""
_DIGITS = re.compile(r".*\d.*", re.DOTALL)
_BOOLS = ({"true", "false"}, {"yes", "no"}, {"y", "n"}, {"t", "f"}, {"ja", "nein"}, {"si", "no"})
Counts = list[tuple[str, int]]
FEW_ROWS = 1000
"""A sample too small to say that a column is never blank, or how long a file goes."""
_REGULAR = 0.9


@dataclass(frozen=True)
class Column:
    """One column of a sample.

    `values` are different values, each with how often it stands there, most frequent first;
    `distinct` counts all of them, `rows` all rows, `blanks` the rows without a value. `odd` is a
    value without digits where nearly all others are numbers or times.
    """

    name: str
    rows: int
    blanks: int
    distinct: int
    values: Counts
    longest: int
    typed: str = ""
    numbers: NumberForm | None = None
    times: TimeForm | None = None
    clock: bool = False
    odd: str = ""
    cells: pa.Array = field(default=None, repr=False, compare=False)

    @property
    def key(self) -> str:
        """The name as words of small letters, without accents and signs."""
        return folded(self.name)

    @property
    def filled(self) -> int:
        """Rows with a value."""
        return self.rows - self.blanks

    @property
    def unique(self) -> bool:
        """Whether every row has a value that no other has."""
        return self.distinct == self.rows > 0

    @property
    def words(self) -> list[str]:
        """The values seen, most frequent first."""
        return [value for value, _ in self.values]

    @property
    def yes_no(self) -> bool:
        """Whether its values are words for yes and no."""
        return self.typed == "bool" or {word.lower() for word in self.words} in _BOOLS

    @property
    def code(self) -> bool:
        """Whether its values may name something: no decimals, no times, no sentences."""
        if self.times or self.clock or self.typed in ("time", "bool") or not self.filled:
            return False
        if self.numbers is not None:
            return (self.numbers.whole and self.numbers.low >= 0) or self._long_whole
        return self.longest <= 128

    @property
    def _long_whole(self) -> bool:
        """Hashes as whole numbers of either sign."""
        return bool(self.numbers and self.numbers.whole and self.numbers.high > 1e12)

    @property
    def sentences(self) -> bool:
        """Whether it holds free text: mostly different values of several words."""
        several = sum(" " in word.strip() for word in self.words[:200])
        return (
            self.numbers is None
            and self.times is None
            and self.distinct > max(20, self.rows // 20)
            and several > len(self.words[:200]) // 2
        )


def look(sample: Sample) -> dict[str, Column]:
    """The evidence of every column, by its name in the file."""
    return {
        name: column_of(name, cells, sample.typed.get(name, ""))
        for name, cells in sample.columns.items()
    }


def column_of(name: str, cells: pa.Array, typed: str = "") -> Column:
    """The evidence of one column of texts."""
    filled = cells.drop_null()
    counts = pc.value_counts(filled)
    order = pc.sort_indices(counts.field("counts"), sort_keys=[("", "descending")])
    ordered = counts.take(order)
    words = ordered.field("values").to_pylist()
    looked_at = _spread(words)
    numbers, dates, odd = _forms(looked_at)
    if numbers and numbers.whole:
        dates = packed_form(looked_at, named=score(folded(name), TIME, NO_TIME) > 0)
    return Column(
        name,
        len(cells),
        len(cells) - len(filled),
        len(words),
        list(zip(words, ordered.field("counts").to_pylist(), strict=True)),
        max(map(len, looked_at), default=0),
        typed,
        numbers if dates is None else None,
        dates,
        is_clock(looked_at),
        odd,
        cells,
    )


def _forms(words: list[str]) -> tuple[NumberForm | None, TimeForm | None, str]:
    """The form of the values as numbers or as times, and one value that is neither among many
    that are.
    """
    regular = [word for word in words if _DIGITS.fullmatch(word)]
    if len(regular) < _REGULAR * len(words) or not regular:
        regular = words
    odd = next((word for word in words if word not in set(regular)), "") if regular != words else ""
    dated = [word for word in words if _DIGITS.fullmatch(word)]
    if len(dated) >= max(2, len(words) - 1) and (dates := time_form(dated)):
        return None, dates, next((word for word in words if word not in set(dated)), "")
    if dates := time_form(regular):
        return None, dates, odd
    numbers = number_form(regular)
    return numbers, None, odd if numbers else ""


def _spread(words: list[str]) -> list[str]:
    """Some of the values, from all over the column, and always its least and greatest text."""
    if len(words) <= _LOOKED_AT:
        return words
    return [*words[:: -(-len(words) // _LOOKED_AT)], min(words), max(words)]
