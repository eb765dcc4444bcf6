"""Writing rows into SQLite: one `executemany` a batch on the driver's own connection.

SQLite has one writer at a time. Two persist processes would only wait for each other, so the second
is refused: a lock on a file beside the database, which the operating system gives back however its
holder ends.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from db.lock import beside
from db.rows import RULINGS, Inserted, fixed_columns, ruled_rows, under_policy
from tidegate.errors import Stop
from tidegate.messages.frames import DECISIONS, Frames

_NUMBERS = (
    "event_us",
    "amount_minor",
    "score",
    "models_offset",
    "online_labels",
    "raw_offset",
    "features_offset",
    "ingested_us",
    "preprocessed_us",
    "scored_us",
    "raw_partition",
    "features_partition",
    "features_index",
)
_BYTES = ("body_hash", "features", "scores", "keys", "trace")
_COLUMNS = (
    *_NUMBERS,
    *_BYTES,
    "transaction_id",
    "account",
    "payload",
    "reasons",
    "bundle",
    "decision",
    "profile",
    "persisted_us",
)


def _insert(columns: tuple[str, ...]) -> str:
    return (
        f"INSERT INTO transactions ({', '.join(columns)}) "  # noqa: S608 - column names of this file
        f"VALUES ({', '.join('?' * len(columns))}) ON CONFLICT (transaction_id) DO NOTHING"
    )


_PLAIN, _RULED = _insert(_COLUMNS), _insert((*_COLUMNS, *RULINGS))
_NEW = "SELECT transaction_id FROM transactions WHERE seq > ?"


class SqliteWriter:
    """Inserts frames; holds the place of the database's one writer until `close`.

    Raises Stop when another process holds it.
    """

    def __init__(self, file: Path) -> None:
        self._lock = beside(file, "persist")
        if not self._lock.acquire(wait=False):
            raise Stop(
                f"another persist process writes to {file}: SQLite has one writer. Stop that one, "
                "or run on PostgreSQL (--db postgresql://...), which takes as many as there are "
                "partitions"
            )

    def insert(
        self, connection: Connection, frames: Frames, order: NDArray[np.intp], persisted_us: int
    ) -> Inserted:
        """Insert the frames `order` that are not there yet, in the open transaction.

        The only writer's rows are numbered one after the other.
        """
        driver: sqlite3.Connection = connection.connection.dbapi_connection  # type: ignore[assignment]
        cursor = driver.cursor()
        try:
            ruled = under_policy(frames.rows)
            rows = list(_tuples(frames, persisted_us, ruled=ruled))
            cursor.executemany(_RULED if ruled else _PLAIN, [rows[row] for row in order.tolist()])
            count = cursor.rowcount
            (last,) = cursor.execute("SELECT last_insert_rowid()").fetchone()
            seqs = np.arange(last - count + 1, last + 1)
            if count < len(order):
                new = {name for (name,) in cursor.execute(_NEW, (last - count,))} if count else ()
                order = np.array([i for i in order if frames.ids[i].decode() in new], np.intp)
            return Inserted(order, seqs)
        finally:
            cursor.close()

    def close(self) -> None:
        """Give the writer's place back."""
        self._lock.release()


def _tuples(frames: Frames, persisted_us: int, *, ruled: bool) -> Iterator[tuple[Any, ...]]:
    """The rows as tuples in the order of `_COLUMNS`, and of `RULINGS` where they are `ruled`."""
    rows = frames.rows
    fixed = fixed_columns(rows, persisted_us)
    numbers = [fixed[name].tolist() for name in _NUMBERS]
    packed = [_pieces(fixed[name]) for name in _BYTES]
    bundles = {name: name.decode() for name in set(rows["bundle"].tolist())}
    return zip(
        *numbers,
        *packed,
        map(bytes.decode, frames.ids),
        _texts(frames.accounts),
        map(bytes.decode, frames.payloads),
        _texts(frames.reasons),
        map(bundles.__getitem__, rows["bundle"].tolist()),
        map(DECISIONS.__getitem__, rows["decision"].tolist()),
        repeat(rows["profile"][0].decode()),
        repeat(persisted_us),
        *(_rulings(rows) if ruled else ()),
        strict=False,
    )


def _rulings(
    rows: NDArray[Any],
) -> tuple[Iterable[str | None], list[bytes | None], list[str | None]]:
    """The policies, their hits, and the models' own decisions where those are others."""
    versions = rows["policy"].tolist()
    names = {version: version.decode() or None for version in set(versions)}
    policies = map(names.__getitem__, versions)
    hits: list[bytes | None] = [None] * len(rows)
    by_model: list[str | None] = [None] * len(rows)
    for row in ruled_rows(rows):
        hits[row] = rows["rule_hits"][row].tobytes()
        if rows["model_decision"][row] != rows["decision"][row]:
            by_model[row] = DECISIONS[rows["model_decision"][row]]
    return policies, hits, by_model


def _pieces(column: NDArray[Any]) -> list[bytes]:
    """The bytes of each row of a column."""
    size = column.dtype.itemsize * column[0].size
    if not size:
        return [b""] * len(column)
    packed = column.tobytes()
    return [packed[start : start + size] for start in range(0, size * len(column), size)]


def _texts(column: list[bytes]) -> list[str | None]:
    return [text.decode() if text else None for text in column]
