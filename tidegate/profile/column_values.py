"""A field's value as connectors write it: decimals and times whose type stands in a schema."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Literal, NamedTuple

import msgspec

from tidegate.errors import Rejected
from tidegate.profile.field import Field
from tidegate.profile.field_types import Category, String, Time, time_us
from tidegate.profile.number_types import Money, Number

_CONNECT = "org.apache.kafka.connect.data."
_DEBEZIUM = "io.debezium.time."
DECIMAL = f"{_CONNECT}Decimal"
UNITS: dict[str, Literal["ms", "us", "ns", "days"]] = {
    f"{_CONNECT}Timestamp": "ms",
    f"{_CONNECT}Date": "days",
    f"{_DEBEZIUM}Timestamp": "ms",
    f"{_DEBEZIUM}MicroTimestamp": "us",
    f"{_DEBEZIUM}NanoTimestamp": "ns",
    f"{_DEBEZIUM}Date": "days",
}
"""What a number counts, by the name of its schema."""
UNAVAILABLE = b'"__debezium_unavailable_value"'
"""What stands for a long text that an update left alone."""
_MOST_BYTES, _MOST_SCALE = 128, 400
_EXACT = Context(prec=1000, rounding=ROUND_HALF_EVEN)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(rb'"(\d{4}-\d{2}-\d{2})Z?"')


class ColumnType(NamedTuple):
    """What a record's own schema says of a column: the name of its type, and a decimal's scale."""

    name: str = ""
    scale: int | None = None


UNTYPED = ColumnType()


class _Scaled(msgspec.Struct):
    """A decimal that brings its scale along."""

    scale: int
    value: str


def plain(field: Field, column: ColumnType, raw: bytes) -> bytes:
    """A column's JSON as the JSON that the field takes. Raises Rejected.

    What is no connector's notation passes as it is.
    """
    if isinstance(field, Number):
        return _number(field, column, raw)
    if isinstance(field, Time):
        return _time(field, column, raw)
    if raw == UNAVAILABLE and isinstance(field, String | Category):
        raise Rejected("unavailable_value", f"{field.name}: an update did not send this column")
    return raw


def _number(field: Number, column: ColumnType, raw: bytes) -> bytes:
    if raw.startswith(b"{"):
        scaled = _scaled(field, raw)
        return _written(field, _decimal(field, scaled.value, scaled.scale))
    scale = column.scale if column.name == DECIMAL else field.scale
    if scale is None or not raw.startswith(b'"'):
        return raw
    return _written(field, _decimal(field, msgspec.json.decode(raw, type=str), scale))


def _scaled(field: Field, raw: bytes) -> _Scaled:
    try:
        return msgspec.json.decode(raw, type=_Scaled)
    except msgspec.DecodeError as error:
        raise Rejected(
            "wrong_type", f"{field.name}: expected a number or scale and value"
        ) from error


def _decimal(field: Field, text: str, scale: int) -> Decimal:
    """The exact number: big-endian bytes of its digits, two's complement, in base64."""
    try:
        digits = b64decode(text, validate=True)
    except ValueError:
        digits = b""
    if not digits or b64encode(digits).decode() != text:
        raise Rejected("wrong_type", f"{field.name}: expected base64 of a decimal's digits")
    if len(digits) > _MOST_BYTES or abs(scale) > _MOST_SCALE:
        raise Rejected("out_of_bounds", f"{field.name}: a decimal of too many digits")
    return Decimal(int.from_bytes(digits, "big", signed=True)).scaleb(-scale, _EXACT)


def _written(field: Number, number: Decimal) -> bytes:
    """The number in JSON; money is rounded exactly to its minor units, halves to even (but
    one whose decimals are its currency's is not: more of them are refused).
    """
    if isinstance(field, Money) and not field.currency:
        number = number.quantize(Decimal(1).scaleb(-field.decimals), context=_EXACT)
    elif number == number.to_integral_value():
        number = number.quantize(Decimal(1), context=_EXACT)
    return format(number, "f").encode()


def _time(field: Time, column: ColumnType, raw: bytes) -> bytes:
    if found := _DATE.fullmatch(raw):
        return b'"%sT00:00:00Z"' % found[1]
    unit = UNITS.get(column.name)
    if unit is None or raw == b"null":
        return raw
    try:
        number: Any = msgspec.json.decode(raw, type=int)
        moment = _EPOCH + timedelta(microseconds=time_us(number, unit))
    except (ValueError, msgspec.DecodeError) as error:
        raise Rejected(
            "bad_time", f"{field.name}: expected a time between 1970 and 2200"
        ) from error
    return b'"%s"' % moment.isoformat().replace("+00:00", "Z").encode()
