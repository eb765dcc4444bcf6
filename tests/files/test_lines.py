"""Lines of JSON made by column."""

from __future__ import annotations

import pyarrow as pa

from model.files.cells import quoted
from model.files.lines import objects


def test_a_row_of_nothing_is_an_empty_object() -> None:
    """Arrow's join left such a row out, and every line behind it stood at another row."""
    first, second = pa.array(["1", None, None]), pa.array([None, None, "2"])
    nothing = pa.array([None, None, None], pa.string())
    assert objects({"a": first, "b": second}, 3) == [b'{"a":1}', b"{}", b'{"b":2}']
    assert objects({"a": first}, 3) == [b'{"a":1}', b"{}", b"{}"]
    assert objects({"a": nothing, "b": nothing}, 3) == [b"{}"] * 3
    assert objects({}, 3) == [b"{}"] * 3


def test_a_value_that_is_missing_leaves_its_name_out_behind_one_that_never_is() -> None:
    first, second, third = pa.array(["1", "2"]), pa.array([None, '"x"']), pa.array(["3", None])
    assert objects({"a": first, 'b"': second, "c": third}, 2) == [
        b'{"a":1,"c":3}',
        b'{"a":2,"b\\"":"x"}',
    ]


def test_what_json_escapes_is_seen_in_any_part_of_a_column() -> None:
    texts = pa.array(["a", 'b"', None, "c\\", "\x1f", "\x7f\u00e9"])
    expected = ['"a"', '"b\\""', None, '"c\\\\"', '"\\u001f"', '"\x7f\u00e9"']
    for begin in range(6):
        for size in range(7 - begin):
            part = texts.slice(begin, size)
            assert quoted(part).to_pylist() == expected[begin : begin + size]
