"""Whatever a file holds, it is rows, refusals or one clear error: never another exception."""

from __future__ import annotations

import gzip
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.files.places import readable
from tests.files.read import read
from tests.files.test_tables import number, text, workbook
from tidegate.errors import ConfigError

CSV = 'id,"name",n\n1,"a\nb",2.5\n2,ü,3\n'.encode()


def parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"id": ["a", "b"] * 50, "n": list(range(100))}), out, row_group_size=40)
    return out.getvalue()


WHOLE = {
    "rows.csv": CSV,
    "rows.csv.gz": gzip.compress(CSV * 50),
    "rows.csv.zst": pa.compress(CSV * 50, codec="zstd", asbytes=True),
    "rows.jsonl": b'{"id":"1"}\n{"id":"2"}\n',
    "rows.parquet": parquet(),
    "rows.xlsx": workbook(Rows=[[text("id"), text("n")], [text("a"), number("2.5")]]),
}


def is_clear(name: str, content: bytes) -> None:
    """The content is read, or refused in one line that names the file."""
    try:
        found = read(content, name, 3)
    except ConfigError as error:
        said = str(error)
        assert name in said
        assert "\n" not in said
    else:
        numbers = [*found.rows, *(one.number for one in found.refused)]
        assert sorted(numbers) == list(range(1, len(numbers) + 1))


@settings(deadline=None, max_examples=150)
@given(
    name=st.sampled_from(["rows.csv", "rows.tsv", "rows.jsonl", "rows.csv.gz", "rows.xlsx"]),
    content=st.binary(max_size=60) | st.text("a1\"',;\t|\r\n .é€", max_size=60).map(str.encode),
)
def test_any_bytes(name: str, content: bytes) -> None:
    is_clear(name, content)


@settings(deadline=None, max_examples=400)
@given(
    name=st.sampled_from(sorted(WHOLE)),
    place=st.floats(0, 1, exclude_max=True),
    sign=st.integers(0, 255) | st.none(),
)
def test_a_file_that_is_cut_off_or_has_another_byte_somewhere(
    name: str, place: float, sign: int | None
) -> None:
    whole = WHOLE[name]
    at = int(place * len(whole))
    is_clear(name, whole[:at] if sign is None else whole[:at] + bytes([sign]) + whole[at + 1 :])


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_whole_files_are_read(name: str) -> None:
    assert read(WHOLE[name], name).rows


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_a_text_in_parquet_that_is_none_costs_its_row(kind: pa.DataType) -> None:
    """Some writers put other encodings there, and Arrow looks at none when it reads."""
    words = pa.array([b"a", b"caf\xe9", None, b"d"], pa.binary()).view(pa.string())
    table = pa.table({"n": [1, 2, 3, 4], "id": words.cast(kind, safe=False)})
    out = io.BytesIO()
    pq.write_table(table, out)
    found = read(out.getvalue(), "rows.parquet")
    assert list(found.rows) == [1, 3, 4]
    [refusal] = found.refused
    assert (refusal.number, refusal.field, refusal.reason) == (2, "id", "bad_byte")


@pytest.mark.parametrize("kind", [pa.ArrowNotImplementedError, pa.ArrowInvalid, pa.ArrowKeyError])
def test_whatever_arrow_raises_names_the_file(kind: type[pa.ArrowException]) -> None:
    said = pytest.raises(ConfigError, match=r"cannot read rows\.parquet: .*of 4 bits")
    with said, readable("rows.parquet"):
        raise kind("integers of 4 bits")
