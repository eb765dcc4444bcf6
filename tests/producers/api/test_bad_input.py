"""Everything that is not a transaction gets an answer that says what is wrong, and nothing reaches
the topic.
"""

from __future__ import annotations

import json
import re
import time

import pytest

from tests.web import JSON, Server, transaction


def raw(**changes: object) -> bytes:
    return json.dumps(transaction("bad", **changes)).encode()


def ahead(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


BAD: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 400, ""),
    "blank": (b"  \n", 400, ""),
    "no JSON": (b"user_id=1", 400, ""),
    "truncated": (raw()[:-9], 400, ""),
    "trailing": (raw() + b"x", 400, ""),
    "two": (raw() * 2, 400, ""),
    "invalid UTF-8": (raw().replace(b"Corner", b"\xff\xfe"), 400, ""),
    "half a surrogate pair": (raw().replace(b"Corner", b"\\ud800"), 400, ""),
    "null": (b"null", 422, ""),
    "a number": (b"1", 422, ""),
    "an array": (b"[" + raw() + b"]", 422, ""),
    "deep": (b"[" * 100_000, 413, ""),
    "deep inside": (raw()[:-1] + b',"x":' + b"[" * 9_000 + b"]" * 9_000 + b"}", 413, ""),
    "10 MB string": (raw(merchant="m" * 10_000_000), 413, ""),
    "1 MB string": (raw(merchant="m" * 1_000_000), 413, ""),
    "NaN": (raw(amount=float("nan")), 422, "amount"),
    "Infinity": (raw(amount=float("inf")), 422, "amount"),
    "1e400": (raw(amount=1).replace(b'"amount": 1', b'"amount": 1e400'), 422, "amount"),
    "negative amount": (raw(amount=-1), 422, "amount"),
    "huge amount": (raw(amount=1e15), 422, "amount"),
    "amount as a list": (raw(amount=[1]), 422, "amount"),
    "amount as words": (raw(amount="ten"), 422, "amount"),
    "null account": (raw(user_id=None), 422, "user_id"),
    "empty account": (raw(user_id=""), 422, "user_id"),
    "number for account": (raw(user_id=17), 422, "user_id"),
    "long account": (raw(user_id="u" * 129), 422, "user_id"),
    "NUL in a text": (raw(merchant="a\0b"), 422, "merchant"),
    "text for bool": (raw(location_match="yes"), 422, "location_match"),
    "missing": (raw(merchant=...), 422, "merchant"),
    "unknown": (raw(colour="red"), 422, "colour"),
    "empty id": (json.dumps(transaction("")).encode(), 422, "transaction_id"),
    "far past": (raw(timestamp="1969-12-31T00:00:00Z"), 422, "timestamp"),
    "before the profile's first day": (raw(timestamp="1999-12-31T00:00:00Z"), 422, "timestamp"),
    "far future": (raw(timestamp="9999-12-31T00:00:00Z"), 422, "timestamp"),
    "the day after tomorrow": (raw(timestamp=ahead(2 * 86_400)), 422, "timestamp"),
    "no time": (raw(timestamp="yesterday"), 422, "timestamp"),
}


_CAME_IN = re.compile(r"it came in at [0-9T:+-]+")


@pytest.mark.parametrize("name", BAD)
def test_one(api: Server, name: str) -> None:
    body, status, field = BAD[name]
    answers = [api.post(path, body) for path in ("/v1/transactions", "/v1/transactions?wait_ms=0")]
    for answer in answers:
        problem = answer.json()
        assert (answer.status, answer.headers["content-type"]) == (
            status,
            "application/problem+json",
        ), problem
        assert problem["status"] == status
        assert problem["title"]
        assert problem["detail"]
        if field:
            assert [error["field"] for error in problem["errors"]] == [field]
    # The straight way for the plain POST, and the way through Flask, give the same answer.
    one, other = (_CAME_IN.sub("", answer.body.decode()) for answer in answers)
    assert json.loads(one) == json.loads(other)


def test_every_bad_field_is_named(api: Server) -> None:
    body = transaction("bad", amount=-1, merchant=..., timestamp="no", colour=1)
    errors = api.post("/v1/transactions", body).json()["errors"]
    assert {error["field"] for error in errors} == {"amount", "merchant", "timestamp", "colour"}
    assert all(error["detail"] for error in errors)


def test_in_a_batch_each_bad_one_is_answered(api: Server) -> None:
    names = [name for name, (body, _, _) in BAD.items() if _is_json(body)]
    text = b"[" + b",".join(BAD[name][0] for name in names) + b"]"
    answer = api.post("/v1/transactions/batch", text)
    assert answer.status == 422
    assert [(one["index"], one["problem"]["status"]) for one in answer.json()["rejected"]] == [
        (index, BAD[name][1]) for index, name in enumerate(names)
    ]


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return 0 < len(body) < 100_000 and b"\\ud800" not in body


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/xml"]
)
def test_other_content_types(api: Server, kind: str) -> None:
    assert api.post("/v1/transactions", raw(), kind).status == 415
    assert api.post("/v1/transactions/batch", raw(), kind).status == 415
    assert api.post("/v1/feedback", raw(), kind).status == 415


def test_parameters_of_the_content_type(api: Server) -> None:
    assert api.post("/v1/transactions", raw(), f"{JSON}; charset=utf-8").status == 202


@pytest.mark.parametrize(
    "query", ["wait_ms=-1", "wait_ms=x", "wait_ms=1e3", "wait_ms=10001", "wait_ms=%C2%B2"]
)
def test_wrong_waits(api: Server, query: str) -> None:
    answer = api.post(f"/v1/transactions?{query}", raw())
    assert (answer.status, answer.json()["errors"][0]["field"]) == (422, "wait_ms")


@pytest.mark.parametrize(
    "query",
    [
        "decision=maybe",
        "limit=0",
        "limit=501",
        "limit=x",
        "cursor=x",
        "cursor=-1",
        "min_score=2",
        "min_score=nan",
        "since_us=now",
        "colour=red",
    ],
)
def test_wrong_filters(api: Server, query: str) -> None:
    answer = api.get(f"/v1/transactions?{query}")
    assert (answer.status, answer.json()["errors"][0]["field"]) == (422, query.partition("=")[0])


def test_other_paths_and_methods(api: Server) -> None:
    assert [
        (answer.status, answer.headers["content-type"])
        for answer in (
            api.get("/nothing"),
            api.ask("DELETE", "/v1/transactions"),
            api.get("/v1/transactions/nobody"),
        )
    ] == [(status, "application/problem+json") for status in (404, 405, 404)]
