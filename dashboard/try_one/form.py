"""The form of a profile's fields, and the transaction that somebody has filled in."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from tidegate.profile import Field, Profile
from tidegate.profile.field_types import Bool, Category, String, Time
from tidegate.profile.number_types import Integer, Number, Vector
from tidegate.profile.sample import sample

Kind = Literal["text", "number", "choice", "open_choice", "bool", "numbers", "time"]
_SEPARATORS = re.compile(r"[\s,;]+")


class Input(NamedTuple):
    """One field of the form: how it is asked for, what stands in it, and what is wrong with it."""

    name: str
    kind: Kind
    value: str
    optional: bool
    choices: tuple[str, ...] = ()
    low: str = ""
    high: str = ""
    step: str = ""
    longest: int | None = None
    fault: str = ""


def example(profile: Profile, now_us: int, seed: int = 0) -> dict[str, Any]:
    """A transaction to begin with; each seed but 0 gives another one."""
    values = sample(profile, now_us)
    if seed:
        chance = random.Random(seed)  # noqa: S311 - an example has no secret
        values = {name: profile.fields[name].example(chance.random(), now_us) for name in values}
    return values


def asked(profile: Profile) -> list[Field]:
    """The fields that the form asks for: all but the id and what no model is shown."""
    return [
        field
        for field in profile.fields.values()
        if field.name != profile.id_field and not field.ignored
    ]


def inputs(
    profile: Profile, values: Mapping[str, Any], faults: Mapping[str, str] | None = None
) -> list[Input]:
    """The form with these values, those that are required first."""
    made = [
        _input(field, _text(values.get(field.name)), (faults or {}).get(field.name, ""))
        for field in asked(profile)
    ]
    return sorted(made, key=lambda one: one.optional)


def _input(field: Field, value: str, fault: str) -> Input:
    made = Input(field.name, _kind(field), value, field.optional, fault=fault)
    if isinstance(field, Category):
        return made._replace(choices=tuple(field.values))
    if isinstance(field, String):
        return made._replace(longest=field.max_length)
    if isinstance(field, Number) and not isinstance(field, Vector):
        low, high = (f"{bound:.15g}" for bound in field.bounds())
        return made._replace(low=low, high=high, step="1" if isinstance(field, Integer) else "any")
    return made


def _kind(field: Field) -> Kind:
    if isinstance(field, Category):
        closed = field.values and not field.open and field.type == "category"
        return "choice" if closed else "open_choice"
    if isinstance(field, Vector):
        return "numbers"
    if isinstance(field, Number):
        return "number"
    if isinstance(field, Bool):
        return "bool"
    return "time" if isinstance(field, Time) else "text"


def _text(value: object) -> str:
    """A JSON value as it stands in the form."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return str(value)


def transaction(profile: Profile, form: Mapping[str, str]) -> dict[str, Any]:
    """What was filled in, as JSON. A text that is no number stays one: the profile says so."""
    return {
        field.name: _value(field, text)
        for field in asked(profile)
        if (text := form.get(field.name, "").strip())
    }


def _value(field: Field, text: str) -> object:
    if isinstance(field, Bool):
        return {"true": True, "false": False}.get(text, text)
    if isinstance(field, Vector):
        return [_number(part, whole=False) for part in _SEPARATORS.split(text) if part]
    if isinstance(field, Number) or (isinstance(field, Time) and field.unit != "text"):
        return _number(text, whole=isinstance(field, Integer))
    return text


def _number(text: str, *, whole: bool) -> float | str:
    try:
        number = int(text) if whole else float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) and abs(number) < 2**63 else text
