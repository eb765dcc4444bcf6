"""Messages of a profile: what is taken, in which form, and why others are not."""

from __future__ import annotations

import msgspec
import pytest

from tidegate.errors import Rejected
from tidegate.profile import Profile, load_profile

RAW = (
    b'{"transaction_id":"t1","user_id":"u","amount":12.5,"merchant":"m","timestamp":"2024-01-01T00:00:00Z",'
    b'"merchant_type":"fuel","device_type":"x","location_match":true}'
)


@pytest.fixture(scope="module")
def card() -> Profile:
    return load_profile("card")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "empty"),
        (b"{", "invalid_json"),
        (RAW[:-9], "invalid_json"),
        (b"[]", "not_an_object"),
        (b"null", "not_an_object"),
        (RAW.replace(b'"u"', b'"\xff"'), "invalid_utf8"),
        (RAW.replace(b"{", b'{"x":1,'), "unknown_field"),
        (RAW.replace(b'"user_id":"u",', b""), "missing_field"),
        (RAW.replace(b'"u"', b"null"), "missing_field"),
        (RAW.replace(b'"u"', b"5"), "wrong_type"),
        (RAW.replace(b'"u"', b'""'), "out_of_bounds"),
        (RAW.replace(b'"u"', b'"a\\u0000"'), "out_of_bounds"),
        (RAW.replace(b"12.5", b"true"), "wrong_type"),
        (RAW.replace(b"12.5", b"NaN"), "not_finite"),
        (RAW.replace(b"12.5", b"-Infinity"), "not_finite"),
        (RAW.replace(b"12.5", b"1e400"), "not_finite"),
        (RAW.replace(b"12.5", b"-1"), "out_of_bounds"),
        (RAW.replace(b"12.5", b"1e300"), "out_of_bounds"),
        (RAW.replace(b"12.5", b'"99999999"'), "wrong_type"),
        (RAW.replace(b"12.5", b'"1,5"'), "wrong_type"),
        (RAW.replace(b"2024-01-01T00:00:00Z", b"yesterday"), "bad_time"),
        (RAW.replace(b"2024-01", b"1970-01"), "bad_time"),
        (RAW.replace(b"2024-01", b"9999-01"), "bad_time"),
        (RAW.replace(b'"2024-01-01T00:00:00Z"', b"1e300"), "bad_time"),
        (b"[" * 100_000, "too_large"),
        (b"[" * 1000, "too_deep"),
        (RAW.replace(b'"u"', b'"' + b"u" * 10_000_000 + b'"'), "too_large"),
        (RAW.replace(b'"u"', b'"' + b"u" * 129 + b'"'), "out_of_bounds"),
    ],
)
def test_bad_messages_have_the_right_reason(card: Profile, raw: bytes, reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        card.decode(raw, received_us=1_710_000_000_000_000)
    assert caught.value.reason == reason
    assert card.faults(raw, 1_710_000_000_000_000)


def test_every_bad_field_is_named(card: Profile) -> None:
    raw = (
        RAW.replace(b'"u"', b"5")
        .replace(b"12.5", b"-1")
        .replace(b'"m"', b'""')
        .replace(b"{", b'{"x":1,')
    )
    assert [field for field, _ in card.faults(raw)] == ["x", "user_id", "amount", "merchant"]
    assert card.faults(RAW) == []


def test_canonical_form_and_keys(card: Profile) -> None:
    tx = card.decode(RAW)
    canonical = card.canonical(tx)
    spaced = msgspec.json.format(RAW, indent=2)
    assert (
        card.canonical(card.decode(spaced)) == canonical == card.canonical(card.decode(canonical))
    )
    assert (card.id_of(tx), card.key_of(tx), card.event_us(tx)) == (
        "t1",
        b"u",
        1_704_067_200_000_000,
    )
    assert len(card.body_hash(canonical)) == 16
    for same in (
        b"1704067200",
        b"1704067200.0",
        b'"2024-01-01 00:00:00"',
        b'"2024-01-01T02:00:00+02:00"',
    ):
        assert (
            card.event_us(card.decode(RAW.replace(b'"2024-01-01T00:00:00Z"', same)))
            == 1_704_067_200_000_000
        )


def test_handbook_takes_whole_numbers_as_names() -> None:
    profile = load_profile("handbook")
    tx = profile.decode(
        b'{"TRANSACTION_ID":7,"TX_DATETIME":"2018-04-01 00:00:31","CUSTOMER_ID":596,'
        b'"TERMINAL_ID":"31","TX_AMOUNT":57.16,"TX_FRAUD":0,"TX_TIME_DAYS":3}'
    )
    assert (profile.id_of(tx), profile.key_of(tx)) == ("7", b"596")
    assert not {"TX_FRAUD", "TX_FRAUD_SCENARIO", "TX_TIME_DAYS", "TX_TIME_SECONDS"} & set(
        profile.values
    )
