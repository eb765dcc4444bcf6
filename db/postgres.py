"""Writing rows into PostgreSQL: whole blocks of COPY BINARY, built by numpy.

Optimistic: the block is copied straight into the table inside a savepoint. That cost the server
12.5 us of CPU a row, against 20.0 by a staging table and INSERT ... SELECT ... ON CONFLICT, which
writes each row twice (medians of 5 runs). Duplicates are dropped by the first keyed step, so a row
that is already there is rare; when there is one, the savepoint is rolled back and the batch goes by
way of the staging table.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from sqlalchemy import Connection

from db.cases.locking import SHARE
from db.rows import RULINGS, STEP, Inserted, fixed_columns, ruled_rows, under_policy
from db.tables import blocks
from tidegate.messages.frames import DECISIONS, Frames

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_LONG, _INT, _DOUBLE = ">i8", ">i4", ">f8"
_VARIABLE = ("transaction_id", "account", "payload", "reasons", "bundle", "decision")
_NULL = b"\xff\xff\xff\xff"
_BEGIN = f"{SHARE}, nextval('{blocks.name}'); SAVEPOINT optimistic"
"""Locked before the copy: who waits for the lock then waits for no one's row."""
_DECISIONS = [len(name).to_bytes(4, "big") + name.encode() for name in DECISIONS]


@lru_cache(maxsize=8)
def _fixed(row: np.dtype[Any]) -> list[tuple[str, Any]]:
    """The columns whose size is the same in every row of a batch, in the order they are copied."""
    longs = (
        "event_us",
        "amount_minor",
        "models_offset",
        "online_labels",
        "raw_offset",
        "features_offset",
        "ingested_us",
        "preprocessed_us",
        "scored_us",
        "persisted_us",
    )
    return [
        *((name, _LONG) for name in longs),
        ("score", _DOUBLE),
        ("raw_partition", _INT),
        ("features_partition", _INT),
        ("features_index", _INT),
        ("seq", _LONG),
        ("profile", "S8"),
        ("body_hash", "V16"),
        ("features", row["values"]),
        ("scores", row["scores"]),
        ("keys", row["keys"]),
        ("trace", (STEP, row["steps"].shape)),
    ]


@lru_cache(maxsize=8)
def _block_dtype(row: np.dtype[Any]) -> np.dtype[Any]:
    fields: list[tuple[str, Any]] = [("columns", ">i2")]
    for name, kind in _fixed(row):
        fields += [(f"{name}_size", _INT), (name, kind)]
    return np.dtype([*fields, ("first_size", _INT)])


@lru_cache(maxsize=16)
def _copied(row: np.dtype[Any], *, ruled: bool) -> list[str]:
    """The columns of a block, in order."""
    return [*(name for name, _ in _fixed(row)), *_VARIABLE, *(RULINGS if ruled else ())]


def _sizes(texts: list[bytes], lengths: NDArray[Any], *, nullable: bool = False) -> list[bytes]:
    """Each text's length field; an empty text of a nullable column is NULL."""
    sizes = lengths.astype(_INT)
    if nullable:
        sizes[sizes == 0] = -1
    packed = sizes.tobytes()
    return [packed[start : start + 4] for start in range(0, 4 * len(texts), 4)]


def _rulings(rows: NDArray[Any]) -> list[bytes]:
    """The policy, its hits and the model's own decision; the last two in few rows."""
    policies = rows["policy"].tolist()
    plain = {name: _text(name) + _NULL + _NULL for name in set(policies)}
    rulings = list(map(plain.__getitem__, policies))
    for row in ruled_rows(rows):
        hits = (16).to_bytes(4, "big") + rows["rule_hits"][row].tobytes()
        changed = rows["model_decision"][row] != rows["decision"][row]
        by_model = _DECISIONS[rows["model_decision"][row]] if changed else _NULL
        rulings[row] = _text(rows["policy"][row]) + hits + by_model
    return rulings


