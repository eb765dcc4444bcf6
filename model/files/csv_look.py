"""What a CSV looks like: encoding, separator, quotes, and where its header stands."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from model.files import encodings, marks
from model.files.columns import Columns, is_header, is_value, named
from model.files.footers import footer
from model.files.marks import Marks
from model.files.places import Part
from tidegate.errors import ConfigError
from tidegate.profile.file_spec import FileSpec
from tidegate.words import count

SEPARATORS = ",;\t|"
_HEAD_BYTES = 1 << 18
_TAIL_BYTES = 1 << 13
_MOST_RECORDS = 1000
_LOOKED_AT = 50
"""Records among which the header is."""
_WORDS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


class Layout(NamedTuple):
    """How to read a CSV; `offset` is where the first row begins, in bytes of UTF-8."""

    encoding: str
    separator: str
    quote: str
    offset: int
    columns: Columns
    marks: Marks
    seen: tuple[int, int]
    """How many records were looked at, and their bytes."""
    footer: int
    """Records at the end that are totals."""
    told: list[str]


class _Record(NamedTuple):
    """A record of the head, and how many lines of the file it and those before it take."""

    cells: list[str]
    lines: int


class _Dialect(NamedTuple):
    separator: str
    quote: str
    widths: list[int]
    """How many cells the most records have; several where as many have so many."""
    records: list[_Record]
    share: float
    """Of the records that have one of the widths."""

    def values_seen(self) -> float:
        """The share of cells that are a number or a date as a whole: few by a wrong separator."""
        cells = [cell.strip() for record in self.records for cell in record.cells]
        return sum(map(is_value, cells)) / max(1, len(cells))


def look(part: Part, spec: FileSpec) -> Layout:
    """What `spec` says, and what the beginning of the file shows.

    Raises ConfigError if no header is found.
    """
    with part.opened() as file:
        raw = file.read(_HEAD_BYTES)
        whole = not file.read(1)
    encoding, why = (spec.encoding, "") if spec.encoding else encodings.find(raw)
    head = _text(raw, encoding, whole=whole)
    above = "".join(islice(io.StringIO(head, newline=""), spec.skip or 0))
    text = head[len(above) :]
    dialect = _dialect(text, part, spec)
    header = _header(part, spec, dialect)
    if not encodings.is_utf8(_utf8("".join(header.cells))):
        raise ConfigError(
            f"{part.name}: the line with the columns' names holds bytes that are not {encoding}: "
            "name the `encoding` under `file:` of the profile, or by --encoding, such as "
            "windows-1250, iso-8859-2, windows-1251 or cp850"
        )
    columns = named(header.cells)
    found = marks.look(one.cells for one in dialect.records if one.lines > header.lines)
    totals = spec.footer or _footer(part, encoding, dialect, header)
    told = [
        why,
        _told_header(spec, header),
        *_told(part, spec, dialect, columns),
        *_told_marks(spec, found),
    ]
    if totals and not spec.footer:
        told.append(f"footer: {count(totals, 'line')} with totals at the end, left out")
    return Layout(
        encoding,
        dialect.separator,
        dialect.quote,
        len(_utf8(above))
        + len(_utf8("".join(islice(io.StringIO(text, newline=""), header.lines)))),
        columns,
        found,
        _seen(dialect, text, len(raw) / max(1, len(head))),
        totals,
        [*filter(None, told), *columns.told()],
    )


def _text(raw: bytes, encoding: str, *, whole: bool) -> str:
    """The head's whole lines."""
    text = b"".join(encodings.as_utf8(io.BytesIO(raw), encoding)).decode(errors="surrogateescape")
    if whole:
        return text
    end = max(text.rfind("\n"), text.rfind("\r", 0, -1))
    return text[: end + 1] or text


def _dialect(text: str, part: Part, spec: FileSpec) -> _Dialect:
    """The separator by which most records have as many cells; of several, the one that
    leaves the most numbers and dates, and then the most cells.
    """
    separator = spec.sign or part.separator
    tried = [
        _read(text, sign, _quote(text, sign) if spec.quote is None else spec.quote)
        for sign in (separator or _declared(text) or SEPARATORS)
    ]
    most = max((one.widths[0] > 1, one.share) for one in tried)
    equals = [one for one in tried if (one.widths[0] > 1, one.share) == most]
    if len(equals) == 1:
        return equals[0]
    return max(equals, key=lambda one: (one.values_seen(), one.widths[0]))


def _declared(text: str) -> str:
    """The separator in a first line `sep=;`, as Excel writes it."""
    found = re.match(r"sep=(.)[\r\n]", text)
    return found[1] if found else ""


