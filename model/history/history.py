"""Past transactions in the order of their log, as the profile's decoder took them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Index = slice | NDArray[np.intp] | NDArray[np.bool_]


class History(NamedTuple):
    """n past transactions.

    `ids` texts[n]; `accounts` texts[n], or none where the profile has no account; `numbers` i8[n]
    their rows in the file, from 1, or their offsets; `times` i8[n] us, zeros where the profile has
    no time; `amounts` i8[n] minor units; `hashes` u8[n, profile.hashed]; `values` f8[n,
    profile.values] with the inputs filled in; `labels` i1[n] (1 fraud, 0 legitimate, -1 unknown).
    `source` says where they are from.
    """

    ids: pa.Array
    accounts: pa.Array
    numbers: NDArray[np.int64]
    times: NDArray[np.int64]
    amounts: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    values: NDArray[np.float64]
    labels: NDArray[np.int8]
    source: str = ""

    @property
    def groups(self) -> NDArray[np.int64]:
        """i8[n]: equal numbers for equal accounts; each row is alone where there are none."""
        return groups_of(self.accounts, len(self.times))

    def only(self, index: Index) -> History:
        """Those at `index`, in that order; their arrays are their own."""
        places = np.arange(len(self.times))[index]
        rows = pa.array(places)
        return History(
            self.ids.take(rows),
            self.accounts.take(rows) if len(self.accounts) else self.accounts,
            self.numbers[places],
            self.times[places],
            self.amounts[places],
            self.hashes[places],
            self.values[places],
            self.labels[places],
            self.source,
        )


def groups_of(accounts: pa.Array, n: int) -> NDArray[np.int64]:
    """i8[n]: equal numbers for equal accounts; each row is alone where not all rows have one."""
    return np.arange(n) if len(accounts) < n else numbered(accounts)


def numbered(texts: pa.Array) -> NDArray[np.int64]:
    """i8[n]: equal numbers for equal texts, from 0 in the order in which they first appear."""
    codes = pc.dictionary_encode(texts).indices
    return np.asarray(codes.to_numpy(zero_copy_only=False), np.int64)
