from __future__ import annotations

import json
from base64 import b64encode
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.profile.enveloped import enveloped
from tidegate.errors import ConfigError, Rejected
from tidegate.profile import Profile
from tidegate.profile.envelope import Envelope, Passed

ROW = {"transaction_id": "t1", "user_id": "u1", "amount": 5, "created_at": "2024-01-01T00:00:00Z"}
DECIMAL = {
    "type": "bytes",
    "name": "org.apache.kafka.connect.data.Decimal",
    "parameters": {"scale": "2"},
}


def base64_of(unscaled: int) -> str:
    """As Java writes a BigInteger."""
    size = unscaled.bit_length() // 8 + 1
    if unscaled < 0:
        size = (-unscaled - 1).bit_length() // 8 + 1
    return b64encode(unscaled.to_bytes(size, "big", signed=True)).decode()


def envelope_of(profile: Profile) -> Envelope:
    assert profile.envelope is not None
    return profile.envelope


def opened(profile: Profile, document: object, **headers: bytes) -> dict[str, Any] | Passed:
    row = envelope_of(profile).open(json.dumps(document).encode(), list(headers.items()))
    return row if isinstance(row, Passed) else json.loads(row, parse_float=Decimal)


def refused(profile: Profile, document: object) -> str:
    with pytest.raises(Rejected) as raised:
        _decoded(profile, json.dumps(document).encode())
    return raised.value.reason


def _decoded(profile: Profile, value: bytes) -> None:
    row = envelope_of(profile).open(value)
    assert isinstance(row, bytes)
    profile.decode(row, 1_795_906_400_000_000)


def schema_of(**columns: dict[str, Any]) -> dict[str, Any]:
    return {"type": "struct", "fields": [{"field": name, **of} for name, of in columns.items()]}


@settings(max_examples=300, deadline=None)
@given(unscaled=st.integers(-(10**40), 10**40), scale=st.integers(-3, 20))
def test_decimals_are_exact(
    tmp_path_factory: pytest.TempPathFactory, unscaled: int, scale: int
) -> None:
    profile = enveloped(tmp_path_factory.mktemp("exact"))
    fee = {"scale": scale, "value": base64_of(unscaled)}
    row = opened(profile, {"op": "c", "after": {**ROW, "fee": fee, "amount": fee}})
    assert isinstance(row, dict)
    sign, digits, _ = Decimal(unscaled).as_tuple()
    exact = Decimal((sign, digits, -scale))
    assert row["fee"] == exact
    assert abs(row["amount"] - exact) <= Decimal("0.005")
    assert -row["amount"].as_tuple().exponent == 2


def test_money_is_rounded_before_it_is_a_float(tmp_path: Path) -> None:
    """1.015 as a float lies below 1.015."""
    profile = enveloped(tmp_path)
    for unscaled, rounded in ((1005, "1.00"), (1015, "1.02"), (1025, "1.02"), (-1015, "-1.02")):
        amount = {"scale": 3, "value": base64_of(unscaled)}
        row = opened(profile, {"op": "c", "after": {**ROW, "amount": amount}})
        assert isinstance(row, dict)
        assert row["amount"] == Decimal(rounded)


@pytest.mark.parametrize(
    "amount",
    ["1234", "12.50", "", "12=", "AB==", {"scale": 2}, {"scale": 10**9, "value": "AA=="}, [1]],
)
def test_what_is_no_decimal_is_refused(tmp_path: Path, amount: object) -> None:
    """The text 1234 is base64, but nothing says so; the others are none, or have no sane scale."""
    options = "" if amount == "1234" else ", decimal: base64, scale: 2"
    reason = refused(enveloped(tmp_path, amount=options), {**ROW, "amount": amount})
    assert reason in ("wrong_type", "out_of_bounds")


def test_the_scale_is_the_schema_s_before_the_profile_s(tmp_path: Path) -> None:
    profile = enveloped(tmp_path, amount=", decimal: base64, scale: 4")
    payload = {**ROW, "amount": "BOI="}
    columns = schema_of(amount=DECIMAL)
    for schema, expected in ((columns, "12.5"), (schema_of(), "0.125"), (None, "0.125")):
        row = opened(profile, {"schema": schema, "payload": payload})
        assert isinstance(row, dict)
        assert row["amount"] in (Decimal(expected), Decimal(expected).quantize(Decimal("0.01")))