def _outcomes(frames: Frames) -> list[bytes]:
    """Reasons, bundle and decision: most rows have no reasons, and are told in few ways."""
    rows = frames.rows
    ways = list(zip(rows["bundle"].tolist(), rows["decision"].tolist(), strict=True))
    told = {way: len(way[0]).to_bytes(4, "big") + way[0] + _DECISIONS[way[1]] for way in set(ways)}
    unexplained = {way: _NULL + packed for way, packed in told.items()}
    outcomes = list(map(unexplained.__getitem__, ways))
    for row in np.flatnonzero(rows["reasons_len"]).tolist():
        outcomes[row] = _text(frames.reasons[row]) + told[ways[row]]
    return outcomes


def _text(text: bytes) -> bytes:
    return len(text).to_bytes(4, "big") + text if text else _NULL


def copy_block(frames: Frames, order: NDArray[np.intp], seq: int, persisted_us: int) -> bytes:
    """The frames `order`, numbered from `seq` on, as one COPY BINARY stream.

    The format is that of the PostgreSQL manual: COPY, File Formats.
    """
    rows = frames.rows
    block = np.empty(len(rows), _block_dtype(rows.dtype))
    ruled = under_policy(rows)
    block["columns"] = len(_copied(rows.dtype, ruled=ruled))
    columns = fixed_columns(rows, persisted_us) | {"profile": rows["profile"]}
    for name, column in columns.items():
        block[f"{name}_size"] = block.dtype[name].itemsize
        block[name] = column
    block["seq_size"] = 8
    block["seq"][order] = np.arange(seq, seq + len(order))
    block["first_size"] = rows["id_len"]
    packed = block.tobytes()
    size = block.dtype.itemsize
    fields = list(
        zip(
            [packed[start : start + size] for start in range(0, len(packed), size)],
            frames.ids,
            _sizes(frames.accounts, rows["account_len"], nullable=True),
            frames.accounts,
            _sizes(frames.payloads, rows["payload_len"]),
            frames.payloads,
            _outcomes(frames),
            *([_rulings(rows)] if ruled else []),
            strict=True,
        )
    )
    return b"".join(
        (_HEADER, *chain.from_iterable([fields[row] for row in order.tolist()]), _TRAILER)
    )


class PostgresWriter:
    """Inserts frames by COPY."""

    def insert(
        self, connection: Connection, frames: Frames, order: NDArray[np.intp], persisted_us: int
    ) -> Inserted:
        """Insert the frames `order` that are not there yet, in the open transaction."""
        driver: psycopg.Connection[Any] = connection.connection.dbapi_connection  # type: ignore[assignment]
        with driver.cursor() as cursor:
            [(_, seq)] = cursor.execute(_BEGIN)
            block, columns = copy_block(frames, order, seq, persisted_us), _columns(frames.rows)
            try:
                _copy(cursor, "transactions", columns, block)
            except psycopg.errors.UniqueViolation:
                cursor.execute("ROLLBACK TO SAVEPOINT optimistic")
                seqs = _upsert(cursor, columns, block)
                return Inserted(order[seqs - seq], seqs)
        return Inserted(order, np.arange(seq, seq + len(order)))

    def close(self) -> None:
        """Nothing to give back."""


def _columns(rows: NDArray[Any]) -> str:
    return ", ".join(_copied(rows.dtype, ruled=under_policy(rows)))


def _copy(cursor: psycopg.Cursor[Any], table: str, columns: str, block: bytes) -> None:
    with cursor.copy(f"COPY {table} ({columns}) FROM STDIN (FORMAT BINARY)") as copy:
        copy.write(block)


def _upsert(cursor: psycopg.Cursor[Any], columns: str, block: bytes) -> NDArray[np.int64]:
    """By way of a temporary (so unlogged) table; the `seq` of the rows that were new."""
    cursor.execute(
        "CREATE TEMPORARY TABLE IF NOT EXISTS staging (LIKE transactions) ON COMMIT DROP"
    )
    _copy(cursor, "staging", columns, block)
    cursor.execute(
        f"INSERT INTO transactions ({columns}) SELECT {columns} FROM staging ORDER BY seq "  # noqa: S608 - column names of this file
        "ON CONFLICT (transaction_id) DO NOTHING RETURNING seq"
    )
    return np.sort(np.array([row[0] for row in cursor.fetchall()], np.int64))
