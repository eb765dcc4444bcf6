"""What Debezium 3.6.1 put on a topic (tests/data/debezium), through the first keyed step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import REGISTRY

from consumers.preprocess import PreprocessStage
from tests.blocks import frames_on
from tests.model.features.chain import Chain, batch
from tests.profile.enveloped import enveloped
from tests.stream.crash import Clock
from tests.stream.running import member
from tidegate.broker.memory.broker import MemoryBroker
from tidegate.broker.records import Headers
from tidegate.pipeline import DLQ, FEATURES, RAW
from tidegate.profile import Profile
from tidegate.stream.runner import Runner
from tidegate.stream.stage import Output

BASE64 = ", decimal: base64, scale: 2"
TEXT = ", text: true"
RECORDED_MS = 1_795_906_400_000
Record = tuple[bytes | None, Headers | None]


def records(name: str) -> list[Record]:
    lines = Path("tests/data/debezium", f"{name}.jsonl").read_bytes().splitlines()
    return [_record(msgspec.json.decode(line, type=dict[str, msgspec.Raw])) for line in lines]


def _record(line: dict[str, msgspec.Raw]) -> Record:
    value = bytes(line["value"])
    headers = msgspec.json.decode(line.get("headers", b"{}"), type=dict[str, Any])
    texts = [
        (name, text.encode() if isinstance(text, str) else msgspec.json.encode(text))
        for name, text in headers.items()
    ]
    return None if value == b"null" else value, texts or None


def run(profile: Profile, sent: list[Record]) -> tuple[dict[Any, dict[str, Any]], Output]:
    """The payloads by id, and the output of the first step."""
    input_ = batch([value for value, _ in sent])
    input_.headers = [headers for _, headers in sent]
    input_.timestamps = [RECORDED_MS] * len(sent)
    output = Chain(profile).step(0, input_)
    frames = profile.features_layout.unpack(
        [value or b"" for emit in output.emits for value in emit.values]
    )
    payloads = map(msgspec.json.decode, frames.payloads)
    return {payload[profile.id_field]: payload for payload in payloads}, output


def reasons(output: Output) -> dict[int, str]:
    return {reject.index: reject.reason for reject in output.rejects}


@pytest.mark.parametrize(
    ("name", "amount", "fee", "unit", "passed"),
    [
        ("b_schemas_off", BASE64, "", "us", {"delete": 2, "tombstone": 2}),
        ("c_schemas_off_decimal_string", TEXT, TEXT, "us", {"delete": 2, "tombstone": 2}),
        ("e_unwrap_default", BASE64, "", "us", {"tombstone": 2}),
        ("e2_unwrap_rewrite_addfields_string", TEXT, TEXT, "us", {"delete": 2, "tombstone": 2}),
        ("f_time_connect", BASE64, "", "ms", {"delete": 2, "tombstone": 2}),
        ("g_time_isostring", BASE64, "", "text", {"delete": 2, "tombstone": 2}),
    ],
)
def test_each_row_counts_once_in_every_mode(
    tmp_path: Path, name: str, amount: str, fee: str, unit: str, passed: dict[str, int]
) -> None:
    profile = enveloped(tmp_path, amount=amount, fee=fee, unit=unit)
    payloads, output = run(profile, records(name))
    assert {name: float(row["amount"]) for name, row in payloads.items()} == {
        "T1001": 12.5,
        "T1003": 0,
        "T1006": 100,
        "T2001": -26588.24,
    }
    assert float(payloads["T2001"]["fee"]) == 3.14159
    assert output.passed == passed
    rejected = reasons(output)
    assert {index: rejected.pop(index) for index in (1, 3, 4)} == {
        1: "bad_time",  # half a second before 1970
        3: "missing_field",  # NULL
        4: "out_of_bounds",  # 1,234,567,890.12, and in the year 9999
    }
    # T1001 and T1006 are updated, and T1003 gets another key
    assert list(rejected.values()) == ["conflicting_duplicate"] * 3
    event_us = profile.features_layout.unpack([v or b"" for v in output.emits[0].values]).rows[
        "event_us"
    ]
    exact = 1_709_296_496_789_012
    assert event_us[0] == (exact // 1000 * 1000 if unit == "ms" else exact)


@pytest.mark.parametrize(
    ("name", "amount", "updates"),
    [
        ("a_default_schemas_on", "", 1),
        ("b_schemas_off", BASE64, 3),
        ("e_unwrap_default", BASE64, 3),
        ("e2_unwrap_rewrite_addfields_string", TEXT, 3),
    ],
)
def test_updates_are_ignored_where_the_profile_says_so(
    tmp_path: Path, name: str, amount: str, updates: int
) -> None:
    profile = enveloped(tmp_path, amount=amount, fee=amount and TEXT, unit="us", updates="ignore")
    payloads, output = run(profile, records(name))
    assert output.passed["update"] == updates
    assert "conflicting_duplicate" not in reasons(output).values()
    assert payloads["T1001"]["amount"] in (12.5, "12.50")
    assert "T1003B" not in payloads


def test_a_schema_says_what_decimals_and_times_are(tmp_path: Path) -> None:
    payloads, output = run(enveloped(tmp_path), records("a_default_schemas_on"))
    assert payloads["T1001"] == {
        "transaction_id": "T1001",
        "user_id": "u1",
        "amount": 12.5,
        "fee": 0.125,
        "currency": "EUR",
        "created_at": "2024-03-01T12:34:56.789012Z",
    }
    assert payloads["T2001"]["amount"] == -26588.24
    assert reasons(output) == {1: "missing_field", 3: "conflicting_duplicate"}
    assert output.passed == {"delete": 1, "tombstone": 1}


@pytest.mark.parametrize("name", ["b_schemas_off", "e_unwrap_default"])
def test_base64_is_never_taken_for_an_amount(tmp_path: Path, name: str) -> None:
    """-26,588.24 is "1234" in base64, a text of digits only."""
    payloads, output = run(enveloped(tmp_path, fee="", unit="us"), records(name))
    assert not payloads
    assert {reasons(output)[index] for index in (0, 2, 6)} == {"wrong_type"}


def test_a_column_that_is_null_may_arrive_as_its_default(tmp_path: Path) -> None:
    """A missing amount is 0.00 and a missing time 1970; bounds refuse both."""
    sent = records("j_defaults_and_nulls")
    options = {"fee": "", "id_field": "id"}
    profile = enveloped(tmp_path, amount=BASE64, unit="us", account="currency", **options)
    payloads, _ = run(profile, sent)
    assert payloads[1]["amount"] == 0
    assert payloads[1]["created_at"] == 0
    assert payloads[2]["amount"] == 5
    careful = enveloped(
        tmp_path,
        amount=f"{BASE64}, min: 0.01",
        unit="us, not_before: 2000-01-01",
        account="currency",
        **options,
    )
    payloads, output = run(careful, sent)
    assert set(payloads) == {2}
    assert reasons(output)[0] == "out_of_bounds"


def test_infinity_and_far_years_are_refused(tmp_path: Path) -> None:
    sent = records("k_nan_infinity_precise")
    options: dict[str, Any] = {"id_field": "id", "account": "id", "amount_field": "fee"}
    by_number = enveloped(tmp_path, unit="us", **options)
    payloads, output = run(by_number, sent)
    assert payloads[1]["fee"] == 1
    assert reasons(output) == {
        1: "missing_field",  # NaN
        2: "bad_time",  # -infinity
        3: "bad_time",  # 44 BC
        4: "missing_field",
    }
    by_text = enveloped(tmp_path, unit="text", time_field="booked_at", **options)
    assert reasons(run(by_text, sent)[1]) == reasons(output)
    by_day = enveloped(tmp_path, unit="days", time_field="day", **options)
    assert reasons(run(by_day, sent)[1]) == reasons(output)


def test_rows_without_a_primary_key_are_named_after_their_place(tmp_path: Path) -> None:
    sent = records("l_no_pk")
    profile = enveloped(tmp_path, amount=BASE64, timed=False)
    payloads, output = run(profile, [sent[0], sent[1], sent[3]])
    assert list(payloads) == [f"transactions.raw-0-{offset}" for offset in range(3)]
    assert [row["amount"] for row in payloads.values()] == [1, 1, 2]
    keyed = enveloped(
        tmp_path,
        amount=", decimal: base64, scale: 18",
        amount_field="amount2",
        unit="ms",
        time_field="ts3",
        account="ip",
    )
    payloads, output = run(keyed, [sent[2], sent[4]])
    assert list(payloads) == ["6ec0bd7f-11c0-43da-975e-2a8ad9ebae0b"]
    assert reasons(output) == {1: "conflicting_duplicate"}


def test_what_is_passed_by_is_counted_and_is_no_dead_letter(tmp_path: Path) -> None:
    broker, clock = MemoryBroker({RAW: 1, FEATURES: 1, DLQ: 1}), Clock()
    stage = PreprocessStage(enveloped(tmp_path, amount=BASE64, unit="us", updates="ignore"))
    for value, headers in records("b_schemas_off"):
        broker.append(RAW, b"struct", value, headers, None)
    run = Runner(stage, broker, *member(stage, broker, clock), snapshots=None, clock=clock)
    kinds = ("tombstone", "delete", "update")
    before = [_passed(kind) for kind in kinds]
    while not run.run_once():
        pass
    after = [_passed(kind) for kind in kinds]
    assert [new - old for new, old in zip(after, before, strict=True)] == [2, 2, 3]
    letters = broker.committed_records(DLQ)
    offsets = [dict(record.headers or [])["tidegate-offset"] for _, _, record in letters]
    assert set(offsets).isdisjoint({b"7", b"8", b"9", b"10", b"11", b"12", b"13"})
    assert len(frames_on(broker, FEATURES)) + len(letters) == 7


def _passed(kind: str) -> float:
    labels = {"stage": "preprocess", "kind": kind}
    return REGISTRY.get_sample_value("tidegate_records_passed_total", labels) or 0.0
