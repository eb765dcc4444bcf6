"""Whether a message's new JSON Schema still suits who reads and writes by the old one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]


def breaks(old: Json, new: Json) -> list[str]:
    """What the new schema of a message breaks, in words; empty where nothing is.

    A field that is gone, or has another type, breaks who reads it; one that is required now breaks
    who writes without it. New optional fields and new messages of a topic break nobody.
    """
    return list(_Pair(old.get("$defs", {}), new.get("$defs", {})).breaks(old, new, ""))


class _Pair:
    """Two documents, with what their references mean."""

    def __init__(self, old: Json, new: Json) -> None:
        self._old, self._new = old, new

    def breaks(self, old: Json, new: Json, place: str) -> Iterator[str]:
        old, new = _resolved(old, self._old), _resolved(new, self._new)
        if "anyOf" in old or "anyOf" in new:
            yield from self._of_variants(_variants(old), _variants(new), place)
            return
        if _types(old) - _types(new):
            told = " or ".join(sorted(_types(new))) or "nothing that is known"
            yield f"{place or 'the message'} was {' or '.join(sorted(_types(old)))}, is {told}"
        yield from self._of_fields(old, new, place)
        if "items" in old and "items" in new:
            yield from self.breaks(old["items"], new["items"], f"{place}[]")

    def _of_fields(self, old: Json, new: Json, place: str) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name, schema in before.items():
            if name in after:
                yield from self.breaks(schema, after[name], f"{place}.{name}".lstrip("."))
            else:
                yield f"{place}.{name}".lstrip(".") + " is gone"
        for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
            yield f"{place}.{name}".lstrip(".") + " is required now"

    def _of_variants(self, old: list[Json], new: list[Json], place: str) -> Iterator[str]:
        after = {_name(one, self._new): one for one in new}
        for one in old:
            name = _name(one, self._old)
            if name in after:
                yield from self.breaks(one, after[name], place)
            else:
                yield f"{place or 'the message'} is no {name} any more"


def _resolved(schema: Json, definitions: Json) -> Json:
    """What a reference stands for, else the schema itself."""
    while "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    return schema


def _variants(schema: Json) -> list[Json]:
    return list(schema.get("anyOf", [schema]))


def _name(schema: Json, definitions: Json) -> str:
    """By what a variant is known among the others: its title, else its type."""
    resolved = _resolved(schema, definitions)
    return str(resolved.get("title") or " or ".join(sorted(_types(resolved))))


def _types(schema: Json) -> set[str]:
    """The types of JSON that a schema names; of constants, theirs."""
    named = schema.get("type", [])
    types = {named} if isinstance(named, str) else set(named)
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    return types | {_TYPES[type(value)] for value in values}


_TYPES = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}
