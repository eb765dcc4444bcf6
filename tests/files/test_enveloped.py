"""A topic's records written into a file of JSON lines: the same rows as in the stream."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from model.features.intake import take, take_rows
from model.files.reader import Reader
from model.files.rows import Refusal
from tests.consumers.test_change_events import BASE64, TEXT, records
from tests.profile.enveloped import enveloped
from tidegate.profile import Profile

ROW = {"transaction_id": "t1", "user_id": "u1", "amount": 5.25, "created_at": "2026-01-01T00:00Z"}


def write(folder: Path, lines: list[bytes]) -> str:
    path = folder / "dump.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    return str(path)


def read(reader: Reader) -> tuple[list[int], list[bytes], list[int], list[Refusal]]:
    """Numbers, lines, labels and refusals; lines of refused rows are left out."""
    numbers, lines, labels, refused = [], [], [], []
    for rows in reader.rows(3):
        bad = rows.bad()
        places = [place for place in range(len(rows.lines)) if place not in bad]
        numbers += rows.numbers[places].tolist()
        lines += [rows.lines[place] for place in places]
        labels += rows.labels[places].tolist()
        refused += rows.refused
    return numbers, lines, labels, refused


@pytest.mark.parametrize(
    ("name", "amount", "fee", "unit"),
    [
        ("a_default_schemas_on", "", "", ""),
        ("b_schemas_off", BASE64, "", "us"),
        ("c_schemas_off_decimal_string", TEXT, TEXT, "us"),
        ("e_unwrap_default", BASE64, "", "us"),
        ("e2_unwrap_rewrite_addfields_string", TEXT, TEXT, "us"),
        ("f_time_connect", BASE64, "", "ms"),
        ("g_time_isostring", BASE64, "", "text"),
    ],
)
def test_a_file_of_records_gives_the_rows_of_the_stream(
    tmp_path: Path, name: str, amount: str, fee: str, unit: str
) -> None:
    profile = enveloped(tmp_path, amount=amount, fee=fee, unit=unit)
    values = [value or b"null" for value, _ in records(name)]
    stream = take(profile, values, np.zeros(len(values), np.int64))
    numbers, lines, _, refused = read(Reader(write(tmp_path, values), profile))
    file = take_rows(profile, lines, np.zeros(len(lines), np.int64))
    assert stream.txs
    assert file.txs == stream.txs
    assert [numbers[place] - 1 for place in file.at] == stream.at
    bad = [one.number - 1 for one in refused] + [numbers[at] - 1 for at, _ in file.rejects]
    assert sorted(bad) == [at for at, _ in sorted(stream.rejects)]


def of(profile: Profile, tmp_path: Path, documents: list[object]) -> Reader:
    lines = [json.dumps(document).encode() for document in documents]
    return Reader(write(tmp_path, lines), profile, "chargeback")


def test_what_brings_no_transaction_is_told_and_an_update_refused(tmp_path: Path) -> None:
    event = {"before": None, "after": ROW, "op": "c"}
    documents = [event, {**event, "op": "d"}, {**event, "op": "u"}, None, {"op": "c"}, [1], ROW]
    reader = of(enveloped(tmp_path), tmp_path, documents)
    numbers, _, _, refused = read(reader)
    assert numbers == [1, 7]
    assert [(one.number, one.reason) for one in refused] == [
        (3, "conflicting_duplicate"),
        (5, "bad_envelope"),
        (6, "not_an_object"),
    ]
    told = "2 records without a transaction left out: 1 delete, 1 tombstone"
    assert reader.told == [told]
    read(reader)
    assert reader.told == [told]


def test_a_verdict_inside_is_one(tmp_path: Path) -> None:
    after = [{**ROW, "transaction_id": f"t{verdict}", "chargeback": verdict} for verdict in (0, 1)]
    documents = [{"before": None, "after": row, "op": "c"} for row in after]
    _, lines, labels, _ = read(of(enveloped(tmp_path), tmp_path, [*documents, after[1], ROW]))
    assert labels == [0, 1, 1, -1]
    assert not any(b"chargeback" in line for line in lines)


def test_what_a_record_holds_is_not_told(tmp_path: Path) -> None:
    event = {"before": None, "after": ROW, "op": "Smith"}
    (refused,) = read(of(enveloped(tmp_path), tmp_path, [event]))[3]
    assert (refused.number, refused.reason) == (1, "bad_envelope")
    assert refused.detail == "op: expected r, c, u, d, t or m"
