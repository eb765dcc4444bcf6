"""`POST /v1/feedback`: verdicts, with the transactions themselves where they were never posted."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any, Literal

import msgspec
from flask import Blueprint, Response, request

from db.audit import verdicts_given
from producers.api.context import (
    answer,
    body,
    charge,
    client,
    here,
    measured,
    note,
    require,
    signed,
)
from producers.api.ingest import Admitted, conflict
from producers.api.label_ids import label_id, own_label_ids
from producers.api.problems import UNREADABLE, Problem, unreadable
from producers.api.repeats import repeatable
from producers.api.verdict_ways import NEWEST
from tidegate.errors import ConfigError, Retry
from tidegate.messages.documents import GivenUs, Verdict, encode
from tidegate.pipeline import FEEDBACK
from tidegate.words import count

blueprint = Blueprint("feedback", __name__)
_LONGEST = {"transaction_id": 256, "label_id": 256, "source": 64, "note": 2000}
_AHEAD_US = 300_000_000
"""How far ahead of this clock a verdict may be given."""


class Feedback(msgspec.Struct, forbid_unknown_fields=True):
    """A verdict on the transaction with an id, or on a whole transaction in the same body."""

    verdict: Literal["fraud", "legitimate"]
    transaction_id: str = ""
    transaction: msgspec.Raw = msgspec.Raw()
    label_id: str = ""
    source: str = "api"
    note: str = ""
    given_us: GivenUs = 0


_one = msgspec.json.Decoder(Feedback).decode
_many = msgspec.json.Decoder(list[Feedback]).decode


@blueprint.post("/v1/feedback")
@measured("post_feedback")
@repeatable("application/json")
def post_feedback() -> Response:
    """Make one verdict, or an array of them, durable; transactions that came along go first."""
    items = _read(body("application/json"))
    if any(item.transaction for item in items):
        require("ingest")
    charge(len(items))
    key = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    now_us = time.time_ns() // 1000
    admitted = _admit(items, key, now_us)
    verdicts = [
        Verdict(
            admitted[index].id
            if index in admitted
            else here().profile.stored_id(item.transaction_id),
            item.verdict,
            label_id(_scope(), item.label_id, f"{key}/{index}" if key else None),
            signed(item.source),
            item.note,
            item.given_us or now_us + index,  # in an array the later one holds
        )
        for index, item in enumerate(items)
    ]
    _check_label_ids(verdicts)
    if client():
        note(verdicts_given(client(), verdicts))
    ids: dict[str, Any] = {"label_ids": [verdict.label_id for verdict in verdicts]}
    if admitted:
        ids["transaction_ids"] = [verdict.transaction_id for verdict in verdicts]
        here().ingest.publish(list(admitted.values()), **ids)
    here().publisher.publish(
        FEEDBACK,
        [(verdict.transaction_id.encode(), encode(verdict)) for verdict in verdicts],
        **ids,
    )
    return answer({"accepted": len(verdicts), **ids}, 202)


@blueprint.get("/v1/feedback/<id:asked>")
@measured("get_feedback")
def get_feedback(asked: str) -> Response:
    """What became of a verdict of this client: see `producers.api.verdict_ways`."""
    try:
        found = map(here().verdict_ways.get, own_label_ids(_scope(), asked))
        status = next((status for status in found if status is not None), None)
    except (Retry, ConfigError) as error:
        raise Problem("not_ready", str(error)) from error
    if status is None:
        raise Problem(
            "not_found",
            f"no verdict {asked} among the newest {NEWEST:,}: it was never posted"
            f"{', or by another client' if _scope() else ''}, or before these",
        )
    return answer({name: value for name, value in asdict(status).items() if value})


def _scope() -> str:
    """What the ids of the client that asks begin with."""
    return here().ingest.scope(client())


def _read(raw: bytes) -> list[Feedback]:
    try:
        items = _many(raw) if raw.lstrip()[:1] == b"[" else [_one(raw)]
    except UNREADABLE as error:
        raise unreadable(error) from error
    most = here().settings.max_batch
    if len(items) > most:
        raise Problem(
            "too_large",
            f"{count(len(items), 'verdict')} in one request, at most {most:,} are taken",
            limit=most,
        )
    if not items:
        raise Problem("empty", "there is no verdict in the body")
    now_us = time.time_ns() // 1000
    if errors := [
        error for index, item in enumerate(items) for error in _faults(index, item, now_us)
    ]:
        raise Problem("invalid", errors[0]["detail"], errors=errors)
    return items


def _admit(items: list[Feedback], idempotency_key: str | None, now_us: int) -> dict[int, Admitted]:
    """The whole transactions by index. Raises Problem, with the index, for the first bad one."""
    admitted: dict[int, Admitted] = {}
    hashes: dict[str, bytes] = {}
    for index, item in enumerate(items):
        if not item.transaction:
            continue
        try:
            transaction = here().ingest.admit(
                bytes(item.transaction),
                f"{idempotency_key}/{index}" if idempotency_key else None,
                now_us,
                client(),
            )
            if hashes.setdefault(transaction.id, transaction.hash) != transaction.hash:
                raise conflict(transaction.id, "in this request before, with another body")
        except Problem as problem:
            raise Problem(problem.kind, problem.detail, **problem.members, index=index) from problem
        admitted[index] = transaction
    return admitted


def _check_label_ids(verdicts: list[Verdict]) -> None:
    """Raises Problem 422 where one label id stands for verdicts on two transactions."""
    places: dict[str, int] = {}
    for index, verdict in enumerate(verdicts):
        first = places.setdefault(verdict.label_id, index)
        if verdicts[first].transaction_id != verdict.transaction_id:
            detail = (
                f"the verdict at index {first}, on another transaction, has the same label_id; "
                "each counts once, so give this one its own"
            )
            fault = {"index": index, "field": "label_id", "detail": detail}
            raise Problem("invalid", f"index {index}: {detail}", errors=[fault])


def _faults(index: int, item: Feedback, now_us: int) -> list[dict[str, Any]]:
    faults = [
        {"index": index, "field": name, "detail": f"{name} has more than {most} characters"}
        for name, most in _LONGEST.items()
        if len(getattr(item, name)) > most
    ]
    if len(item.label_id) <= _LONGEST["label_id"] < len(_scope() + item.label_id):
        detail = (
            f"label_id, with the client's name before it, has more than {_LONGEST['label_id']} "
            "characters"
        )
        faults.append({"index": index, "field": "label_id", "detail": detail})
    if bool(item.transaction_id) == bool(item.transaction):
        faults.append(
            {
                "index": index,
                "field": "transaction_id",
                "detail": "give either the transaction_id or the whole transaction",
            }
        )
    if item.given_us > now_us + _AHEAD_US:
        faults.append(
            {
                "index": index,
                "field": "given_us",
                "detail": "given_us lies more than 5 minutes ahead: no later verdict could hold",
            }
        )
    return faults
