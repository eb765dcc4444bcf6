"""What breaks who goes by a schema, and what does not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tidegate.messages.compatible import breaks


class Inner(msgspec.Struct):
    share: float


class Old(msgspec.Struct, tag="first"):
    name: str
    count: int | None = None
    parts: list[Inner] = []


class Other(msgspec.Struct, tag="other"):
    word: str


Fields = list[Any]
SAME: Fields = [("name", str), ("count", int | None, None), ("parts", list[Inner], [])]
Narrow = msgspec.defstruct("Inner", [("part", float, 0.0)])


def schema(fields: Fields, *others: Any) -> dict[str, Any]:  # noqa: ANN401 - types of messages
    made = msgspec.defstruct("Old", fields, tag="first")
    kinds: Any = made
    for other in others:
        kinds |= other
    return msgspec.json.schema(kinds)


def test_the_same_schema_breaks_nothing() -> None:
    assert breaks(schema(SAME), schema(SAME)) == []
    assert breaks(msgspec.json.schema(Old | Other), msgspec.json.schema(Old | Other)) == []


def test_an_optional_field_and_another_message_break_nothing() -> None:
    assert breaks(schema(SAME), schema([*SAME, ("more", str, "")])) == []
    assert breaks(schema(SAME), schema(SAME, Other)) == []
    looser: Fields = [("name", str, ""), *SAME[1:]]
    assert breaks(schema(SAME), schema(looser)) == []
    wider: Fields = [("name", str | int), *SAME[1:]]
    assert breaks(schema(SAME), schema(wider)) == []


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (SAME[:2], "parts is gone"),
        ([("more", str), *SAME], "more is required now"),
        ([("name", int), *SAME[1:]], "name was string, is integer"),
        ([SAME[0], ("count", int, 0), SAME[2]], "count is no null any more"),
        ([*SAME[:2], ("parts", list[Narrow], [])], "parts[].share is gone"),
        ([*SAME[:2], ("parts", dict[str, Inner], {})], "parts was array, is object"),
    ],
)
def test_what_breaks_is_named(fields: Fields, told: str) -> None:
    assert breaks(schema(SAME), schema(fields)) == [told]
    assert breaks(schema(SAME, Other), schema(fields, Other)) == [told]


def test_a_message_that_comes_no_more_is_named() -> None:
    assert breaks(schema(SAME, Other), schema(SAME)) == ["the message is no Other any more"]


def test_a_constant_has_the_type_of_its_value() -> None:
    assert breaks({"const": "a"}, {"type": "string"}) == []
    assert breaks({"enum": ["a", 1]}, {"enum": ["b"]}) == [
        "the message was integer or string, is string"
    ]
