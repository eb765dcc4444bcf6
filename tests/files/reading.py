"""Small files for a profile with the fields `ref` and `x`, and what becomes of their rows."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model.features.intake import take
from model.files.reader import Reader
from model.files.rows import Rows
from tests.files.cells import OUT, Reason, Value
from tidegate.errors import Rejected
from tidegate.profile import Profile, load_profile

PROFILE = """
id: ref
fields:
  ref: {{type: string}}
  x: {declaration}
models: {{isolation_forest: {{trees: 10}}}}
thresholds: {{appetite: balanced}}
history: {{file: none.csv}}
file: {{decimal_mark: "."}}
"""


@lru_cache(maxsize=256)
def profile_of(folder: Path, declaration: str, more: str = "") -> Profile:
    """A profile whose field `x` is declared so, and optional."""
    inside = declaration.removesuffix("}") + ", optional: true}"
    path = folder / f"p{abs(hash((inside, more)))}.yaml"
    path.write_text(PROFILE.format(declaration=inside) + more)
    return load_profile(path)


def as_csv(path: Path, cells: Sequence[str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["ref", "x", "other"])
        writer.writerows([f"r{i}", cell, "-"] for i, cell in enumerate(cells))
    return path


def as_parquet(path: Path, cells: pa.Array) -> Path:
    ids = pa.array([f"r{i}" for i in range(len(cells))])
    pq.write_table(pa.table({"ref": ids, "x": cells}), path)
    return path


def as_json(path: Path, cells: Sequence[object]) -> Path:
    rows = [{"ref": f"r{i}", "x": cell} for i, cell in enumerate(cells)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def outcomes(profile: Profile, path: Path) -> list[bytes | Reason]:
    """What the stream makes of each row, after a look that training makes the same of it."""
    return [one for rows in Reader(str(path), profile).rows() for one in outcomes_of(profile, rows)]


def outcomes_of(profile: Profile, rows: Rows) -> list[bytes | Reason]:
    stream = [decoded(profile, line) for line in rows.lines]
    intake = take(profile, rows.lines, np.zeros(len(rows.lines), np.int64))
    assert intake.at == [i for i, one in enumerate(stream) if not isinstance(one, Reason)]
    assert list(map(profile.canonical, intake.txs)) == [stream[i] for i in intake.at]
    for refusal in rows.refused:
        place = rows.numbers.tolist().index(refusal.number)
        assert isinstance(stream[place], Reason), "the decoder refuses what the reader does"
        stream[place] = Reason(refusal.reason)
    return stream


def decoded(profile: Profile, line: bytes) -> bytes | Reason:
    """A transaction's canonical bytes, or why the stream refuses it."""
    try:
        return profile.canonical(profile.decode(line))
    except Rejected as error:
        return Reason(error.reason)


def expected(profile: Profile, value: Value) -> bytes | Reason:
    """What the API makes of the value under the id of the first row."""
    if isinstance(value, Reason):
        return value
    row = {"ref": "r0"} if value is OUT else {"ref": "r0", "x": value}
    return decoded(profile, msgspec.json.encode(row))
