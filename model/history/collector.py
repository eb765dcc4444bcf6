"""Batches of taken transactions put together into one history, in the order of its log."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model.features.intake import Intake
from model.files.rows import UNKNOWN
from model.history.history import History, numbered
from tidegate.profile import Profile

Ints = NDArray[np.int64]


class _Batch(NamedTuple):
    """As `History`, and `order`, by which its log is sorted; `inputs` are the filled in values.

    `keys` i8[n] are equal where ids are.
    """

    ids: pa.Array
    keys: Ints
    accounts: pa.Array
    numbers: Ints
    order: Ints
    times: Ints
    amounts: Ints
    hashes: NDArray[np.uint64]
    inputs: NDArray[np.float64]
    labels: NDArray[np.int8]


class Collector:
    """Takes transactions batch by batch. Of the computed columns none is held before the end."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._inputs = len(profile.inputs)
        none, texts = np.empty(0, np.int64), _texts([])
        hashes = np.empty((0, len(profile.hashed)), np.uint64)
        inputs = np.empty((0, self._inputs))
        labels = np.empty(0, np.int8)
        first = _Batch(texts, none, texts, none, none, none, none, hashes, inputs, labels)
        self._batches: deque[_Batch] = deque([first])
        self.count = 0

    def add(
        self,
        intake: Intake,
        ids: list[str],
        numbers: Ints,
        order: Ints,
        labels: NDArray[np.int8] | None = None,
    ) -> None:
        """Take what a batch's decoding gave.

        `ids`, `numbers`, `order` and `labels` are of the transactions taken, in their order.
        """
        columns = intake.columns
        account = self._profile.account
        self.count += len(numbers)
        self._batches.append(
            _Batch(
                _texts(ids),
                np.fromiter(map(hash, ids), np.int64, len(ids)),
                _texts(columns.texts[account]) if account else _texts([]),
                numbers,
                order,
                columns.times,
                columns.amounts,
                columns.hashes,
                columns.values[:, : self._inputs].copy(),
                np.full(len(numbers), UNKNOWN, np.int8) if labels is None else labels,
            )
        )

    def history(self, source: str) -> History:
        """All of them in the order of the log; of several with the same id the first.

        What was collected is given away: the next history begins anew.
        """
        ids = pa.concat_arrays([batch.ids for batch in self._batches])
        order = np.argsort(np.concatenate([batch.order for batch in self._batches]), kind="stable")
        keys = np.concatenate([batch.keys for batch in self._batches])
        kept = order[_first_of_each(ids, keys, order)]
        index = slice(None) if np.array_equal(kept, np.arange(len(order))) else kept
        accounts = pa.concat_arrays([batch.accounts for batch in self._batches])
        numbers, times, amounts, hashes, labels = (
            np.concatenate([getattr(batch, name) for batch in self._batches])[index]
            for name in ("numbers", "times", "amounts", "hashes", "labels")
        )
        return History(
            _at(ids, index),
            _at(accounts, index) if len(accounts) else accounts,
            numbers,
            times,
            amounts,
            hashes,
            self._values(kept, len(order)),
            labels,
            source,
        )

    def _values(self, kept: NDArray[np.intp], total: int) -> NDArray[np.float64]:
        """f8[n, profile.values]; each batch is let go when it stands there."""
        place = np.full(total, -1)
        place[kept] = np.arange(len(kept))
        values = np.full((len(kept), len(self._profile.values)), np.nan)
        start = 0
        while self._batches:
            inputs = self._batches.popleft().inputs
            places = place[start : start + len(inputs)]
            start += len(inputs)
            there = places >= 0
            values[places[there], : self._inputs] = inputs[there]
        return values


def _texts(texts: list[str] | list[bytes]) -> pa.Array:
    """With 64-bit offsets: 5 million accounts may be more than 2 GB."""
    return pa.array(texts, pa.large_binary()).cast(pa.large_string())


def _at(texts: pa.Array, index: slice | NDArray[np.intp]) -> pa.Array:
    return texts if isinstance(index, slice) else texts.take(pa.array(index))


def _first_of_each(ids: pa.Array, keys: Ints, order: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which of the ids, in that order, did not stand before: only those whose keys come more than
    once are looked at.
    """
    ordered = np.sort(keys)
    often = np.isin(keys, ordered[1:][ordered[1:] == ordered[:-1]])[order]
    codes = numbered(ids.take(pa.array(order[often])))
    before = np.maximum.accumulate(np.concatenate([[-1], codes]))[:-1]
    first = ~often
    first[often] = codes > before
    return first
