"""Cells as lists of numbers: a list in one cell, or a column for each number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

from model.files.cells import NUMBER, Read, mask, only, parted
from model.files.cells_numbers import Marks, read_numbers
from model.files.cells_texts import plain, texts
from tidegate.profile.number_types import Vector

_LIST = rf"^\s*\[\s*(?:{NUMBER}(?:\s*,\s*{NUMBER})*)?\s*\]\s*$"
_EXPECTED = "a list of numbers such as [0.5, 1]"
_LISTS = (types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_list_view)


def is_list(kind: pa.DataType) -> bool:
    """Whether cells of this Arrow type are lists."""
    return any(test(kind) for test in _LISTS)


def read_lists(column: pa.Array) -> Read:
    """Lists of Arrow, or their JSON as texts."""
    inner = plain(column)
    if is_list(inner.type):
        return Read(_joined(inner), pa.nulls(len(inner), pa.string()))
    cells = texts(inner)
    blank = mask(pc.equal(pc.utf8_trim_whitespace(cells), ""))
    good = mask(pc.match_substring_regex(cells, _LIST))
    bad = mask(pc.is_valid(cells)) & ~good & ~blank
    return parted(only(cells, good), cells, bad, _EXPECTED)


def read_wide(columns: Sequence[pa.Array], field: Vector, marks: Marks) -> Read:
    """One column a number. A row with none of them has no list."""
    reads = [read_numbers(column, field, marks) for column in columns]
    present = np.logical_or.reduce([mask(pc.is_valid(read.json)) for read in reads])
    numbers = [pc.fill_null(read.json, "null") for read in reads]
    json = pc.binary_join_element_wise("[", pc.binary_join_element_wise(*numbers, ","), "]", "")
    bad = np.logical_or.reduce([read.is_bad for read in reads])
    why = next((read.why for read in reads if read.bad is not None), "")
    return Read(only(json, present), json, bad if bad.any() else None, why)


def _joined(lists: pa.Array) -> pa.Array:
    """Arrow's lists as JSON, by the text of each number."""
    lists = lists.cast(pa.list_(lists.type.value_type))
    numbers = texts(lists.flatten())
    numbers = pc.fill_null(pc.if_else(pc.equal(numbers, "nan"), "null", numbers), "null")
    sizes = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    ends = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    as_texts = pa.ListArray.from_arrays(pa.array(ends), numbers)
    inside = pc.binary_join(as_texts, ",")
    return only(pc.binary_join_element_wise("[", inside, "]", ""), mask(pc.is_valid(lists)))