@pytest.mark.parametrize(
    ("unit", "number", "us"),
    [
        ("s", 1_709_296_496, 1_709_296_496_000_000),
        ("ms", 1_709_296_496_789, 1_709_296_496_789_000),
        ("us", 1_709_296_496_789_012, 1_709_296_496_789_012),
        ("ns", 1_709_296_496_789_012_345, 1_709_296_496_789_012),
        ("days", 19_783, 1_709_251_200_000_000),
    ],
)
@pytest.mark.parametrize("envelope", ["debezium", "connect", "cloudevents"])
def test_a_number_counts_the_unit_that_the_profile_names(
    tmp_path: Path, envelope: str, unit: str, number: int, us: int
) -> None:
    profile = enveloped(tmp_path, envelope=envelope, unit=unit)
    row = envelope_of(profile).open(json.dumps({**ROW, "created_at": number}).encode())
    assert isinstance(row, bytes)
    assert profile.event_us(profile.decode(row)) == us
    for wrong in (-1, 8_000_000_000 * us // max(1, us) * 10**12, 10**15 if unit == "s" else 2**63):
        assert refused(profile, {**ROW, "created_at": wrong}) == "bad_time"


def test_without_a_unit_a_number_is_no_time(tmp_path: Path) -> None:
    """19,783 days would be five hours into 1970."""
    assert refused(enveloped(tmp_path), {**ROW, "created_at": 19_783}) in ("wrong_type", "bad_time")


@pytest.mark.parametrize(
    ("name", "number", "text"),
    [
        ("io.debezium.time.MicroTimestamp", 1_709_296_496_789_012, "2024-03-01T12:34:56.789012Z"),
        (
            "io.debezium.time.NanoTimestamp",
            1_709_296_496_789_012_345,
            "2024-03-01T12:34:56.789012Z",
        ),
        ("io.debezium.time.Timestamp", 1_709_296_496_789, "2024-03-01T12:34:56.789000Z"),
        ("org.apache.kafka.connect.data.Timestamp", 1_709_296_496_000, "2024-03-01T12:34:56Z"),
        ("io.debezium.time.Date", 19_783, "2024-03-01T00:00:00Z"),
        ("org.apache.kafka.connect.data.Date", 19_783, "2024-03-01T00:00:00Z"),
    ],
)
def test_a_schema_names_the_unit(tmp_path: Path, name: str, number: int, text: str) -> None:
    profile = enveloped(tmp_path, envelope="connect", unit="s")
    schema = schema_of(created_at={"type": "int64", "name": name})
    row = opened(profile, {"schema": schema, "payload": {**ROW, "created_at": number}})
    assert isinstance(row, dict)
    assert row["created_at"] == text
    far = {"schema": schema, "payload": {**ROW, "created_at": 2**62}}
    assert refused(profile, far) == "bad_time"


@pytest.mark.parametrize("text", ["2024-03-01Z", "2024-03-01"])
def test_a_date_is_its_midnight_as_if_in_utc(tmp_path: Path, text: str) -> None:
    row = opened(enveloped(tmp_path), {**ROW, "created_at": text})
    assert isinstance(row, dict)
    assert row["created_at"] == "2024-03-01T00:00:00Z"


@pytest.mark.parametrize("text", ["infinity", "-infinity", "-0043-03-15T12:00:00Z", "2200-01-02Z"])
def test_texts_that_are_no_time_of_ours_are_refused(tmp_path: Path, text: str) -> None:
    assert refused(enveloped(tmp_path), {**ROW, "created_at": text}) == "bad_time"


SOURCE = {"connector": "postgresql", "table": "payments"}
MARKER = {"status": "BEGIN", "id": "960:1", "event_count": None, "data_collections": None}


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({"before": ROW, "after": None, "op": "d", "source": SOURCE}, "delete"),
        ({"before": None, "after": None, "op": "t", "source": SOURCE}, "truncate"),
        ({"op": "t", "source": SOURCE, "ts_ms": 1}, "truncate"),
        ({"op": "m", "source": SOURCE, "message": {"prefix": "p", "content": "AA=="}}, "message"),
        ({"ts_ms": 1}, "heartbeat"),
        ({"ts_ms": 1, "ts_us": 1, "ts_ns": 1}, "heartbeat"),
        (MARKER, "transaction_marker"),
        (MARKER | {"status": "END", "event_count": 2, "ts_ms": 5}, "transaction_marker"),
        ({"source": SOURCE, "databaseName": "b", "ddl": "", "tableChanges": []}, "schema_change"),
        (ROW | {"__deleted": "true"}, "delete"),
        (ROW | {"__op": "d"}, "delete"),
        (None, "tombstone"),
    ],
)
def test_what_brings_no_row_is_passed_by(tmp_path: Path, document: object, kind: str) -> None:
    profile = enveloped(tmp_path)
    assert opened(profile, document) == Passed(kind)
    assert opened(profile, {"schema": None, "payload": document}) == Passed(kind)
    assert envelope_of(profile).open(None) == Passed("tombstone")


