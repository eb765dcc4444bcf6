"""The rows of a CSV, block by block: a bad one is refused alone, with its number."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from model.files.csv_cut import NOT_CLOSED, Signs, cut
from model.files.csv_look import Layout, look
from model.files.encodings import BLOCK, as_utf8, fault, is_utf8
from model.files.places import Part
from model.files.rows import Refusal
from model.files.table_file import Table, texts
from tidegate.errors import ConfigError
from tidegate.profile.file_spec import FileSpec

_MOST_REST = 16 << 20
"""Bytes of a single line."""
_NUL_DETAIL = "holds a NUL byte: the file is damaged, or no text"


class CsvFile:
    """A CSV file, laid out as its profile says or as it looks."""

    def __init__(self, part: Part, spec: FileSpec) -> None:
        self._part, self._layout = part, look(part, spec)
        self.columns, self.marks = self._layout.columns, self._layout.marks
        self.told = self._layout.told
        self.footer = self._layout.footer
        self.about = part.times(*self._layout.seen)

    def tables(self, first: int, size: int) -> Iterator[Table]:
        """All rows, those of a block at a time: of a larger one where many are wanted at once."""
        return self.blocks(first, BLOCK * max(1, min(4, size // 5000)))

    def blocks(self, first: int, block: int) -> Iterator[Table]:
        """All rows, those that end in each `block` bytes at a time."""
        parser = _Parser(self._layout, self._part.name)
        for data, records in _cut(self._part, self._layout, block):
            yield parser.table(data, records, np.arange(first, first + len(records)))
            first += len(records)


def _cut(part: Part, layout: Layout, block: int) -> Iterator[tuple[bytes, NDArray[np.int64]]]:
    """Bytes that hold whole records, and the records in them, as `cut` says."""
    signs = Signs(layout.separator.encode(), layout.quote.encode(), len(layout.columns.names))
    with part.opened() as file:
        rest = b""
        pieces = _after(as_utf8(file, layout.encoding, block), layout.offset)
        for some in chain(pieces, [None]):
            data = rest + (some or b"")
            records, end = cut(data, signs, final=some is None)
            rest = data[end:]
            if len(rest) > _MOST_REST:
                raise ConfigError(
                    f"{part.name}: a line is over {_MOST_REST >> 20} MB long: is this a CSV?"
                )
            if len(records):
                yield data, records


def _after(pieces: Iterator[bytes], offset: int) -> Iterator[bytes]:
    """The pieces without the first `offset` bytes."""
    for piece in pieces:
        if offset < len(piece):
            yield piece[offset:]
        offset = max(0, offset - len(piece))


class _Parser:
    """Makes columns of records."""

    def __init__(self, layout: Layout, name: str) -> None:
        self._layout, self._file = layout, name
        self._names = layout.columns.names
        self._width = len(self._names)
        self._options = pa_csv.ParseOptions(
            delimiter=layout.separator,
            quote_char=layout.quote or False,
            double_quote=bool(layout.quote),
            newlines_in_values=bool(layout.quote),
        )
        self._texts = pa_csv.ConvertOptions(
            column_types=dict.fromkeys(self._names, pa.string()),
            strings_can_be_null=True,
            null_values=[""],
            check_utf8=False,
        )

    def table(self, data: bytes, records: NDArray[np.int64], numbers: NDArray[np.int64]) -> Table:
        """The columns of those records that are rows."""
        faults = sorted(self._faults(data, records).items())
        good = np.ones(len(records), bool)
        good[[i for i, _ in faults]] = False
        refused = [Refusal(int(numbers[i]), "", *fault) for i, fault in faults]
        spoilt = [self._cells(data[slice(*records[i, :2])]) for i, _ in faults]
        batch = self._columns(_kept(data, records, good))
        if len(batch) != good.sum():
            raise ConfigError(
                f"{self._file}: cannot tell rows {numbers[0]} to {numbers[-1]} apart: name "
                "`separator` and `quote` under `file:` of the profile"
            )
        return Table(self._file, numbers[good], batch, refused, texts(self._names, spoilt))

    def _faults(self, data: bytes, records: NDArray[np.int64]) -> dict[int, tuple[str, str]]:
        """Reason and detail of each record that is no row, by its place."""
        faults = {
            int(i): self._width_fault(int(records[i, 2]))
            for i in np.flatnonzero(records[:, 2] != self._width)
        }
        view = np.frombuffer(data, np.uint8)[: records[-1, 1]]
        if not data.isascii():
            for i in _holding(view >= 128, records):
                if not is_utf8(data[slice(*records[i, :2])]):
                    faults[i] = "bad_byte", fault(self._layout.encoding)
        if b"\0" in data:
            faults |= dict.fromkeys(_holding(view == 0, records), ("bad_byte", _NUL_DETAIL))
        return faults

    def _width_fault(self, cells: int) -> tuple[str, str]:
        if cells == NOT_CLOSED:
            return "bad_row", f"opens a quote ({self._layout.quote}) that nothing closes"
        return "bad_row", f"has {cells} cells, and the header {self._width}"

    def _cells(self, record: bytes) -> list[str | None]:
        """The cells as far as they can be read: as many as there are columns."""
        layout = self._layout
        text = record.decode(errors="replace").splitlines(keepends=True)
        try:
            cells = next(
                csv.reader(
                    text,
                    delimiter=layout.separator,
                    quotechar=layout.quote or None,
                    quoting=csv.QUOTE_MINIMAL if layout.quote else csv.QUOTE_NONE,
                )
            )
        except csv.Error:  # a cell of over 128 KB
            cells = [record.decode(errors="replace")]
        last = self._width - 1
        cells = [*cells[:last], layout.separator.join(cells[last:])]
        return [cell or None for cell in cells] + [None] * (self._width - len(cells))

    def _columns(self, rows: bytes) -> pa.RecordBatch:
        if not rows:
            return texts(self._names, [])
        table = pa_csv.read_csv(
            pa.BufferReader(rows),
            pa_csv.ReadOptions(
                use_threads=False, block_size=len(rows) + 1, column_names=self._names
            ),
            self._options,
            self._texts,
        )
        return table.combine_chunks().to_batches()[0]


def _holding(signs: NDArray[np.bool_], records: NDArray[np.int64]) -> list[int]:
    """The places of the records that hold one of these bytes."""
    where = np.flatnonzero(signs)
    places = np.unique(np.searchsorted(records[:, 0], where, side="right") - 1)
    return [int(i) for i in places if i >= 0]


def _kept(data: bytes, records: NDArray[np.int64], good: NDArray[np.bool_]) -> bytes:
    """The bytes of the good records, line breaks included."""
    starts = records[:, 0]
    ends = np.append(starts[1:], records[-1, 1])
    if good.all():
        return data[starts[0] : ends[-1]]
    edges = np.flatnonzero(np.diff(np.concatenate(([False], good, [False]))))
    return b"".join(
        data[starts[begin] : ends[stop - 1]]
        for begin, stop in zip(edges[::2], edges[1::2], strict=True)
    )
