"""Excel workbooks: one sheet, its cells as texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from model.files import marks
from model.files.columns import Columns, is_header, named
from model.files.places import Part
from model.files.rows import Refusal
from model.files.table_file import Table, texts
from tidegate.errors import ConfigError
from tidegate.profile.file_spec import FileSpec

if TYPE_CHECKING:
    from python_calamine import CalamineSheet

_EXACT = 10**15
"""Excel keeps 15 digits of a number."""
_LOOKED_AT = 50


class Workbook:
    """A sheet of a workbook: the profile's `sheet`, else the first one. It is held in memory."""

    def __init__(self, part: Part, spec: FileSpec) -> None:
        self._part = part
        self._sheet, self.told = _sheet(part, spec)
        self._skip, self.columns = self._header(spec)
        self.told += self.columns.told()
        head = islice(self._records(), 1000)
        self.marks = marks.look([_text(cell) or "" for cell in row] for row in head)
        self.footer = spec.footer
        self.about: int | None = self._sheet.height - self._skip

    def tables(self, first: int, size: int) -> Iterator[Table]:
        """All rows that are not blank."""
        records = self._records()
        while some := list(islice(records, size)):
            yield self._table(some, first)
            first += len(some)

    def _header(self, spec: FileSpec) -> tuple[int, Columns]:
        """How many rows stand before the first one, and the columns. Raises ConfigError."""
        if spec.columns:
            return spec.skip or 0, named(spec.columns)
        above = spec.skip or 0
        for i, cells in enumerate(islice(self._sheet.iter_rows(), above, above + _LOOKED_AT)):
            row = [_text(cell) or "" for cell in cells]
            if is_header(row) or spec.skip is not None:
                if i:
                    self.told.append(f"header: row {i + 1}, what stands above it is left out")
                return above + i + 1, named(row)
        raise ConfigError(
            f"{self._part.name}: found no row with the columns' names in the sheet "
            f"{self._sheet.name!r}: name the columns by `columns` under `file:` of the profile"
        )

    def _records(self) -> Iterator[Sequence[object]]:
        rows = islice(self._sheet.iter_rows(), self._skip, None)
        return (row for row in rows if any(cell != "" for cell in row))

    def _table(self, rows: list[Sequence[object]], first: int) -> Table:
        faults = {i: column for i, row in enumerate(rows) if (column := self._inexact(row))}
        good = [i for i in range(len(rows)) if i not in faults]
        refused = [
            Refusal(
                first + i,
                column,
                "inexact_number",
                "has more than 15 digits, of which Excel keeps 15: format the column as text",
            )
            for i, column in faults.items()
        ]
        cells = [[_text(cell) for cell in row] for row in rows]
        names = self.columns.names
        return Table(
            self._part.name,
            np.array(good, np.int64) + first,
            texts(names, [cells[i] for i in good]),
            refused,
            texts(names, [cells[i] for i in faults]),
        )

    def _inexact(self, row: Sequence[object]) -> str:
        """The column with a number whose last digits are lost; "" if there is none."""
        for name, cell in zip(self.columns.names, row, strict=True):
            if isinstance(cell, float) and abs(cell) >= _EXACT:
                return name
        return ""


def _sheet(part: Part, spec: FileSpec) -> tuple[CalamineSheet, list[str]]:
    """The sheet, and which one where nobody named it. Raises ConfigError."""
    import python_calamine

    kind = python_calamine.SheetTypeEnum.WorkSheet
    with part.stored() as file:
        try:
            book = python_calamine.CalamineWorkbook.from_filelike(file)
            names = [one.name for one in book.sheets_metadata if one.typ == kind]
            if not names:
                raise ConfigError(f"{part.name} has no sheet with rows")
            sheet = book.get_sheet_by_name(spec.sheet or names[0])
        except python_calamine.WorksheetNotFound as error:
            raise ConfigError(
                f"{part.name} has no sheet {spec.sheet!r}; its sheets are {', '.join(names)}"
            ) from error
        except python_calamine.PasswordError as error:
            raise ConfigError(f"{part.name} has a password: save it without one") from error
        except python_calamine.CalamineError as error:
            raise ConfigError(f"{part.name} cannot be read as a workbook: {error}") from error
    told = len(names) > 1 and not spec.sheet
    return sheet, [f"sheet: {names[0]!r}, the first of {len(names)}"] if told else []


def _text(cell: object) -> str | None:
    """A cell as CSV would have it; None if it is empty."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < _EXACT:
        return str(int(cell))
    if isinstance(cell, datetime | date | time):
        return cell.isoformat()
    return str(cell) or None
