"""`POST /v1/feedback`: what people say of transactions."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from producers.context import answer, body, here, measured
from producers.ids import derived_id, fresh_id
from producers.problems import Problem
from tidegate.messages import Verdict, encode

blueprint = Blueprint("feedback", __name__)
_LONGEST = {"transaction_id": 256, "label_id": 256, "source": 64, "note": 2000}
_one = msgspec.json.Decoder(Verdict).decode
_many = msgspec.json.Decoder(list[Verdict]).decode


@blueprint.post("/v1/feedback")
@measured("post_feedback")
def post_feedback() -> Response:
    """Make one verdict, or an array of them, durable on the feedback topic."""
    verdicts = _verdicts(body("application/json"))
    key = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    now_us = time.time_ns() // 1000
    for index, verdict in enumerate(verdicts):
        verdict.label_id = verdict.label_id or (derived_id(f"{key}/{index}") if key else fresh_id())
        verdict.given_us = verdict.given_us or now_us
    labels = [verdict.label_id for verdict in verdicts]
    here().publisher.publish("transactions.feedback", [(verdict.transaction_id.encode(), encode(verdict))
                                                       for verdict in verdicts], label_ids=labels)
    return answer({"accepted": len(verdicts), "label_ids": labels}, 202)


def _verdicts(raw: bytes) -> list[Verdict]:
    try:
        verdicts = _many(raw) if raw.lstrip()[:1] == b"[" else [_one(raw)]
    except RecursionError:
        raise Problem("too_deep", "the JSON is nested too deeply") from None
    except msgspec.ValidationError as error:
        raise Problem("invalid", str(error), errors=[_located(str(error))]) from error
    except UnicodeDecodeError as error:
        raise Problem("invalid_utf8", str(error)) from error
    except msgspec.DecodeError as error:
        raise Problem("invalid_json", str(error)) from error
    most = here().settings.max_batch
    if len(verdicts) > most:
        raise Problem("too_large", f"{len(verdicts)} verdicts in one request, at most {most} are taken", limit=most)
    if not verdicts:
        raise Problem("empty", "there is no verdict in the body")
    if errors := [error for index, verdict in enumerate(verdicts) for error in _faults(index, verdict)]:
        raise Problem("invalid", errors[0]["detail"], errors=errors)
    return verdicts


def _located(message: str) -> dict[str, Any]:
    detail, _, path = message.partition(" - at `$")
    return {"field": path.strip(".`"), "detail": detail}


def _faults(index: int, verdict: Verdict) -> list[dict[str, Any]]:
    faults = [{"index": index, "field": name, "detail": f"{name} has more than {most} characters"}
              for name, most in _LONGEST.items() if len(getattr(verdict, name)) > most]
    if not verdict.transaction_id:
        faults.append({"index": index, "field": "transaction_id", "detail": "transaction_id is empty"})
    return faults
