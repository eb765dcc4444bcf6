"""Messages as columns: what the first keyed step (and a backtest) takes and refuses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.features.columns import Columns, Unfit, columns_of
from tidegate.errors import Rejected
from tidegate.profile import Profile
from tidegate.profile.decoding import MAX_BYTES
from tidegate.profile.envelope import Headers, Passed


class Intake(NamedTuple):
    """Decoded transactions, their columns, their indices in the batch (`at`), and the rejects.

    `passed` counts the records that are neither, by what they are.
    """

    txs: list[msgspec.Struct]
    columns: Columns
    at: list[int]
    rejects: list[tuple[int, Rejected]]
    passed: Mapping[str, int] = MappingProxyType({})

    def only(self, index: NDArray[np.intp]) -> Intake:
        """With no other transactions than those at `index`."""
        chosen = index.tolist()
        return self._replace(
            txs=[self.txs[i] for i in chosen],
            columns=self.columns.take(index),
            at=[self.at[i] for i in chosen],
        )


def take(
    profile: Profile,
    values: Sequence[bytes],
    received_us: NDArray[np.int64],
    headers: Sequence[Headers | None] | None = None,
    only: Collection[int] | None = None,
) -> Intake:
    """Decode all messages, out of the profile's envelope if it has one.

    `received_us` i8[n] bounds their times (0: unknown). With `only`, other columns are left empty;
    what is taken and what refused is the same.
    """
    if profile.envelope is None:
        return _take(profile, values, received_us, only)
    rows: list[bytes] = []
    at: list[int] = []
    rejects: list[tuple[int, Rejected]] = []
    passed: Counter[str] = Counter()
    for i, value in enumerate(values):
        try:
            opened = profile.envelope.open(value, headers[i] if headers else None)
        except Rejected as error:
            rejects.append((i, error))
            continue
        if isinstance(opened, Passed):
            passed[opened.kind] += 1
        else:
            rows.append(opened)
            at.append(i)
    if not rows:
        nothing = columns_of(profile, [], received_us[:0])
        return Intake([], nothing, [], rejects, passed)
    intake = _take(profile, rows, received_us[at], only)
    rejects += [(at[i], error) for i, error in intake.rejects]
    return intake._replace(at=[at[i] for i in intake.at], rejects=rejects, passed=passed)


def _take(
    profile: Profile,
    values: Sequence[bytes],
    received_us: NDArray[np.int64],
    only: Collection[int] | None,
) -> Intake:
    """Decode all messages at once; if one is bad, each by itself."""
    try:
        txs = _decode_all(profile, values)
        return Intake(txs, columns_of(profile, txs, received_us, only), list(range(len(txs))), [])
    except (Unfit, Rejected, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        txs, at, rejects = _one_by_one(profile, values, received_us)
    return Intake(txs, columns_of(profile, txs, received_us[at], only), at, rejects)


def _decode_all(profile: Profile, values: Sequence[bytes]) -> list[msgspec.Struct]:
    """Each message by itself, so that none can take from another. Raises Unfit for NULs and giants.

    Joined into lines and decoded in one call they took as long, and a message that is two objects,
    or half of one, shifted those behind it.
    """
    if max(map(len, values), default=0) > MAX_BYTES:
        raise Unfit
    joined = b"\0".join(values)
    # one byte is looked for thirty times as fast as six
    if b"\\" in joined and b"\\u0000" in joined:
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
