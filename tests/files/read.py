"""Reads content as a file of some name, without a disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import fsspec

from model.files.places import opened
from model.files.rows import Refusal
from model.files.table_file import Table
from model.files.tables import Tables
from tidegate.profile.file_spec import FileSpec


@dataclass
class Read:
    """All that came of a place."""

    names: list[str]
    rows: dict[int, list[Any]]
    """The cells of each good row, by its number."""
    refused: list[Refusal]
    spoilt: list[list[str | None]]
    told: list[str]


def put(name: str, content: str | bytes) -> str:
    """The URL of a file in memory."""
    raw = content if isinstance(content, bytes) else content.encode()
    fsspec.filesystem("memory").pipe(f"/{name}", raw)
    return f"memory://{name}"


def read(
    content: str | bytes, name: str = "rows.csv", size: int = 5000, **spec: str | int | list[str]
) -> Read:
    """What stands in a file of this name and content."""
    tables = Tables(opened(put(name, content)), FileSpec(**spec))  # type: ignore[arg-type] - a test names what it sets
    return gathered(tables.names, list(tables.read(size)), tables.told)


def gathered(names: list[str], tables: list[Table], told: list[str]) -> Read:
    """The rows of all tables together."""
    rows: dict[int, list[Any]] = {}
    for table in tables:
        cells = [list(row.values()) for row in table.batch.to_pylist()]
        rows.update(zip(table.numbers.tolist(), cells, strict=True))
    refused = [one for table in tables for one in table.refused]
    spoilt = [list(row.values()) for table in tables for row in table.spoilt.to_pylist()]
    return Read(names, rows, refused, spoilt, told)
