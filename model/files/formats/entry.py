"""What every format is read into: entries, and what is said of those that are none."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from tidegate.errors import TidegateError

NO_REFERENCE = frozenset({"NOTPROVIDED", "NONREF", "NOREF", "EREF", "KREF", "PREF", "MREF", "MARF"})
"""What stands where a reference would: that there is none, or that it is in the text (`:86:`)."""


class Entry(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True):
    """One movement of money on one account, as a row of the file that `tidegate convert` writes.

    `amount` is in units of `currency` with all of its decimals, negative where money leaves the
    account. Times are ISO 8601: UTC (`Z`) where the format names a zone, without a zone where it
    names none, and midnight of the day where it gives no more.
    """

    id: str
    booked_at: str
    value_date: str = ""
    amount: str
    currency: str
    account: str
    counterparty: str = ""
    counterparty_account: str = ""
    reference: str = ""
    text: str = ""
    kind: str = ""
    reversal: bool
    merchant_category: str = ""
    terminal: str = ""
    cash_back: str = ""


REPEAT = "repeat"
"""The reason of an entry that stands in what was read before."""
AMOUNTS = frozenset({"amount", "cash_back"})


class Refused(NamedTuple):
    """An entry that is no row: where it stands, which field, and what is wrong with it.

    `detail` shows no value: a terminal is no place for a person's data.
    """

    place: str
    field: str
    reason: str
    detail: str


class Told(NamedTuple):
    """What is worth telling: above all a total of the file held against its entries.

    `good` is False where they do not agree, so that something is missing or wrong.
    """

    place: str
    words: str
    good: bool = True


Item = Entry | Refused | Told
Items = Iterator[Item]


class Fault(TidegateError):
    """A value that cannot be read. `reason` is for counting, `detail` for people."""

    def __init__(self, field: str, reason: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field
        self.reason = reason
        self.detail = detail

    def at(self, place: str) -> Refused:
        return Refused(place, self.field, self.reason, self.detail)


class Ids:
    """Ids of a statement's entries, the same whenever the entry is converted again.

    An id is made of the account and the bank's own reference, or of all that the entry says where
    the bank gives none; and of which one of equals within the statement it is, since two equal
    lines of a statement are two bookings. `sequence`, the statement's own number, tells equal ones
    of two statements apart where the bank gives no reference.
    """

    def __init__(self, sequence: str = "") -> None:
        self.sequence = sequence
        self._seen: Counter[bytes] = Counter()

    def of(self, *parts: str) -> str:
        """24 hexadecimal digits: of a million entries two share one with a chance of 1e-17."""
        return self.numbered(*parts)[0]

    def numbered(self, *parts: str) -> tuple[str, int]:
        """The id, and which one of equals it is, from 1."""
        key = _digest(list(parts))
        self._seen[key] += 1
        return _digest([key.hex(), self._seen[key]]).hex(), self._seen[key]


def with_id(row: Entry, ids: Ids, reference: str) -> Entry:
    """The row with its id. `reference` is the one under which the bank knows the booking; "" if
    there is none.
    """
    day = row.booked_at[:10]
    known = [row.account, day, row.amount, row.currency]
    if reference and reference not in NO_REFERENCE:
        return msgspec.structs.replace(row, id=ids.of(*known, reference))
    rest = [row.value_date, row.counterparty, row.counterparty_account, row.reference, row.text]
    return msgspec.structs.replace(row, id=ids.of(*known, *rest, row.kind, ids.sequence))


def _digest(parts: list[object] | list[str]) -> bytes:
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=12).digest()