def _read(text: str, separator: str, quote: str) -> _Dialect:
    records = list(islice(_records(text, separator, quote), _MOST_RECORDS))
    widths = Counter(len(record.cells) for record in records)
    several = {width: often for width, often in widths.items() if width > 1} or {1: widths[1]}
    most = max(several.values())
    commonest = sorted((width for width in several if several[width] == most), reverse=True)
    return _Dialect(separator, quote, commonest, records, most / max(1, len(records)))


def _records(text: str, separator: str, quote: str) -> Iterator[_Record]:
    """The records of a text that are not blank."""
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=separator,
        quotechar=quote or None,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
    )
    try:
        for cells in reader:
            if cells:
                yield _Record(cells, reader.line_num)
    except csv.Error:
        return  # a cell of over 128 KB: what came before it has to do


def _quote(text: str, separator: str) -> str:
    """The apostrophe where it encloses cells and no quotation mark does."""
    cells = [cell for record in islice(_records(text, separator, ""), 200) for cell in record.cells]
    enclosed = sum(len(cell) > 1 and cell[0] == cell[-1] == "'" for cell in cells)
    begun = sum(cell.startswith("'") for cell in cells)
    double = sum(cell.startswith('"') for cell in cells)
    return "'" if enclosed > 1 and enclosed == begun and not double else '"'


def _header(part: Part, spec: FileSpec, dialect: _Dialect) -> _Record:
    """The record with the columns' names. Raises ConfigError."""
    if spec.columns:
        return _Record(spec.columns, 0)
    if spec.skip is not None and dialect.records:
        return dialect.records[0]
    headers = [
        fitted
        for record in dialect.records[:_LOOKED_AT]
        if (fitted := _fitted(record, dialect)) and is_header(fitted.cells)
    ]
    if not headers:
        raise ConfigError(
            f"{part.name}: found no line with the columns' names before the rows. Name the columns "
            "by `columns` under `file:` of the profile, or say by `skip` how many lines stand "
            "before the header"
        )
    return max(headers, key=lambda record: (len(record.cells), -record.lines))


def _fitted(record: _Record, dialect: _Dialect) -> _Record | None:
    """The record, if it is as wide as the rows: one of the two may end in a separator too many."""
    width = len(record.cells)
    if width in dialect.widths:
        return record
    if width - 1 in dialect.widths and not record.cells[-1].strip():
        return record._replace(cells=record.cells[:-1])
    wider = [row.cells for row in dialect.records if len(row.cells) == width + 1]
    if width + 1 in dialect.widths and not any(cells[-1].strip() for cells in wider):
        return record._replace(cells=[*record.cells, ""])
    return None


def _footer(part: Part, encoding: str, dialect: _Dialect, header: _Record) -> int:
    """How many records at the file's end are totals; 0 where its end cannot be read alone."""
    raw, whole = part.tail(_TAIL_BYTES)
    if encoding.startswith(("utf-16", "utf-32")):
        return 0
    text = b"".join(encodings.as_utf8(io.BytesIO(raw), encoding)).decode(errors="surrogateescape")
    records = [one.cells for one in _records(text, dialect.separator, dialect.quote)]
    head = [one.cells for one in dialect.records if one.lines > header.lines]
    return footer(head, records if whole else records[1:], len(header.cells))


def _seen(dialect: _Dialect, text: str, bytes_a_sign: float) -> tuple[int, int]:
    lines = dialect.records[-1].lines if dialect.records else 0
    signs = sum(map(len, islice(io.StringIO(text, newline=""), lines)))
    return len(dialect.records), round(signs * bytes_a_sign)


def _utf8(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _told_header(spec: FileSpec, header: _Record) -> str:
    if header.lines <= 1 or spec.skip is not None:
        return ""
    return f"header: line {header.lines}, what stands above it is left out"


def _told(part: Part, spec: FileSpec, dialect: _Dialect, columns: Columns) -> Iterator[str]:
    if dialect.separator != "," and not (spec.separator or part.separator):
        word = _WORDS.get(dialect.separator, dialect.separator)
        yield f"separator: {word}, which makes {len(columns.names)} columns"
    if dialect.quote != '"' and spec.quote is None:
        yield f"quote: {dialect.quote} encloses cells"


def _told_marks(spec: FileSpec, found: Marks) -> Iterator[str]:
    if found.decimal == "," and spec.decimal_mark is None:
        yield "decimal mark: a comma, as the first rows show"
    if found.thousands and spec.thousands is None:
        yield (
            f"thousands: {found.thousands!r} seems to stand between them; say `thousands: "
            f"'{found.thousands}'` under `file:` of the profile, or such numbers are refused"
        )
