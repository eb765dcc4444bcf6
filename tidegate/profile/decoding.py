"""A strict msgspec struct of the declared fields, and what is wrong with JSON that does not fit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from tidegate.profile.field import Field
from tidegate.profile.number_types import Money
from tidegate.profile.spec import Json, UnknownFields
from tidegate.words import encodable

MAX_BYTES = 65_536
MAX_DEPTH = 16


class Fault(NamedTuple):
    """What is wrong with one field ("" for the whole record)."""

    reason: str
    field: str
    message: str


def make_struct(
    name: str, fields: Mapping[str, Field], id_field: str, unknown: UnknownFields = "refuse"
) -> type[msgspec.Struct]:
    """The struct of one transaction: required fields first.

    One that keeps unknown fields has a `__dict__` for them (`keep_unknown`).
    """
    required: list[Any] = []
    optional: list[Any] = []
    for field in fields.values():
        if field.optional or field.name == id_field:
            optional.append((field.name, field.annotation() | None, None))
        else:
            required.append((field.name, field.annotation()))
    return msgspec.defstruct(
        f"{name.title()}Transaction",
        [*required, *optional],
        kw_only=True,
        forbid_unknown_fields=unknown == "refuse",
        dict=unknown == "keep",
        omit_defaults=True,
        gc=unknown == "keep",  # without a look by the collector only where there is no __dict__
    )


def may_hold_nul(raws: Sequence[bytes]) -> bool:
    """Whether a text in one of the messages may hold the character NUL."""
    joined = b"\0".join(raws)
    # One byte is found forty times as fast as six, and most messages have no backslash.
    return b"\\" in joined and b"\\u0000" in joined


_REST = "rest"
_decode_any = msgspec.json.Decoder().decode
_encode_sorted = msgspec.json.Encoder(order="deterministic").encode


def keep_unknown(tx: msgspec.Struct, raw: bytes, fields: Mapping[str, Field]) -> Fault | None:
    """Keep beside a decoded transaction what its message holds besides, or say what is wrong."""
    rest = {name: value for name, value in _decode_any(raw).items() if name not in fields}
    if not rest:
        return None
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _depth(raw.decode()) > MAX_DEPTH:
        return Fault("too_deep", "", f"nested deeper than {MAX_DEPTH} levels")
    if b"\\u0000" in raw and _has_nul(rest):
        return Fault("out_of_bounds", "", "unknown fields hold the character NUL")
    tx.__dict__[_REST] = _encode_sorted(rest)
    return None


def with_unknown(tx: msgspec.Struct, canonical: bytes) -> bytes:
    """The canonical bytes, and what `keep_unknown` kept behind them, by name."""
    rest: bytes | None = tx.__dict__.get(_REST)
    if rest is None:
        return canonical
    return canonical[:-1] + (b"," if len(canonical) > 2 else b"") + rest[1:]


def _has_nul(value: Json) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(item) for item in (*value, *value.values()))
    return isinstance(value, list) and any(map(_has_nul, value))


def diagnose(
    raw: bytes,
    fields: Mapping[str, Field],
    id_field: str,
    received_us: int = 0,
    unknown: UnknownFields = "refuse",
) -> list[Fault]:
    """All faults of a message, none if it is good. Slow: for messages that did not decode."""
    document, fault = _parse(raw)
    if fault is not None:
        return [fault]
    if not isinstance(document, dict):
        return [Fault("not_an_object", "", "expected a JSON object")]
    faults = [
        Fault("unknown_field", encodable(name), "no such field in this profile")
        for name in document
        if name not in fields and unknown == "refuse"
    ]
    for field in fields.values():
        found = _field_fault(
            field, document.get(field.name), field.optional or field.name == id_field, received_us
        )
        if found is not None:
            faults.append(found)
    return faults + _amount_faults(document, fields, {fault.field for fault in faults})


def _amount_faults(document: Json, fields: Mapping[str, Field], bad: set[str]) -> list[Fault]:
    """The amounts that their currencies do not allow, among those that are good by themselves."""
    found = []
    for field in fields.values():
        if (
            isinstance(field, Money)
            and field.currency
            and bad.isdisjoint({field.name, field.currency})
        ):
            fault = amount_fault(field, document.get(field.name), document.get(field.currency))
            found += [fault] if fault else []
    return found


def amount_fault(field: Money, value: Json, code: Json) -> Fault | None:
    """The fault of an amount in the currency `code`, both good by themselves, if it has one."""
    message = "" if value is None else field.amount_fault(value, code)
    return Fault("out_of_bounds", field.name, message) if message else None


def _parse(raw: bytes) -> tuple[Any, Fault | None]:
    if not raw:
        return None, Fault("empty", "", "the message is empty")
    if len(raw) > MAX_BYTES:
        return None, Fault("too_large", "", f"{len(raw):,} bytes, at most {MAX_BYTES:,} are taken")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return None, Fault("invalid_utf8", "", str(error))
    if _depth(text) > MAX_DEPTH:
        return None, Fault("too_deep", "", f"nested deeper than {MAX_DEPTH} levels")
    try:
        return json.loads(text), None
    except ValueError as error:
        return None, Fault("invalid_json", "", str(error))


def _depth(text: str) -> int:
    depth = deepest = 0
    for character in text:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _field_fault(field: Field, value: Json, optional: bool, received_us: int) -> Fault | None:
    if value is None:
        return None if optional else Fault("missing_field", field.name, "this field is required")
    if not _finite(value):
        return Fault("not_finite", field.name, "expected a finite number")
    try:
        value = msgspec.json.decode(json.dumps(value), type=field.annotation())
    except msgspec.ValidationError as error:
        return _misfit(field, str(error))
    except msgspec.DecodeError as error:
        return Fault("invalid_json", field.name, str(error))
    return value_fault(field, value, received_us)


def _finite(value: Json) -> bool:
    if isinstance(value, list):
        return all(_finite(item) for item in value)
    return not isinstance(value, float) or -1.8e308 < value < 1.8e308


def _misfit(field: Field, message: str) -> Fault:
    """What msgspec says of a value as a fault."""
    if "RFC3339" in message:
        return Fault("bad_time", field.name, "expected an ISO 8601 time, or a number of `unit`")
    wrong_type = "got `" in message and "length" not in message
    reason = "wrong_type" if wrong_type else "out_of_bounds"
    return Fault(reason, field.name, field.complaint(message))


def value_fault(field: Field, value: Json, received_us: int = 0) -> Fault | None:
    """The fault of a value that msgspec has accepted, if it has one."""
    fault = field.fault(value, received_us)
    if fault is None:
        return None
    reason, message = fault
    return Fault(reason, field.name, message)
