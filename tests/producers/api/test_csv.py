"""A CSV as the body of a batch: read as files are, answered as JSON is."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from model.files.reader import Reader
from tests.model.history.payments import NAMES, profile_in, rows
from tests.producers.running_api import Api, serve
from tidegate.pipeline import RAW
from tidegate.profile import Profile


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    return profile_in(tmp_path)


@pytest.fixture
def api(profile: Profile, tmp_path: Path) -> Iterator[Api]:
    with serve(profile, tmp_path) as api:
        yield api


def post(
    api: Api, body: str | bytes, kind: str = "text/csv", **headers: str
) -> tuple[int, dict[str, Any]]:
    raw = body.encode() if isinstance(body, str) else body
    connection = http.client.HTTPConnection(api.url.removeprefix("http://"))
    with closing(connection):
        connection.request("POST", "/v1/transactions/batch", raw, {"Content-Type": kind, **headers})
        answer = connection.getresponse()
        return answer.status, json.load(answer)


def csv(*lines: str, names: str = NAMES) -> str:
    return "\n".join([names, *lines]) + "\n"


def records(api: Api) -> list[bytes]:
    return sorted(record.value or b"" for _, _, record in api.broker.committed_records(RAW))


def test_it_makes_the_records_that_the_same_rows_make_as_json(
    api: Api, profile: Profile, tmp_path: Path
) -> None:
    body = csv(*rows(50))
    assert post(api, body) == (202, {"accepted": 50})
    (tmp_path / "rows.csv").write_text(body)
    (read,) = Reader(str(tmp_path / "rows.csv"), profile).rows()
    first = records(api)
    lines = b"\n".join(read.lines)
    assert post(api, lines, "application/x-ndjson") == (202, {"accepted": 50})
    assert records(api) == first, "each is known already, with the same body"


def test_bad_rows_are_refused_by_row_and_field_as_by_send(
    api: Api, profile: Profile, tmp_path: Path
) -> None:
    lines = rows(8)
    lines[1] = lines[1].replace(",11.25,", ',"1,100.00",')
    lines[3] = lines[3].replace(",13.25,", ",-13.25,")
    lines[4] = lines[4].replace(",true,", ",perhaps,")
    lines[6] = "r6,p6"
    status, answer = post(api, csv(*lines))
    assert (status, answer["accepted"]) == (202, 4)
    refused = [
        (one["index"], one["id"], one["problem"]["reason"], one["problem"]["errors"][0]["field"])
        for one in answer["rejected"]
    ]
    assert refused == [
        (1, "r1", "wrong_type", "eur"),
        (3, "r3", "out_of_bounds", "eur"),
        (4, "r4", "wrong_type", "home"),
        (6, None, "bad_row", ""),
    ]
    (tmp_path / "rows.csv").write_text(csv(*lines))
    (read,) = Reader(str(tmp_path / "rows.csv"), profile).rows()
    by_reader = {one.number: (one.field, one.detail) for one in read.refused}
    for one in answer["rejected"]:
        if one["index"] != 3:  # refused by the decoder, for a JSON number
            error = one["problem"]["errors"][0]
            assert by_reader[one["index"] + 1] == (error["field"], error["detail"])
    assert "1,100" not in json.dumps(answer)
    assert "perhaps" not in json.dumps(answer)


def test_all_bad_is_422_and_nothing_is_recorded(api: Api) -> None:
    status, answer = post(api, csv(*(line.replace("2023-", "soon-") for line in rows(3))))
    assert (status, answer["accepted"], len(answer["rejected"])) == (422, 0, 3)
    assert not records(api)


def test_what_was_found_by_looking_is_told(api: Api) -> None:
    body = csv(*(line.replace(",", ";") + ";x" for line in rows(3)), names=f"{NAMES},note")
    status, answer = post(
        api, body.replace(NAMES, NAMES.replace(",", ";")).replace(",note", ";note")
    )
    assert status == 202
    assert answer["notes"] == [
        "separator: semicolon, which makes 11 columns",
        "columns left out, the profile does not know them: note",
    ]


def test_a_charset_is_the_encoding(api: Api) -> None:
    body = csv(*(line.replace("shop", "Caf\xe9 ") for line in rows(3)))
    assert post(api, body.encode("utf-16"), "text/csv; charset=utf-16")[0] == 202
    assert "Caf\xe9".encode() in records(api)[0]
    assert post(api, body.encode("cp1252"), "text/csv; charset=windows-1252") == (
        202,
        {"accepted": 3},
    )
    status, answer = post(api, body, "text/csv; charset=latin-99")
    assert (status, answer["detail"][:17]) == (422, "charset=latin-99:")


def test_rows_without_ids_get_ids_as_json_does(api: Api) -> None:
    line = rows(1)[0].removeprefix("r0,")
    names = NAMES.removeprefix("ref,")
    answer = post(api, csv(line, line, names=names))[1]
    assert answer["accepted"] == 2
    assert len({*answer["generated_ids"].values()}) == 2
    first, again = (
        post(api, csv(line, names=names), **{"Idempotency-Key": "one"})[1]["generated_ids"]
        for _ in range(2)
    )
    assert first == again, "derived from the key"


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ("", 422, "the file is empty"),
        (NAMES + "\n", 400, "there is no transaction in the body"),
        ("ref,payer\nr1,p1\n", 422, "field payee of profile 'payments' needs the column 'payee'"),
        ('[{"ref":"r1"}]', 422, "this is one JSON array"),
        ("PK\x03\x04", 422, "this is not CSV, but an Excel workbook"),
        ("just words\n", 422, "the body"),
    ],
)
def test_what_is_no_csv_is_told(api: Api, body: str, status: int, told: str) -> None:
    found, answer = post(api, body)
    assert (found, told in answer["detail"]) == (status, True), answer
    assert not records(api)


def test_more_rows_than_a_request_may_have_are_told(api: Api) -> None:
    status, answer = post(api, csv(*rows(5001)))
    assert (status, answer["limit"]) == (413, 5000)
    assert not records(api)
