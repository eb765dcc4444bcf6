"""Decoded transactions as columns of times, numbers and hashes: where JSON becomes numbers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from tidegate.profile import Field, Profile
from tidegate.profile.currencies import minor_units as currency_places
from tidegate.profile.field_types import Currency, Time
from tidegate.profile.number_types import MONEY_LIMIT, Money, Number
from tidegate.profile.spec import SECOND

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Unfit(Exception):
    """Some record of the batch is out of bounds; look at them one by one."""


@dataclass(slots=True)
class Columns:
    """The columns of n transactions.

    `times` i8 us, `amounts` i8 minor units, `values` f8[n, profile.values] with the inputs filled
    in, `hashes` u8[n, profile.hashed], `texts` the bytes of each hashed field.
    """

    times: Ints
    amounts: Ints
    values: Floats
    hashes: NDArray[np.uint64]
    texts: dict[str, list[bytes]]

    def take(self, index: NDArray[np.intp]) -> Columns:
        """Those of the transactions at `index`, in that order."""
        chosen = index.tolist()
        return Columns(
            self.times[index],
            self.amounts[index],
            self.values[index],
            self.hashes[index],
            {name: [column[i] for i in chosen] for name, column in self.texts.items()},
        )


def columns_of(
    profile: Profile,
    txs: Sequence[msgspec.Struct],
    received_us: Ints,
    only: Collection[int] | None = None,
) -> Columns:
    """Columns of decoded transactions; `received_us` i8[n] bounds their times. Raises Unfit.

    `only` these columns are filled in, and what may be out of bounds.
    """
    times, amounts, values = inputs_of(profile, txs, received_us, only)
    texts = {name: to_bytes(list(map(attrgetter(name), txs))) for name in profile.hashed}
    return Columns(times, amounts, values, hash_columns(profile, texts, len(txs)), texts)


def inputs_of(
    profile: Profile,
    txs: Sequence[msgspec.Struct],
    received_us: Ints,
    only: Collection[int] | None = None,
) -> tuple[Ints, Ints, Floats]:
    """Times, amounts and values as in `Columns`, without what is hashed. Raises Unfit."""
    n = len(txs)
    times = event_times(profile, txs, received_us)
    values = np.full((n, len(profile.values)), np.nan)
    amounts = np.zeros(n, np.int64)
    units = _currency_units(profile, txs)
    for field, place in profile.input_fields:
        if only is not None and place.start not in only and not _bounded(field):
            continue
        column = list(map(attrgetter(field.name), txs))
        if (not column or column[0] is None) and column.count(None) == n:
            continue
        numeric = numbers(field, column)
        values[:, place] = numeric.reshape(n, -1)
        if isinstance(field, Money):
            minor = minor_units(field, numeric, units.get(field.currency))
            amounts = minor if field.name == profile.money_field else amounts
    _look(profile, txs, received_us)
    _look_at_ignored(profile, txs, units)
    return times, amounts, values


def _look(profile: Profile, txs: Sequence[msgspec.Struct], received_us: Ints) -> None:
    """Look at the values that neither the time nor the numbers above have shown to be good."""
    for field in profile.looked_at:
        if field.name == profile.time_field or (_bounded(field) and not field.ignored):
            continue
        if field.tokenised or isinstance(field, Currency):  # the decoder, and `_currency_units` did
            continue
        column = map(attrgetter(field.name), txs)
        for value, received in zip(column, received_us.tolist(), strict=True):
            if value is not None and field.fault(value, received):
                raise Unfit


def _look_at_ignored(
    profile: Profile, txs: Sequence[msgspec.Struct], units: dict[str, Floats]
) -> None:
    """Look at the amounts in currencies of their own that are no inputs. Raises Unfit."""
    for field in profile.fields.values():
        if isinstance(field, Money) and field.currency and field.ignored:
            column = numbers(field, list(map(attrgetter(field.name), txs)))
            minor_units(field, column, units[field.currency])


def _bounded(field: Field) -> bool:
    """Whether `numbers` may find that a value is out of bounds."""
    return isinstance(field, Money) or (isinstance(field, Number) and field.text)


def event_times(profile: Profile, txs: Sequence[msgspec.Struct], received_us: Ints) -> Ints:
    """i8[n] us; `received_us` where the profile has no time. Raises Unfit."""
    field = profile.fields.get(profile.time_field or "")
    if not isinstance(field, Time):
        return received_us
    times = parse_times(field, list(map(attrgetter(field.name), txs)))
    too_early = times < field.not_before
    too_late = (received_us > 0) & (times > received_us + field.max_ahead)
    if (too_early | too_late).any():
        raise Unfit
    return times


def hash_columns(profile: Profile, texts: dict[str, list[bytes]], n: int) -> NDArray[np.uint64]:
    """u8[n, profile.hashed]; 0 where the text is missing (empty)."""
    from model.hashing import hash64  # compiled: whoever only parses times does without

    hashes = np.zeros((n, len(profile.hashed)), np.uint64)
    for place, name in enumerate(profile.hashed):
        column = texts[name]
        hashes[:, place] = hash64(column)
        if profile.fields[name].optional:
            missing = [row for row, text in enumerate(column) if not text]
            hashes[missing, place] = 0
    return hashes


def parse_times(field: Time, column: Sequence[datetime | float]) -> Ints:
    """i8 us of a field's JSON times. Raises Unfit."""
    if set(map(type, column)) == {datetime}:
        moments = cast(Sequence[datetime], column)
        if None in set(map(attrgetter("tzinfo"), moments)):
            moments = [
                moment if moment.tzinfo else moment.replace(tzinfo=UTC) for moment in moments
            ]
        seconds = np.fromiter(map(datetime.timestamp, moments), np.float64, len(moments))
        times: Ints = np.rint(seconds * SECOND).astype(np.int64)
        return times
    try:
        return np.array([field.us(value) for value in column], np.int64)
    except ValueError as error:
        raise Unfit from error


