"""What became of a column's cells: JSON, one text a cell, and the cells that could not be read."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
"""A number of JSON."""
_SPECIAL = r'[\x00-\x1f"\\]'
_encode = msgspec.json.Encoder().encode


class Read(NamedTuple):
    """The cells of n rows: `json` string[n], null where the cell is empty and the field left out.

    `cells` are the same as texts. `bad` marks those that the type cannot read; their JSON is one
    that the decoder refuses, and `why` says what was expected. `twice`: so many are of an hour that
    clocks show twice.
    """

    json: pa.Array
    cells: pa.Array
    bad: Mask | None = None
    why: str = ""
    twice: int = 0

    @property
    def is_bad(self) -> Mask:
        """`bad` as b[n], also where no cell is."""
        return np.zeros(len(self.json), np.bool_) if self.bad is None else self.bad


def quoted(texts: pa.Array) -> pa.Array:
    """Texts as JSON; null stays null."""
    plain = pc.binary_join_element_wise('"', texts, '"', "")
    signs = signs_of(texts)
    if not ((signs < 0x20) | (signs == ord('"')) | (signs == ord("\\"))).any():
        return plain
    special = pc.match_substring_regex(texts, _SPECIAL)
    encoded = [_encode(text).decode() for text in texts.filter(special).to_pylist()]
    return pc.replace_with_mask(plain, pc.fill_null(special, False), pa.array(encoded, pa.string()))


def signs_of(texts: pa.Array) -> NDArray[np.uint8]:
    """The bytes of all texts string[n], one behind the other: to look for a sign in them at once.

    What stands below a null may be among them.
    """
    _, offsets, signs = texts.buffers()
    if not len(texts) or signs is None:
        return np.empty(0, np.uint8)
    ends = np.frombuffer(offsets, np.int32)
    return np.frombuffer(signs, np.uint8)[ends[texts.offset] : ends[texts.offset + len(texts)]]


def refused(texts: pa.Array) -> pa.Array:
    """Texts as JSON that no field takes, also one that takes texts: as a list."""
    return pc.binary_join_element_wise("[", quoted(texts), "]", "")


def mask(matches: pa.Array) -> Mask:
    """Arrow's truth values as numpy's; null is False."""
    if matches.null_count:
        matches = pc.fill_null(matches, False)
    found: Mask = matches.to_numpy(zero_copy_only=False)
    return found


def only(texts: pa.Array, keep: Mask) -> pa.Array:
    """The texts where `keep`, null elsewhere."""
    return pc.if_else(pa.array(keep), texts, pa.scalar(None, texts.type))


def either(first: pa.Array, second: pa.Array, choose: Mask) -> pa.Array:
    """The first where `choose`, else the second."""
    return pc.if_else(pa.array(choose), first, second)


def parted(good: pa.Array, cells: pa.Array, bad: Mask, why: str) -> Read:
    """Cells whose JSON is `good`, but for the `bad` ones, which stay as the texts they are."""
    if not bad.any():
        return Read(good, cells)
    return Read(either(refused(cells), good, bad), cells, bad, why)
