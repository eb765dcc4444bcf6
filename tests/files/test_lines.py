"""Lines of JSON made by column."""

from __future__ import annotations

import pyarrow as pa

from model.files.lines import objects


def test_a_row_of_nothing_is_an_empty_object() -> None:
    """Arrow's join left such a row out, and every line behind it stood at another row."""
    first, second = pa.array(["1", None, None]), pa.array([None, None, "2"])
    nothing = pa.array([None, None, None], pa.string())
    assert objects({"a": first, "b": second}, 3) == [b'{"a":1}', b"{}", b'{"b":2}']
    assert objects({"a": first}, 3) == [b'{"a":1}', b"{}", b"{}"]
    assert objects({"a": nothing, "b": nothing}, 3) == [b"{}"] * 3
    assert objects({}, 3) == [b"{}"] * 3
