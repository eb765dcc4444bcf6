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
        txs = _decode_lines(profile, values)
        return Intake(txs, columns_of(profile, txs, received_us), list(range(len(txs))), [])
    except (Unfit, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        txs, at, rejects = _one_by_one(profile, values, received_us)
    return Intake(txs, columns_of(profile, txs, received_us[at]), at, rejects)


def _decode_lines(profile: Profile, values: Sequence[bytes]) -> list[msgspec.Struct]:
    """One call for all, as lines. Raises Unfit for line breaks, NULs and giants in them."""
    joined = b"\n".join(values)
    if (
        joined.count(b"\n") != len(values) - 1
        or max(map(len, values)) > MAX_BYTES
        or b"\\u0000" in joined
    ):
        raise Unfit
    txs: list[msgspec.Struct] = profile.decoder.decode_lines(joined)
    if len(txs) != len(values):  # an empty line is no line
        raise Unfit
    return txs


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
