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
from tidegate.messages.ciphertext import ERASED, ERASED_KIND, is_closed, not_opened
from tidegate.profile import Profile
from tidegate.profile.decoding import MAX_BYTES, may_hold_nul
from tidegate.profile.envelope import Headers, Passed

UNFIT = (Unfit, Rejected, msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What is raised where one of many messages may be bad, which each by itself will show."""


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
    what is taken and what refused is the same. What is `ERASED` is passed over.
    """
    if profile.erasable and ERASED in values:
        return _without_erased(profile, values, received_us, headers, only)
    if profile.envelope is None:
        return take_rows(profile, values, received_us, only)
    rows: list[bytes] = []
    at: list[int] = []
    rejects: list[tuple[int, Rejected]] = []
    passed: Counter[str] = Counter()
    for i, value in enumerate(values):
        try:
            opened = profile.envelope.open(value, headers[i] if headers else None)
        except Rejected as error:
            rejects.append((i, not_opened(value) if is_closed(value) else error))
            continue
        if isinstance(opened, Passed):
            passed[opened.kind] += 1
        else:
            rows.append(opened)
            at.append(i)
    if not rows:
        nothing = columns_of(profile, [], received_us[:0])
        return Intake([], nothing, [], rejects, passed)
    intake = take_rows(profile, rows, received_us[at], only)
    rejects += [(at[i], error) for i, error in intake.rejects]
    return intake._replace(at=[at[i] for i in intake.at], rejects=rejects, passed=passed)


def _without_erased(
    profile: Profile,
    values: Sequence[bytes],
    received_us: NDArray[np.int64],
    headers: Sequence[Headers | None] | None,
    only: Collection[int] | None,
) -> Intake:
    """`take` of what is left; the others are only counted."""
    left = [i for i, value in enumerate(values) if value != ERASED]
    intake = take(
        profile,
        [values[i] for i in left],
        received_us[left],
        [headers[i] for i in left] if headers else None,
        only,
    )
    return intake._replace(
        at=[left[i] for i in intake.at],
        rejects=[(left[i], error) for i, error in intake.rejects],
        passed=Counter(intake.passed) + Counter({ERASED_KIND: len(values) - len(left)}),
    )


def take_rows(
    profile: Profile,
    values: Sequence[bytes],
    received_us: NDArray[np.int64],
    only: Collection[int] | None = None,
) -> Intake:
    """`take` for messages that are transactions as they stand, in no envelope.

    Decoded all at once; if one is bad, each by itself.
    """
    try:
        txs = decode_all(profile, values)
        return Intake(txs, columns_of(profile, txs, received_us, only), list(range(len(txs))), [])
    except UNFIT:
        txs, at, rejects = _one_by_one(profile, values, received_us)
    return Intake(txs, columns_of(profile, txs, received_us[at], only), at, rejects)


def decode_all(profile: Profile, values: Sequence[bytes]) -> list[msgspec.Struct]:
    """Each message by itself, so that none can take from another. Raises one of `UNFIT`, for NULs
    and giants too.

    Joined into lines and decoded in one call they took as long, and a message that is two objects,
    or half of one, shifted those behind it.
    """
    if max(map(len, values), default=0) > MAX_BYTES or may_hold_nul(values):
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
            rejects.append((i, not_opened(value) if is_closed(value) else error))
    return txs, at, rejects
