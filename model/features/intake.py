"""Messages as columns: what the first keyed step (and a backtest) takes and refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.features.columns import Columns, Unfit, columns_of
from tidegate.errors import Rejected
from tidegate.profile import Profile
from tidegate.profile.decoding import MAX_BYTES


class Intake(NamedTuple):
    """Decoded transactions, their columns, their indices in the batch (`at`), and the rejects."""

    txs: list[msgspec.Struct]
    columns: Columns
    at: list[int]
    rejects: list[tuple[int, Rejected]]


def take(profile: Profile, values: Sequence[bytes], received_us: NDArray[np.int64]) -> Intake:
    """Decode all messages at once; if one is bad, each by itself.

    `received_us` i8[n] bounds their times (0: unknown).
    """
    try:
        txs = _decode_all(profile, values)
        return Intake(txs, columns_of(profile, txs, received_us), list(range(len(txs))), [])
    except (Unfit, Rejected, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        txs, at, rejects = _one_by_one(profile, values, received_us)
    return Intake(txs, columns_of(profile, txs, received_us[at]), at, rejects)


def _decode_all(profile: Profile, values: Sequence[bytes]) -> list[msgspec.Struct]:
    """Each message by itself, so that none can take from another. Raises Unfit for NULs and giants.

    Joined into lines and decoded in one call they took as long, and a message that is two objects,
    or half of one, shifted those behind it.
    """
    if max(map(len, values), default=0) > MAX_BYTES or b"\\u0000" in b"\0".join(values):
        raise Unfit
    return profile.decode_all(values)


def _one_by_one(
    profile: Profile,
    values: Sequence[bytes],
    received_us: NDArray[np.int64],
) -> tuple[list[msgspec.Struct], list[int], list[tuple[int, Rejected]]]:
    txs: list[msgspec.Struct] = []
    at: list[int] = []
    rejects: list[tuple[int, Rejected]] = []
    for i, value in enumerate(values):
        try:
            txs.append(profile.decode(value, int(received_us[i])))
            at.append(i)
        except Rejected as error:
            rejects.append((i, error))
    return txs, at, rejects
