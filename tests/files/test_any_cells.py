"""Cells of any content: in company they mean what they mean alone, to a file what to the API."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.files.reading import as_json, as_parquet, decoded, outcomes, profile_of

DECLARATIONS = [
    "{type: money, min: -1000000}",
    '{type: money, min: -1000000, decimal_mark: ",", thousands: "."}',
    "{type: integer}",
    "{type: bool}",
    "{type: time}",
    "{type: time, zone: Europe/Berlin}",
    '{type: time, format: "%d.%m.%y %H:%M"}',
    "{type: string}",
    "{type: vector, length: 2}",
]
CELLS = st.lists(
    st.one_of(
        st.text(st.sampled_from("0123456789-+.,:/TZ eE€()'\" "), max_size=20),
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
        st.datetimes().map(str),
        st.decimals(-(10**6), 10**6, places=2).map(str),
        st.sampled_from(["31.12.25 23:59", "1.234,50", "yes", "[1,2]", "NaN", "1e5"]),
    ),
    min_size=2,
    max_size=6,
)


@settings(max_examples=40, deadline=None)
@given(cells=CELLS, declaration=st.sampled_from(DECLARATIONS))
def test_a_cell_in_company_is_what_it_is_alone(
    cells: list[str], declaration: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    profile = profile_of(folder, declaration)
    together = outcomes(profile, as_parquet(folder / "a.parquet", pa.array(cells)))
    for place, cell in enumerate(cells):
        alone = outcomes(profile, as_parquet(folder / "a.parquet", pa.array([cell])))[0]
        named = f'"ref":"r{place}"'.encode()
        assert alone == (
            together[place].replace(named, b'"ref":"r0"')
            if isinstance(together[place], bytes)
            else together[place]
        )


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)
PLAIN = [text for text in DECLARATIONS if "time" not in text and "decimal_mark" not in text]


@settings(max_examples=60, deadline=None)
@given(value=VALUES, declaration=st.sampled_from(PLAIN))
def test_a_value_of_json_is_to_a_file_what_it_is_to_the_api(
    value: object, declaration: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """But for times and named marks: files have them in more forms than the API takes."""
    folder = tmp_path_factory.getbasetemp()
    profile = profile_of(folder, declaration)
    path = as_json(folder / "a.jsonl", [value])
    assert outcomes(profile, path) == [decoded(profile, path.read_bytes().strip())]
