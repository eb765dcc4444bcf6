"""Where the records of a CSV begin and end, by one pass over its bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.jit import jit

NOT_CLOSED = -1
"""In place of a number of cells: a quote is opened in this line that nothing closes."""
_CR, _LF = 13, 10


@jit
def cut(  # noqa: C901 - one state machine, compiled as a whole
    data: NDArray[np.uint8],
    separator: int,
    quote: int,
    width: int,
    most: int,
    final: bool,
    records: NDArray[np.int64],
) -> tuple[int, int]:
    """Find the records in `data` u1[n] that are complete.

    `records` i8[m, 3] takes of each where it begins, where its line break begins, and how many
    cells it has. Quotes (-1: none) enclose a cell only from its beginning on, a doubled one stands
    for itself, and blank lines are no records. A quoted cell may hold line breaks. But where a
    record of several lines does not have `width` cells, holds something behind a closing quote, or
    is over `most` bytes long, its first line alone is taken out as `NOT_CLOSED`, and the next line
    begins a record. `final`: nothing follows the data.

    Returns how many records there are and where the first incomplete one begins. `m` must be more
    than the number of line breaks.
    """
    n, count, start, i = len(data), 0, 0, 0
    cells, begins, quoted, closed, ragged, first_break = 1, True, False, False, False, -1
    while i <= n:
        ends = False
        if i == n:
            if not final:
                break
            ends = True
        elif quoted:
            byte = data[i]
            if byte == quote:
                if i + 1 == n and not final:
                    break
                if i + 1 < n and data[i + 1] == quote:
                    i += 1
                else:
                    quoted, closed = False, True
            elif byte in (_LF, _CR) and first_break < 0:
                first_break = i
            if not quoted or first_break < 0 or i - start <= most:
                i += 1
                continue
            ends = True
        else:
            byte = data[i]
            if byte == separator:
                cells, begins, closed = cells + 1, True, False
            elif byte in (_LF, _CR):
                ends = True
            elif byte == quote and begins:
                quoted, begins = True, False
            else:
                ragged, begins = ragged or closed, False
            if not ends:
                i += 1
                continue
        if first_break >= 0 and (quoted or ragged or cells != width):
            i, cells = first_break, NOT_CLOSED
        elif quoted:
            cells = NOT_CLOSED
        if i < n and data[i] == _CR and i + 1 == n and not final:
            break
        if i > start:
            records[count, 0], records[count, 1], records[count, 2] = start, i, cells
            count += 1
        i += 2 if i + 1 < n and data[i] == _CR and data[i + 1] == _LF else 1
        start = i
        cells, begins, quoted, closed, ragged, first_break = 1, True, False, False, False, -1
    return count, min(start, n)
