from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from model.hashing import partitions_of
from tidegate.broker.murmur2 import partition_of


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=20), st.integers(1, 12))
def test_the_broker_in_memory_places_keys_as_the_steps_do(keys: list[bytes], n: int) -> None:
    assert [partition_of(key, n) for key in keys] == partitions_of(keys, n).tolist()
