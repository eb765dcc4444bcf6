"""Cells as true or false, by the profile's words."""

from __future__ import annotations

from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types

from model.files.cells import Read, mask, parted
from model.files.cells_texts import plain, texts
from tidegate.profile.field_types import Bool
from tidegate.profile.file_options import word_keys

YES = ("true", "t", "yes", "y", "1")
NO = ("false", "f", "no", "n", "0")


def keys(cells: pa.Array) -> pa.Array:
    """Texts in the form in which words are compared; blank ones are null."""
    trimmed = pc.utf8_lower(pc.utf8_trim_whitespace(cells))
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)


def read_booleans(column: pa.Array, field: Bool) -> Read:
    """A column of any Arrow type. Where the profile names no words, the usual ones are taken."""
    inner = plain(column)
    cells = texts(inner)
    if types.is_boolean(inner.type):
        return Read(cells, cells)
    yes = YES if field.yes is None else tuple(chain.from_iterable(map(word_keys, field.yes)))
    no = NO if field.no is None else tuple(chain.from_iterable(map(word_keys, field.no)))
    coded = pc.dictionary_encode(cells, null_encoding="encode")  # there are few different words
    words = keys(coded.dictionary)
    true = pc.is_in(words, pa.array(yes, pa.string()))
    false = pc.is_in(words, pa.array(no, pa.string()))
    json = pc.case_when(pc.make_struct(true, false), "true", "false").take(coded.indices)
    bad = mask(pc.is_valid(words).take(coded.indices)) & ~mask(pc.is_valid(json))
    why = f"one of the words {', '.join((*yes, *no))}; other words: `yes` and `no` of the field"
    return parted(json, cells, bad, why)
