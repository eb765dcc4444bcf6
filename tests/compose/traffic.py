"""Transactions of the handbook, posted in batches while other things happen."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from producers.simulator.history import simulate_history
from tests.compose.stack import ROOT, Stack
from tests.support import eventually
from tidegate.profile import load_profile

HANDBOOK = ROOT.parent / "shared" / "data" / "handbook" / "transactions.parquet"
Transaction = dict[str, Any]


def transactions(count: int, file: Path = HANDBOOK) -> list[Transaction]:
    """The first of the handbook's file; simulated ones of its shape where the file is not there."""
    if not file.exists():
        frame = (
            simulate_history(load_profile("handbook"), count, seed=1)
            .drop(columns="label")
            .head(count)
        )
        frame["TX_DATETIME"] = frame["TX_DATETIME"].astype(str)
        return [
            {str(name): value for name, value in row.items() if value == value}
            for row in frame.to_dict("records")
        ]
    group = next(pq.ParquetFile(file).iter_batches(count))
    names = ["TRANSACTION_ID", "TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT"]
    rows = [
        dict(zip(names, values, strict=True))
        for values in zip(*(group[name].to_pylist() for name in names), strict=True)
    ]
    for row in rows:
        row["TX_DATETIME"] = row["TX_DATETIME"].isoformat() + "Z"
        row["TX_AMOUNT"] = round(float(row["TX_AMOUNT"]), 2)
    return rows


class Traffic(threading.Thread):
    """Posts the transactions in batches with a pause between them. `acknowledged`: the ids answered
    with 202.
    """

    def __init__(
        self, stack: Stack, rows: list[Transaction], *, batch: int = 250, pause: float = 0.2
    ) -> None:
        super().__init__(name="traffic")
        self._stack, self._rows, self._batch, self._pause = stack, rows, batch, pause
        self.acknowledged: set[str] = set()
        self.error: BaseException | None = None
        self._idle = threading.Event()

    def run(self) -> None:
        try:
            for part in self._batches():
                status, answer = self._stack.post("/v1/transactions/batch", part)
                assert (status, answer["accepted"]) == (202, len(part)), answer
                self.acknowledged |= {str(row["TRANSACTION_ID"]) for row in part}
                self._idle.wait(self._pause)
        except BaseException as error:
            self.error = error
            raise

    def _batches(self) -> Iterator[list[Transaction]]:
        for at in range(0, len(self._rows), self._batch):
            yield self._rows[at : at + self._batch]

    def wait_for(self, count: int) -> None:
        """Wait until so many are acknowledged."""
        eventually(lambda: len(self.acknowledged) >= count or not self.is_alive(), 120)
        assert len(self.acknowledged) >= count, self.error

    def finish(self) -> set[str]:
        """Wait for its end; the ids acknowledged."""
        self.join(300)
        assert self.error is None, self.error
        assert not self.is_alive()
        return self.acknowledged
