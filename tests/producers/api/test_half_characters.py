"""Half of a surrogate pair, which JSON may escape and no answer can hold, and bodies that are no
list: each is told what is wrong, and what came along is taken.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from tests.access.web import applications
from tests.web import JSON, transaction

NDJSON = "application/x-ndjson"
HALF = "\\ud800"
ID = f'{{"transaction_id":"{HALF}","user_id":"u-1"}}'
NAME = json.dumps(transaction("bad", NAME=1)).replace("NAME", HALF)
TEXTS = [json.dumps(transaction("bad", merchant="TEXT")).replace("TEXT", HALF), ID, NAME]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    with applications(tmp_path_factory.mktemp("home")) as (app, _):
        yield app.test_client()


@pytest.mark.parametrize("bad", TEXTS)
@pytest.mark.parametrize(("kind", "form"), [(JSON, "[{},{}]"), (NDJSON, "{}\n{}\n")])
def test_one_in_a_batch_is_refused_alone(api: FlaskClient, kind: str, form: str, bad: str) -> None:
    good = json.dumps(transaction(f"good-{kind}"))
    body = form.replace("{}", "%s") % (good, bad)
    answer = api.post("/v1/transactions/batch", data=body, content_type=kind)
    assert answer.status_code == 202
    told = answer.get_json()
    assert told["accepted"] == 1
    assert [one["index"] for one in told["rejected"]] == [1]


@pytest.mark.parametrize("bad", TEXTS)
@pytest.mark.parametrize("path", ["/v1/transactions", "/v1/transactions?wait_ms=0", "/transaction"])
def test_one_by_itself_is_refused(api: FlaskClient, path: str, bad: str) -> None:
    assert api.post(path, data=bad, content_type=JSON).status_code in (400, 422)


def test_a_name_is_shown_as_it_was_written(api: FlaskClient) -> None:
    errors = api.post("/v1/transactions", data=NAME, content_type=JSON).get_json()["errors"]
    assert [error["field"] for error in errors] == [HALF]


@pytest.mark.parametrize(
    ("body", "status"), [("NaN", 400), ("-Infinity", 400), ('{"amount":NaN}', 422), ("1", 422)]
)
def test_a_batch_that_is_no_list(api: FlaskClient, body: str, status: int) -> None:
    answer = api.post("/v1/transactions/batch", data=body, content_type=JSON)
    assert (answer.status_code, answer.get_json()["status"]) == (status, status)


def test_a_wait_of_very_many_digits(api: FlaskClient) -> None:
    answer = api.post(f"/v1/transactions?wait_ms={'9' * 5000}", json=transaction("late"))
    assert (answer.status_code, answer.get_json()["errors"][0]["field"]) == (422, "wait_ms")


@pytest.mark.parametrize(
    "body",
    [
        '{"transaction_id":"HALF","verdict":"fraud"}',
        '{"transaction_id":"t","verdict":"HALF"}',
        '{"transaction_id":"t","verdict":"fraud","label_id":"HALF"}',
        '{"HALF":1}',
        '{"verdict":"fraud","transaction":{"transaction_id":"HALF"}}',
        "NaN",
    ],
)
def test_a_verdict_is_refused(api: FlaskClient, body: str) -> None:
    for text in (body, f"[{body}]"):
        answer = api.post("/v1/feedback", data=text.replace("HALF", HALF), content_type=JSON)
        assert answer.status_code in (400, 422)


@pytest.mark.parametrize("name", ["%ED%A0%80", "%FF", "%00"])
@pytest.mark.parametrize("under", ["/v1/transactions", "/v1/feedback", "/transaction"])
def test_an_address_that_is_no_text(api: FlaskClient, under: str, name: str) -> None:
    assert api.get(f"{under}/{name}").status_code == 404
