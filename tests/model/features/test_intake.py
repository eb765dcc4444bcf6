"""A message is taken or refused by itself, whatever stands beside it in the batch."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.features.intake import take
from tests.faults.poison.corpus import POISON_RAW, tx
from tidegate.profile import Profile, load_profile

PROFILE = load_profile("card")
GOOD = [tx(transaction_id=f"g{i}", amount=i + 1) for i in range(6)]
HALF = len(GOOD[1]) // 2
COMMA = GOOD[1].index(b",") + 1
NASTY = [
    b"",
    GOOD[0] + b" " + GOOD[1],
    GOOD[0] + GOOD[1],
    GOOD[0] + b"\n" + GOOD[1],
    GOOD[0] + b"\n" + GOOD[1] + b"\n" + GOOD[2],
    GOOD[1][:HALF],
    GOOD[1][HALF:],
    GOOD[1][:COMMA],
    GOOD[1][COMMA:],
    b"\n",
    b"\n" + GOOD[2],
    GOOD[2] + b"\n",
    b"\r\n " + GOOD[2] + b" \n\n",
    GOOD[3].replace(b",", b",\n"),
    GOOD[3].replace(b":", b" :\r\n\t", 1),
    b"null",
    b"[" + GOOD[4] + b"]",
    b"\x1e" + GOOD[4],
    b"\xef\xbb\xbf" + GOOD[4],
    GOOD[4] + b"\0",
    GOOD[4] + b",",
    GOOD[4] + b"}",
    *[poison.value or b"" for poison in POISON_RAW if len(poison.value or b"") < 1000],
]


def taken(values: list[bytes]) -> list[bytes | str]:
    """For each message the canonical transaction, or the reason of its reject."""
    intake = take(PROFILE, values, np.zeros(len(values), np.int64))
    outcomes: dict[int, bytes | str] = {i: fault.reason for i, fault in intake.rejects}
    for i, message in zip(intake.at, PROFILE.canonical_all(intake.txs), strict=True):
        assert i not in outcomes
        outcomes[i] = message
    return [outcomes[i] for i in range(len(values))]


def test_two_objects_in_one_message_beside_a_tombstone_are_refused() -> None:
    assert taken([GOOD[0] + b" " + GOOD[1], b""]) == ["invalid_json", "empty"]
    assert taken([GOOD[0] + b" " + GOOD[1]]) == ["invalid_json"]


def test_an_object_cut_in_two_shifts_nothing() -> None:
    values = [GOOD[1][:COMMA], GOOD[1][COMMA:], GOOD[2] + b" " + GOOD[3], GOOD[4]]
    assert taken(values) == ["invalid_json"] * 3 + taken([GOOD[4]])


@pytest.mark.parametrize("value", [GOOD[3].replace(b",", b",\n"), b"\n" + GOOD[3] + b"\r\n"])
def test_line_breaks_between_tokens_are_json(value: bytes) -> None:
    assert taken([value]) == taken([GOOD[3]])
    assert taken([GOOD[0], value, GOOD[1]]) == taken([GOOD[0], GOOD[3], GOOD[1]])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from([*GOOD, *NASTY]), min_size=1, max_size=8))
def test_alone_and_in_company_are_the_same(values: list[bytes]) -> None:
    assert taken(values) == [outcome for value in values for outcome in taken([value])]


def card(unknown: str, folder: Path) -> Profile:
    path = folder / "card.yaml"
    path.write_text(Path("profiles/card.yaml").read_text() + f"unknown_fields: {unknown}\n")
    return load_profile(path)


EXTRA = {"zone": "b", "a": [1, {"x": 2.5}], "note": 'two "words"\n'}


@pytest.mark.parametrize("unknown", ["keep", "drop"])
def test_unknown_fields_are_kept_or_dropped_and_never_an_input(
    unknown: str, tmp_path: Path
) -> None:
    profile = card(unknown, tmp_path)
    values = [GOOD[0], tx(transaction_id="x", **EXTRA)]
    intake = take(profile, values, np.zeros(2, np.int64))
    assert intake.rejects == []
    messages = profile.canonical_all(intake.txs)
    assert messages == [profile.canonical(profile.decode(value)) for value in values]
    rest = EXTRA if unknown == "keep" else {}
    assert msgspec.json.decode(messages[0]) == msgspec.json.decode(
        PROFILE.canonical_all(PROFILE.decode_all([GOOD[0]]))[0]
    )
    plain = tx(transaction_id="x")
    assert msgspec.json.decode(messages[1]) == {
        **msgspec.json.decode(profile.canonical(profile.decode(plain))),
        **rest,
    }
    without = take(profile, [GOOD[0], plain], np.zeros(2, np.int64)).columns
    assert np.array_equal(intake.columns.values, without.values, equal_nan=True)
    again = {name: EXTRA[name] for name in reversed(EXTRA)}
    assert profile.canonical(profile.decode(tx(transaction_id="x", **again))) == messages[1]
    assert profile.canonical(profile.decode(messages[1])) == messages[1], "it may come again"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b'{"colour": 1}', "missing_field"),
        (tx(colour="a\0b"), "out_of_bounds"),
        (tx(colour={"a\0b": 1}), "out_of_bounds"),
        (tx(location_match="yes", colour=1), "wrong_type"),
        (tx()[:-1] + b',"x":' + b"[" * 20 + b"]" * 20 + b"}", "too_deep"),
        (tx()[:-1] + b',"x":' + b"[" * 9000 + b"]" * 9000 + b"}", "too_deep"),
        (tx()[:-1] + b',"x":NaN}', "invalid_json"),
        (tx(colour=1) + b" {}", "invalid_json"),
    ],
)
def test_kept_fields_are_still_checked(value: bytes, reason: str, tmp_path: Path) -> None:
    profile = card("keep", tmp_path)
    intake = take(profile, [GOOD[0], value, GOOD[1]], np.zeros(3, np.int64))
    assert [(index, fault.reason) for index, fault in intake.rejects] == [(1, reason)]
