"""Columns of JSON values as lines of JSON, by Arrow: no loop over rows."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pyarrow as pa
import pyarrow.compute as pc


def objects(values: Mapping[str, pa.Array], rows: int) -> list[bytes]:
    """One JSON object a row, of the values (JSON texts) by name; null leaves a name out."""
    if not values:
        return [b"{}"] * rows
    parts: list[str | pa.Array] = []
    for name, json in values.items():
        parts += _pair(f",{msgspec.json.encode(name).decode()}:", json)
    if isinstance(parts[0], str):  # every row has the first value, and so a comma to take out
        whole = _joined("{" + parts[0][1:], *parts[1:], "}")
    else:
        whole = _joined("{", pc.utf8_slice_codeunits(_joined(*parts), 1), "}")
    return whole.cast(pa.binary()).to_pylist()  # type: ignore[no-any-return]


def _pair(name: str, json: pa.Array) -> list[str | pa.Array]:
    """What stands in a line for one value: nothing where it is null."""
    if not json.null_count:
        return [name, json]
    return [pc.fill_null(_joined(name, json), "")]


def _joined(*parts: str | pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")
