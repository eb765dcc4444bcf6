"""What people read instead of a library's words."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from tests.profile.test_decoding import RAW
from tidegate.profile import load_profile
from tidegate.words import count, plain


class Parcel(msgspec.Struct, forbid_unknown_fields=True):
    weight: int


@pytest.mark.parametrize(
    ("number", "noun", "words"),
    [
        (0, "verdict", "0 verdicts"),
        (1, "verdict", "1 verdict"),
        (1200, "dead letter", "1,200 dead letters"),
    ],
)
def test_things_are_counted_as_people_do(number: int, noun: str, words: str) -> None:
    assert count(number, noun) == words
    assert count(number, "entry", "entries").endswith("entry" if number == 1 else "entries")


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        (-1, Annotated[float, Meta(ge=0)], "expected a number of at least 0"),
        (9.5, Annotated[float, Meta(le=0.01)], "expected a number of at most 0.01"),
        (1.5, int, "expected a whole number, got a number"),
        (5, str, "expected a text, got a whole number"),
        ("", Annotated[str, Meta(min_length=1)], "expected a text of at least 1 character"),
        ("abc", Annotated[str, Meta(max_length=2)], "expected a text of at most 2 characters"),
        ([], Annotated[list[float], Meta(min_length=3)], "expected a list of at least 3 items"),
        (True, datetime | int | None, "expected a whole number, a time or null, got true or false"),
        ({"colour": 1, "weight": 2}, Parcel, "unknown field `colour`"),
        ({}, Parcel, "missing field `weight`"),
        ("b", Literal["a"], "'b' is none of the values that are taken"),
        ([{"weight": None}], list[Parcel], "[0].weight: expected a whole number, got null"),
    ],
)
def test_msgspec_speaks_plainly(value: object, kind: type, words: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(value, kind)
    assert plain(str(caught.value)) == words


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"12.5", b"-1", "expected a number of at least 0.01"),
        (
            b"12.5",
            b'"12.50"',
            "expected a number, got a text, which is taken only with `text: true`",
        ),
        (b"12.5", b"true", "expected a number, got true or false"),
        (b'"u"', b'""', "expected a text of at least 1 character"),
        (b'"u"', b"5", "expected a text, got a whole number"),
        (b"true}", b'"yes"}', "expected true or false, got a text"),
    ],
)
def test_a_refused_transaction_is_told_so_plainly(old: bytes, new: bytes, words: str) -> None:
    assert [fault[1] for fault in load_profile("card").faults(RAW.replace(old, new))] == [words]


def test_a_wrong_category_is_told_the_values() -> None:
    kind: Any = Literal["a"]
    with pytest.raises(msgspec.ValidationError, match="Invalid enum value"):
        msgspec.convert("b", kind)
    raw = b'{"user_id":"u","transaction_type":"gift","amount":1,"balance_before":1,'
    raw += b'"balance_after":2,"timestamp":"2024-01-01T00:00:00Z"}'
    faults = load_profile("wallet").faults(raw)
    assert faults == [("transaction_type", "expected one of recarga, retiro")]
