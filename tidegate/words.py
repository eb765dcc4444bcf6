"""Words for people: counted things, and what msgspec complains of in plain English."""

from __future__ import annotations

import re

_TYPES = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "datetime": "a time",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_ITEMS = {"str": "character", "array": "item"}
_LIMITS = {">=": "of at least", "<=": "of at most"}
_LENGTHS = {">=": "at least ", "<=": "at most ", "": ""}
_EXPECTED = re.compile(r"expected `([\w |]+)`", re.IGNORECASE)
_BOUNDED = re.compile(r"expected `(int|float)` ([<>]=) (\S+)", re.IGNORECASE)
_SIZED = re.compile(r"expected `(str|array)` of length (?:([<>]=) )?(\d+)", re.IGNORECASE)
_ENUM = re.compile(r"invalid enum value ('.*')")
_GOT = re.compile(r"got `(\w+)`")


def count(number: int, noun: str, plural: str = "") -> str:
    """A number of things: `1 verdict`, `1,200 verdicts`, `2 boxes`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {plural or noun + 's'}"


def encodable(text: str) -> str:
    """The same text, with an escape in place of half a surrogate pair: JSON may escape one, and
    UTF-8 has none.
    """
    return text.encode("utf-8", "backslashreplace").decode()


def plain(message: str) -> str:
    """A message of msgspec's validation, without the names that Python gives to types.

    ``Expected `float` >= 0.0`` becomes `expected a number of at least 0`, and
    ``Expected `str`, got `int` `` becomes `expected a text, got a whole number`. Where it names a
    place inside, that stands first: `[0].note: expected a text, got null`.
    """
    message, _, path = message.partition(" - at `$")
    words = _plain(message[:1].lower() + message[1:])
    place = path.strip(".`")
    return f"{place}: {words}" if place else words


def _plain(message: str) -> str:
    message = _BOUNDED.sub(_bounded, message)
    message = _SIZED.sub(_sized, message)
    message = _EXPECTED.sub(lambda match: f"expected {_either(match[1])}", message)
    message = _GOT.sub(lambda match: f"got {_either(match[1])}", message)
    message = message.replace("object contains unknown field", "unknown field")
    message = message.replace("object missing required field", "missing field")
    return _ENUM.sub(r"\1 is none of the values that are taken", message)


def _bounded(match: re.Match[str]) -> str:
    limit = match[3].removesuffix(".0")
    return f"expected {_TYPES[match[1]]} {_LIMITS[match[2]]} {limit}"


def _sized(match: re.Match[str]) -> str:
    size = count(int(match[3]), _ITEMS[match[1]])
    return f"expected {_TYPES[match[1]]} of {_LENGTHS[match[2] or '']}{size}"


def _either(types: str) -> str:
    """Types in the way of `str | int` as words."""
    *words, last = [_TYPES.get(name, name) for name in types.split(" | ")]
    return f"{', '.join(words)} or {last}" if words else last
