"""Timestamps as texts: put together of date and time, and the same as Python writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.files.cells_texts import texts

_EPOCH = datetime(1970, 1, 1)
_MOMENTS = st.integers(-62_135_596_800 * 10**6, 253_402_300_799 * 10**6)


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(_MOMENTS, _MOMENTS.map(lambda us: us // 10**6 * 10**6), st.none()), max_size=5
    )
)
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_a_timestamp_is_its_instant_in_iso_8601(zone: str | None, us: list[int | None]) -> None:
    column = pa.array(us, pa.timestamp("us", zone))
    expected = [None if one is None else _EPOCH + timedelta(microseconds=one) for one in us]
    written = texts(column).to_pylist()
    assert written == [one and one.isoformat() + ("Z" if zone else "") for one in expected]


@settings(deadline=None)
@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_nanoseconds_are_cut_off(ns: int) -> None:
    written = texts(pa.array([ns], pa.timestamp("ns", "UTC")))[0].as_py()
    cut = abs(ns) // 1000 * (1 if ns >= 0 else -1)
    assert datetime.fromisoformat(written) == _EPOCH.replace(tzinfo=UTC) + timedelta(
        microseconds=cut
    )
