"""From declared fields to a strict msgspec struct, and from bad JSON to a complaint for each bad
field.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from tidegate.profile.spec import SECOND, Field, Json

MAX_BYTES = 65_536
MAX_DEPTH = 16
_LATEST = 7_258_118_400 * SECOND  # the year 2200
_EXACT = float(2**53)
_NUMBER = r"^-?\d{1,15}(\.\d{1,15})?$"


class Fault(NamedTuple):
    """What is wrong with one field ("" for the whole record)."""

    reason: str
    field: str
    message: str


def bounds(field: Field) -> tuple[float, float]:
    """The least and the greatest value a numeric field takes."""
    low, high = {"money": (0.0, 10_000_000.0), "integer": (-_EXACT, _EXACT)}.get(
        field.type, (-1e12, 1e12)
    )
    return field.min if field.min is not None else low, field.max if field.max is not None else high


def json_type(field: Field) -> Json:
    """The annotation msgspec checks a present field by."""
    low, high = bounds(field)
    number = Annotated[float, Meta(ge=low, le=high)]
    match field.type:
        case "string":
            text = Annotated[str, Meta(min_length=1, max_length=field.max_length)]
            return text | int if field.integers else text
        case "money":
            return number | Annotated[str, Meta(pattern=_NUMBER)]
        case "number":
            return number
        case "integer":
            return Annotated[int, Meta(ge=int(low), le=int(high))]
        case "bool":
            return bool
        case "time":
            return datetime | int | float
        case "vector":
            return Annotated[list[number], Meta(min_length=field.length, max_length=field.length)]
        case "category":
            return (
                Annotated[str, Meta(max_length=field.max_length)]
                if field.open
                else Literal[tuple(field.values)]
            )


def make_struct(name: str, fields: Mapping[str, Field], id_field: str) -> type[msgspec.Struct]:
    """The struct of one transaction: required fields first, unknown ones refused."""
    required: list[Any] = []
    optional: list[Any] = []
    for field in fields.values():
        if field.optional or field.name == id_field:
            optional.append((field.name, json_type(field) | None, None))
        else:
            required.append((field.name, json_type(field)))
    return msgspec.defstruct(
        f"{name.title()}Transaction",
        [*required, *optional],
        kw_only=True,
        forbid_unknown_fields=True,
        omit_defaults=True,
        gc=False,
    )


def time_us(value: datetime | float) -> int:
    """Microseconds since 1970 of a JSON time; a time without zone is UTC. Raises ValueError."""
    if isinstance(value, datetime):
        value = (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if not 0 <= value * SECOND <= _LATEST:
        raise ValueError("expected a time between 1970 and 2200")
    return round(value * SECOND)


def time_fault(field: Field, event_us: int, received_us: int) -> str:
    """Why an event time is out of bounds, or "". `received_us` 0: unknown, the future is not
    checked.
    """
    if event_us < field.not_before:
        return (
            "expected a time from "
            f"{datetime.fromtimestamp(field.not_before / SECOND, UTC).isoformat()} on"
        )
    if received_us and event_us > received_us + field.max_ahead:
        return f"the time is more than {field.max_ahead // SECOND} s in the future"
    return ""


def diagnose(
    raw: bytes, fields: Mapping[str, Field], id_field: str, received_us: int = 0
) -> list[Fault]:
    """All that is wrong with a message; slow, so only for messages that did not decode. Empty:
    nothing.
    """
    document, fault = _parse(raw)
    if fault is not None:
        return [fault]
    if not isinstance(document, dict):
        return [Fault("not_an_object", "", "expected a JSON object")]
    faults = [
        Fault("unknown_field", name, "no such field in this profile")
        for name in document
        if name not in fields
    ]
    for field in fields.values():
        found = _field_fault(
            field, document.get(field.name), field.optional or field.name == id_field, received_us
        )
        if found is not None:
            faults.append(found)
    return faults


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
        value = msgspec.json.decode(json.dumps(value), type=json_type(field))
    except msgspec.ValidationError as error:
        return _kind_of_fault(field, str(error))
    except msgspec.DecodeError as error:
        return Fault("invalid_json", field.name, str(error))
    return value_fault(field, value, received_us)


def _finite(value: Json) -> bool:
    if isinstance(value, list):
        return all(_finite(item) for item in value)
    return not isinstance(value, float) or -1.8e308 < value < 1.8e308


def _kind_of_fault(field: Field, message: str) -> Fault:
    if "RFC3339" in message:
        return Fault("bad_time", field.name, "expected an ISO 8601 time or epoch seconds")
    if "got `" in message and "length" not in message:
        return Fault("wrong_type", field.name, message)
    if field.type == "category":
        message = f"expected one of {', '.join(field.values)}"
    return Fault("out_of_bounds", field.name, message)


def value_fault(field: Field, value: Json, received_us: int = 0) -> Fault | None:
    """What msgspec cannot see: money in strings, times, control characters in texts."""
    if field.type == "time":
        try:
            problem = time_fault(field, time_us(value), received_us)
        except ValueError as error:
            problem = str(error)
        return Fault("bad_time", field.name, problem) if problem else None
    if field.type == "money" and isinstance(value, str):
        low, high = bounds(field)
        if not low <= float(value) <= high:
            return Fault("out_of_bounds", field.name, f"expected an amount from {low} to {high}")
    if field.type == "string" and isinstance(value, str) and "\0" in value:
        return Fault("out_of_bounds", field.name, "a NUL character is not allowed")
    if field.type == "string" and isinstance(value, int) and abs(value) >= 2**63:
        return Fault("out_of_bounds", field.name, "expected a whole number of 63 bits")
    return None
