"""`POST /v1/feedback`: what people say of transactions, with the transaction itself where it was
never posted.
"""

from __future__ import annotations

import time
from typing import Any, Literal

import msgspec
from flask import Blueprint, Response, request

from producers.api.context import answer, body, here, measured
from producers.api.ids import derived_id, fresh_id
from producers.api.ingest import Admitted, conflict
from producers.api.problems import Problem
from tidegate.messages.documents import Verdict, encode
from tidegate.metrics import ACKNOWLEDGED
from tidegate.pipeline import FEEDBACK

blueprint = Blueprint("feedback", __name__)
_LONGEST = {"transaction_id": 256, "label_id": 256, "source": 64, "note": 2000}


class Feedback(msgspec.Struct, forbid_unknown_fields=True):
    """A verdict on the transaction `transaction_id`, or on the whole `transaction` in the same
    body.
    """

    verdict: Literal["fraud", "legitimate"]
    transaction_id: str = ""
    transaction: msgspec.Raw = msgspec.Raw()
    label_id: str = ""
    source: str = "api"
    note: str = ""
    given_us: int = 0


_one = msgspec.json.Decoder(Feedback).decode
_many = msgspec.json.Decoder(list[Feedback]).decode


@blueprint.post("/v1/feedback")
@measured("post_feedback")
def post_feedback() -> Response:
    """Make one verdict, or an array of them, durable: first the transactions that came along, then
    what is said.
    """
    given = _read(body("application/json"))
    key = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    now_us = time.time_ns() // 1000
    whole = _admit(given, key, now_us)
    verdicts = [
        Verdict(
            whole[at].id if at in whole else one.transaction_id,
            one.verdict,
            one.label_id or (derived_id(f"{key}/{at}") if key else fresh_id()),
            one.source,
            one.note,
            one.given_us or now_us,
        )
        for at, one in enumerate(given)
    ]
    told: dict[str, Any] = {"label_ids": [verdict.label_id for verdict in verdicts]}
    if whole:
        told["transaction_ids"] = [verdict.transaction_id for verdict in verdicts]
        here().ingest.publish(list(whole.values()), **told)
        ACKNOWLEDGED.inc(len(whole))
    here().publisher.publish(
        FEEDBACK,
        [(verdict.transaction_id.encode(), encode(verdict)) for verdict in verdicts],
        **told,
    )
    return answer({"accepted": len(verdicts), **told}, 202)


def _read(raw: bytes) -> list[Feedback]:
    try:
        given = _many(raw) if raw.lstrip()[:1] == b"[" else [_one(raw)]
    except RecursionError:
        raise Problem("too_deep", "the JSON is nested too deeply") from None
    except msgspec.ValidationError as error:
        raise Problem("invalid", str(error), errors=[_located(str(error))]) from error
    except UnicodeDecodeError as error:
        raise Problem("invalid_utf8", str(error)) from error
    except msgspec.DecodeError as error:
        raise Problem("invalid_json", str(error)) from error
    most = here().settings.max_batch
    if len(given) > most:
        raise Problem(
            "too_large",
            f"{len(given)} verdicts in one request, at most {most} are taken",
            limit=most,
        )
    if not given:
        raise Problem("empty", "there is no verdict in the body")
    if errors := [error for index, one in enumerate(given) for error in _faults(index, one)]:
        raise Problem("invalid", errors[0]["detail"], errors=errors)
    return given


def _admit(given: list[Feedback], idempotency_key: str | None, now_us: int) -> dict[int, Admitted]:
    """The whole transactions by index. Raises Problem, with the index, for the first that is
    refused.
    """
    admitted: dict[int, Admitted] = {}
    hashes: dict[str, bytes] = {}
    for index, one in enumerate(given):
        if not one.transaction:
            continue
        try:
            found = here().ingest.admit(
                bytes(one.transaction),
                f"{idempotency_key}/{index}" if idempotency_key else None,
                now_us,
            )
            if hashes.setdefault(found.id, found.hash) != found.hash:
                raise conflict(found.id, "in this request before, with another body")
        except Problem as problem:
            raise Problem(problem.kind, problem.detail, **problem.members, index=index) from problem
        admitted[index] = found
    return admitted


def _located(message: str) -> dict[str, Any]:
    detail, _, path = message.partition(" - at `$")
    return {"field": path.strip(".`"), "detail": detail}


def _faults(index: int, one: Feedback) -> list[dict[str, Any]]:
    faults = [
        {"index": index, "field": name, "detail": f"{name} has more than {most} characters"}
        for name, most in _LONGEST.items()
        if len(getattr(one, name)) > most
    ]
    if bool(one.transaction_id) == bool(one.transaction):
        faults.append(
            {
                "index": index,
                "field": "transaction_id",
                "detail": "give either the transaction_id or the whole transaction",
            }
        )
    return faults