@pytest.mark.parametrize(
    "document",
    [
        {"before": None, "after": ROW},
        {"before": None, "after": ROW, "op": "x"},
        {"before": None, "after": "text", "op": "c"},
        {"before": None, "op": "c"},
        {"schema": {"fields": [{"type": "bytes"}]}, "payload": ROW},
        {"schema": {"fields": [DECIMAL | {"field": "amount", "parameters": {}}]}, "payload": ROW},
        {"schema": None, "payload": [ROW]},
    ],
)
def test_a_broken_envelope_is_refused(tmp_path: Path, document: object) -> None:
    assert refused(enveloped(tmp_path), document) == "bad_envelope"


def test_what_is_no_object_is_the_decoder_s_to_refuse(tmp_path: Path) -> None:
    envelope = envelope_of(enveloped(tmp_path))
    for value in (b"[1]", b"{", b"7", b"\xff", b'{"a":1} {"b":2}', b"[" * 100_000):
        assert envelope.open(value) == value


def test_an_update_is_a_conflict_or_ignored(tmp_path: Path) -> None:
    changed = {"before": None, "after": ROW, "op": "u", "source": SOURCE}
    unavailable = {**ROW, "user_id": "__debezium_unavailable_value"}
    profile = enveloped(tmp_path)
    assert refused(profile, changed) == refused(profile, ROW | {"__op": "u"})
    assert refused(profile, changed) == "conflicting_duplicate"
    assert refused(profile, unavailable) == "unavailable_value"
    ignoring = enveloped(tmp_path, updates="ignore")
    for document in (changed, ROW | {"__op": "u"}, unavailable):
        assert opened(ignoring, document) == Passed("update")
    assert opened(ignoring, ROW, __op=b'"u"') == Passed("update")
    assert opened(ignoring, ROW, **{"__debezium.oldkey": b"{}"}) == Passed("update")


def test_columns_without_a_field_are_left_out(tmp_path: Path) -> None:
    row = ROW | {"note": "x", "__lsn": 5, "tags": ["a"]}
    assert opened(enveloped(tmp_path), {"op": "r", "after": row}) == ROW


def test_the_data_of_a_cloud_event_is_the_transaction(tmp_path: Path) -> None:
    profile = enveloped(tmp_path, envelope="cloudevents")
    event = {"specversion": "1.0", "id": "e1", "source": "/bank", "type": "payment"}
    assert opened(profile, event | {"data": ROW}) == ROW
    assert opened(profile, event | {"data": json.dumps(ROW)}) == ROW
    encoded = b64encode(json.dumps(ROW).encode()).decode()
    assert opened(profile, event | {"data_base64": encoded}) == ROW
    assert opened(profile, ROW) == ROW  # binary mode: the event is in the headers
    assert refused(profile, event | {"data_base64": "?"}) == "bad_envelope"
    assert refused(profile, event | {"data": [ROW]}) == "not_an_object"
    assert profile.envelope
    with pytest.raises(Rejected, match="data: expected a text"):
        profile.envelope.open(json.dumps(event).encode()[:-1] + b', "data": "\xff"}')
    assert refused(profile, event | {"data": ROW | {"more": 1}}) == "unknown_field"
    assert refused(profile, event) in ("empty", "bad_envelope")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"envelope": "avro"}, "envelope: expected one of debezium, connect, cloudevents"),
        ({"updates": "merge"}, "updates: expected one of conflict, ignore"),
        ({"amount": ", decimal: base64"}, "needs its `scale`"),
        ({"amount": ", scale: 2"}, "needs `decimal: base64`"),
        ({"amount": ", decimal: base64, scale: 2, text: true"}, "not both"),
        ({"unit": "weeks"}, "unit"),
    ],
)
def test_a_profile_that_contradicts_itself_is_refused(
    tmp_path: Path, changes: dict[str, str], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        enveloped(tmp_path, **changes)


def test_a_default_in_a_schema_is_found(tmp_path: Path) -> None:
    envelope = envelope_of(enveloped(tmp_path))
    row = schema_of(amount=DECIMAL | {"default": "AA=="}, note={"type": "string", "default": "x"})
    change = schema_of(before=row, after=row)
    for schema in (row, change):
        value = json.dumps({"schema": schema, "payload": {}}).encode()
        assert envelope.defaults(value) == {"amount"}
    assert envelope.defaults(json.dumps(ROW).encode()) == set()
    assert envelope.defaults(None) == set()
