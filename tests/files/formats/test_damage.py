"""Files that are damaged anywhere end in rows, rejects and words, never in a traceback."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.files.formats.convert import convert
from tests.files.formats.samples import HERE, LAST_DAY, SAMPLES
from tidegate.errors import ConfigError

PIECES = [
    b"",
    b"0",
    b"9" * 30,
    b",",
    b"-",
    b"\n",
    b"\0",
    b"\xff",
    b"<",
    b">",
    b'"',
    b"{",
    b"]",
    b"NaN",
]
DAMAGE = st.tuples(st.integers(0, 10_000), st.integers(0, 40), st.sampled_from(PIECES))


@pytest.mark.parametrize("name", SAMPLES)
@settings(deadline=None)  # the first example imports the format's library
@given(damages=st.lists(DAMAGE, min_size=1, max_size=4))
def test_a_damaged_file_is_read_or_refused(
    name: str, damages: list[tuple[int, int, bytes]]
) -> None:
    content = (HERE / SAMPLES[name]).read_bytes()
    for place, length, piece in damages:
        at = place % len(content)
        content = content[:at] + piece + content[at + length :]
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "source", Path(folder) / "rows.jsonl"
        source.write_bytes(content)
        try:
            done = convert([source], out, name, LAST_DAY)
        except ConfigError:
            assert sorted(path.name for path in Path(folder).iterdir()) == ["source"]
        else:
            assert len(out.read_bytes().splitlines()) == done.rows
