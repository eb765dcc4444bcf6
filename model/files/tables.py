"""From the files of a place to tables: the rows with their numbers, and what can be no row."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from model.files import marks
from model.files.contents import Kind
from model.files.csv_rows import CsvFile
from model.files.json_rows import JsonFile
from model.files.marks import Marks
from model.files.parquet_rows import ParquetFile
from model.files.places import Part, Place, readable
from model.files.rows import REFUSAL_COLUMNS
from model.files.table_file import Table, TableFile
from model.files.xlsx_rows import Workbook
from tidegate.errors import ConfigError
from tidegate.profile.file_spec import FileSpec

_LISTED = REFUSAL_COLUMNS[0].encode()
_KINDS: dict[Kind, Callable[[Part, FileSpec], TableFile]] = {
    "csv": CsvFile,
    "parquet": ParquetFile,
    "jsonl": JsonFile,
    "xlsx": Workbook,
}


class Tables:
    """The files of a place, after a look at the beginning of each.

    Raises ConfigError if one cannot be read, or has other columns than the first.
    """

    def __init__(self, place: Place, spec: FileSpec) -> None:
        spec = _as_listed(place.parts[0], spec)
        self._place = place
        self._files = [_file(part, spec) for part in place.parts]
        first = self._files[0]
        self.names = first.columns.names
        """The columns, each name once; of JSON lines `line` alone."""
        self.doubled = first.columns.doubled
        """Names that the file gives to several columns, and what those are called here."""
        self.seen = marks.agreed(file.marks for file in self._files)
        """The marks that numbers of the first rows show."""
        self.marks = Marks(spec.decimal_mark or self.seen.decimal, spec.thousands)
        """How to read numbers: a mark between thousands is never taken by its looks alone."""
        sentences = [*place.told, *(told for file in self._files for told in file.told)]
        self.told = list(dict.fromkeys(sentences))
        """What was found by looking."""
        counts = [file.about for file in self._files if file.about is not None]
        self.about = sum(counts) if len(counts) == len(self._files) else None
        """How many rows there are, about; None where that cannot be told before reading."""
        for part, file in zip(place.parts, self._files, strict=True):
            self._check(part, file)

    @property
    def is_json(self) -> bool:
        """Whether the rows are JSON lines."""
        return self._place.parts[0].kind == "jsonl"

    @property
    def is_typed(self) -> bool:
        """Whether columns have types of their own, and an empty text is another thing than none."""
        return self._place.parts[0].kind == "parquet"

    def read(self, size: int) -> Iterator[Table]:
        """All rows from the start, at most `size` in a table. Raises ConfigError."""
        first = 1
        for part, file in zip(self._place.parts, self._files, strict=True):
            start = first
            with readable(part.name):
                for table in _without_last(file.tables(first, size), file.footer):
                    yield from _pieces(self._placed(table, start), self.names, size)
                    first = table.last + 1

    def _placed(self, table: Table, start: int) -> Table:
        """The table; where there are several files, its refusals say which row of which one."""
        if len(self._files) == 1 or not table.refused:
            return table
        refused = [
            one._replace(detail=f"row {one.number - start + 1} of {table.part} {one.detail}")
            for one in table.refused
        ]
        return table._replace(refused=refused)

    def _check(self, part: Part, file: TableFile) -> None:
        if part.kind != self._place.parts[0].kind:
            raise ConfigError(
                f"{part.name} is of another kind than {self._place.parts[0].name}: name the files "
                "of one kind by a pattern such as 'folder/*.csv'"
            )
        others = sorted(set(file.columns.names) ^ set(self.names))
        if others:
            raise ConfigError(
                f"{part.name} has other columns than {self._place.parts[0].name}: "
                f"{', '.join(others)} stands in one of them only. Read them one by one"
            )


def _as_listed(part: Part, spec: FileSpec) -> FileSpec:
    """What is known of a list of refused rows, which is laid out as none of the user's files."""
    with readable(part.name), part.opened() as file:
        start = file.read(64)
    if part.kind != "csv" or not start.lstrip(b'\xef\xbb\xbf"').startswith(_LISTED):
        return spec
    return FileSpec(decimal_mark=spec.decimal_mark, thousands=spec.thousands, zone=spec.zone)


def _file(part: Part, spec: FileSpec) -> TableFile:
    with readable(part.name):
        return _KINDS[part.kind](part, spec)


def _pieces(table: Table, names: list[str], size: int) -> Iterator[Table]:
    """The table in pieces of at most `size` good rows, each with the bad ones up to its last."""
    batch = table.batch.select(names)
    ends = [*range(size, len(batch), size), len(batch)]
    begin = bad = 0
    for end in ends:
        stop = len(table.refused) if end == len(batch) else bad
        while stop < len(table.refused) and table.refused[stop].number < table.numbers[end - 1]:
            stop += 1
        yield Table(
            table.part,
            table.numbers[begin:end],
            batch.slice(begin, end - begin),
            table.refused[bad:stop],
            table.spoilt.slice(bad, stop - bad),
        )
        begin, bad = end, stop


def _without_last(tables: Iterable[Table], footer: int) -> Iterator[Table]:
    """The tables without the last `footer` rows, good or bad."""
    held: deque[Table] = deque()
    for table in tables:
        held.append(table)
        while held and sum(map(_rows, held)) - _rows(held[0]) >= footer:
            yield held.popleft()
    last = held[-1].last - footer if held else 0
    for table in held:
        good = table.numbers <= last
        bad = [i for i, one in enumerate(table.refused) if one.number <= last]
        cut = Table(
            table.part,
            table.numbers[good],
            table.batch.slice(0, int(np.count_nonzero(good))),
            [table.refused[i] for i in bad],
            table.spoilt.slice(0, len(bad)),
        )
        if _rows(cut):
            yield cut


def _rows(table: Table) -> int:
    return len(table.numbers) + len(table.refused)
