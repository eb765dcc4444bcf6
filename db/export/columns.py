"""The columns of an export, and rows as their values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from db.decode import SHADOW
from db.search.around import verdicts_on
from db.search.filters import Filters
from db.search.search import search
from db.store import Store
from tidegate.profile import Profile
from tidegate.profile.currencies import is_currency, minor_units

Kind = Literal["text", "number", "time"]
AT_ONCE = 2_000
"""Rows in memory."""


class Column(NamedTuple):
    """Its name in the file, and what kind its values are; `time` is us since 1970, UTC."""

    name: str
    kind: Kind


_FIRST = (
    Column("transaction_id", "text"),
    Column("account", "text"),
    Column("event_time", "time"),
    Column("ingested_time", "time"),
    Column("amount", "number"),
    Column("decision", "text"),
    Column("score", "number"),
    Column("verdict", "text"),
    Column("bundle", "text"),
    Column("profile", "text"),
    Column("reasons", "text"),
)


def columns_of(profile: Profile) -> list[Column]:
    """Those of the rows themselves, then payload_FIELD, feature_NAME and score_DETECTOR."""
    return [
        *_FIRST,
        *(Column(f"payload_{name}", "text") for name in profile.fields),
        *(Column(f"feature_{name}", "number") for name in profile.values),
        *(Column(f"score_{name}", "number") for name in (*profile.models.names, SHADOW)),
    ]


def exported(
    store: Store, profile: Profile, filters: Filters, *, masked: bool
) -> Iterator[list[list[Any]]]:
    """The rows that are meant, newest first, some at a time, each a list in the columns' order.

    Rows of other versions of the profile have what this one knows by name. No transaction of the
    database lasts longer than one list. Raises Retry.
    """
    cursor = None
    while True:
        with store.reading() as connection:
            page = search(connection, filters, cursor, AT_ONCE)
            documents = store.full(connection, page.seqs)
            held = verdicts_on(connection, [row["transaction_id"] for row in documents])
        if documents:
            yield [
                _values(profile, profile.masks.row(row) if masked else row, row["payload"], held)
                for row in documents
            ]
        if page.following is None:
            return
        cursor = page.following


def _values(
    profile: Profile, row: Mapping[str, Any], stored: str, held: Mapping[str, bool]
) -> list[Any]:
    """`stored` is the payload without masks: an amount is in the currency that it names, and
    missing where that is not known.
    """
    payload = msgspec.json.decode(row["payload"])
    fraud = held.get(row["transaction_id"])
    return [
        row["transaction_id"],
        row["account"],
        row["event_us"],
        row["ingested_us"],
        _units(profile, row["amount_minor"], stored),
        row["decision"],
        row["score"],
        None if fraud is None else "fraud" if fraud else "legitimate",
        row["bundle"],
        row["profile"],
        msgspec.json.encode(row["reasons"]).decode() if row["reasons"] else None,
        *(_text(payload.get(name)) for name in profile.fields),
        *(row["features"].get(name) for name in profile.values),
        *(row["scores"].get(name) for name in (*profile.models.names, SHADOW)),
    ]


def _units(profile: Profile, minor: int, stored: str) -> float | None:
    if profile.money_field is None:
        return None
    places = profile.decimals
    if profile.currency_field:
        code = str(msgspec.json.decode(stored).get(profile.currency_field))
        if not is_currency(code):  # a row of an earlier version of the profile
            return None
        places = minor_units(code)
    return float(minor / 10**places)


def _text(value: Any) -> str | None:  # noqa: ANN401 - any JSON
    """A text as it is, anything else as JSON."""
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()