def _currency_units(profile: Profile, txs: Sequence[msgspec.Struct]) -> dict[str, Floats]:
    """How many minor units one unit of each transaction's currency has, f8[n], 1 where it names
    none, by the fields that hold currencies. Raises Unfit for what is no currency.
    """
    units = {}
    for field in profile.fields.values():
        if isinstance(field, Currency):
            codes = list(map(attrgetter(field.name), txs))
            try:
                known = {code: 10.0 ** currency_places(code) for code in set(codes) - {None}}
            except ValueError as error:
                raise Unfit from error
            units[field.name] = np.array([known.get(code, 1.0) for code in codes], np.float64)
    return units


def minor_units(field: Money, column: Floats, units: Floats | None) -> Ints:
    """Money in units to whole minor units, halves to even; a missing amount is 0.

    `units` f8[n] are how many minor units a unit has, by each amount's own currency. Raises Unfit
    for an amount that its currency does not allow.
    """
    present = np.nan_to_num(column)
    minor = np.rint(present * (10.0**field.decimals if units is None else units))
    if units is not None and ((minor / units != present) | (abs(minor) > MONEY_LIMIT)).any():
        raise Unfit
    return np.asarray(minor.astype(np.int64))


def numbers(field: Field, column: Sequence[Any] | Floats) -> Floats:
    """One field's JSON values as f8[n] (lists as f8[n, length]), NaN if missing. Raises Unfit."""
    result = np.array(column if field.is_number else field.numbers(column), np.float64)
    if _bounded(field) and isinstance(field, Number):
        low, high = field.bounds()
        if ((result < low) | (result > high)).any():
            raise Unfit
    if not isinstance(field, Money) or field.currency:
        return result
    unit = 10.0**field.decimals
    return np.asarray(np.rint(result * unit) / unit)


def to_bytes(column: Sequence[Any]) -> list[bytes]:
    """Texts (or whole numbers) as bytes; a missing one is empty. Raises Unfit."""
    try:
        return list(map(str.encode, column))
    except TypeError:
        if any(isinstance(value, int) and abs(value) >= 2**63 for value in column):
            raise Unfit from None
        return [b"" if value is None else str(value).encode() for value in column]
