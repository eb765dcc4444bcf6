"""Where the records of a CSV begin and end.

Columns of positions decide where every quote stands where it should, as in nearly all files: before
or behind a cell, or twice inside. Elsewhere one record is looked at after the other.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NOT_CLOSED = -1
"""In place of a number of cells: a quote is opened in this line that nothing closes."""
LONGEST = 1 << 20
"""Bytes of a record of several lines; a quoted cell that goes on longer was never closed."""
_CR, _LF = 13, 10
_BREAK = re.compile(rb"[\r\n]")
Ints = NDArray[np.int64]


class Signs(NamedTuple):
    """What a CSV's records are made of: `quote` is empty where there is none."""

    separator: bytes
    quote: bytes
    width: int
    """How many cells a record should have."""


def cut(data: bytes, signs: Signs, *, final: bool, longest: int = LONGEST) -> tuple[Ints, int]:
    """The records in `data` that are complete, and where the first incomplete one begins.

    i8[n, 3]: where a record begins, where its line break begins, and how many cells it has. Quotes
    enclose a cell only from its beginning on, a doubled one stands for itself, and blank lines are
    no records. A quoted cell may hold line breaks. But where a record of several lines has another
    width, holds something behind a closing quote, or is over `longest` bytes, its first line alone
    is taken out as `NOT_CLOSED`, and the next line begins a record. `final`: nothing follows.
    """
    view = np.frombuffer(data, np.uint8)
    breaks = np.flatnonzero((view == _LF) | (view == _CR) if b"\r" in data else view == _LF)
    separators = np.flatnonzero(view == ord(signs.separator))
    if not signs.quote or signs.quote not in data:
        return _between(breaks, separators, len(data), final=final)
    quotes = np.flatnonzero(view == ord(signs.quote))
    if _stand_right(view, quotes, signs) and not (final and len(quotes) % 2):
        ends, commas = _outside(quotes, breaks), _outside(quotes, separators)
        records, end = _between(ends, commas, len(data), final=final)
        if len(data) - end <= longest and _are_whole(records, breaks, signs.width, longest):
            return records, end
    return _walk(data, signs, longest, final=final)


def _between(breaks: Ints, separators: Ints, size: int, *, final: bool) -> tuple[Ints, int]:
    """What stands between line breaks, if it is something."""
    end = size if final else int(breaks[-1]) + 1 if len(breaks) else 0
    starts = np.concatenate(([0], breaks + 1))
    ends = np.append(breaks, size) if final else breaks
    starts = starts[: len(ends)]
    filled = ends > starts
    starts, ends = starts[filled], ends[filled]
    cells = np.searchsorted(separators, ends) - np.searchsorted(separators, starts) + 1
    return np.stack((starts, ends, cells), axis=1), end


def _outside(quotes: Ints, where: Ints) -> Ints:
    """Those places that no quotes enclose."""
    before: Ints = np.searchsorted(quotes, where)
    outside: Ints = where[before % 2 == 0]
    return outside


def _stand_right(view: NDArray[np.uint8], quotes: Ints, signs: Signs) -> bool:
    """Whether each quote opens or closes a cell, or is one of two."""
    beside = np.zeros(256, bool)
    beside[[ord(signs.separator), ord(signs.quote), _CR, _LF]] = True
    opening, closing = quotes[::2], quotes[1::2]
    before, behind = opening[opening > 0] - 1, closing[closing < len(view) - 1] + 1
    return bool(beside[view[before]].all() and beside[view[behind]].all())


def _are_whole(records: Ints, breaks: Ints, width: int, longest: int) -> bool:
    """Whether all records of several lines are as wide as they should, and none is too long."""
    first = np.append(breaks, np.iinfo(np.int64).max)[np.searchsorted(breaks, records[:, 0])]
    several = records[first < records[:, 1]]
    return bool((several[:, 2] == width).all() and (several[:, 1] - several[:, 0] <= longest).all())


def _walk(data: bytes, signs: Signs, longest: int, *, final: bool) -> tuple[Ints, int]:
    """The same, record by record."""
    quote, separator = re.escape(signs.quote), re.escape(signs.separator)
    plain = rb"[^%b\r\n]*+" % separator
    cell = re.compile(
        rb"%b(?:[^%b]++|%b%b)*+%b(?P<more>%b)|(?!%b)%b"
        % (quote, quote, quote, quote, quote, plain, quote, plain)
    )
    found: list[tuple[int, int, int]] = []
    start, size = 0, len(data)
    while start < size:
        end, cells, ragged = _record(data, start, cell, signs)
        line = _BREAK.search(data, start, end)
        several = line is not None
        if end == size and not final and not (several and size - start > longest):
            break
        if line and (ragged or cells != signs.width or end - start > longest):
            end, cells = line.start(), NOT_CLOSED
        if end > start:
            found.append((start, end, cells))
        start = end + 1
    return np.array(found, np.int64).reshape(-1, 3), min(start, size)


def _record(
    data: bytes, start: int, cell: re.Pattern[bytes], signs: Signs
) -> tuple[int, int, bool]:
    """Where a record ends, its cells, and whether one has something behind its closing quote.

    `NOT_CLOSED` cells, at the data's end, where a quote is not closed.
    """
    cells, ragged, size = 1, False, len(data)
    while match := cell.match(data, start):
        start, ragged = match.end(), ragged or bool(match["more"])
        if start == size or data[start] != ord(signs.separator):
            return start, cells, ragged
        start, cells = start + 1, cells + 1
    return size, NOT_CLOSED, ragged
