"""The paths of five other projects, under the profiles that fit them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from db.audit import verdicts_given
from producers.api.batches import Batch
from producers.api.compat import card, card_unsupervised, creditcard, wallet
from producers.api.compat.bodies import Decision
from producers.api.context import (
    View,
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
from producers.api.decisions import (
    WAIT_MS,
    accepted,
    admit,
    predicted,
    publish_and_wait,
    wait_seconds,
)
from producers.api.ids import address_of
from producers.api.ingest import Admitted
from producers.api.label_ids import label_id
from producers.api.problems import Problem, decoded, invalid
from producers.api.repeats import repeatable
from producers.api.routes import ops, rows, stream_detector
from producers.api.routes.transactions import JSON, admit_all, take
from producers.api.verdict_ways import STATUSES
from tidegate.errors import ConfigError, Retry
from tidegate.messages.documents import Verdict, encode
from tidegate.pipeline import FEEDBACK

blueprint = Blueprint("compat", __name__)
_PAUSE = 0.02
_ON_THE_WAY = ("waiting", "joined")
Answer = Callable[[Decision], dict[str, Any]]


class Transactions(msgspec.Struct):
    """The body of `POST /predict/batch`."""

    transactions: list[msgspec.Raw]


def _predict(translate: Callable[[bytes], bytes], prediction: Answer) -> View:
    """A view that answers the decision, or 202 and where to ask for it."""
    return lambda: predicted(translate(body(JSON)), prediction)


@repeatable(JSON)
def _predict_batch() -> Response:
    """Predictions in the order of the transactions; a bad one's problem stands in its place."""
    items = decoded(body(JSON), Transactions).transactions
    batch = take(Batch([card_unsupervised.transaction(bytes(item)) for item in items], {}, []))
    charge(len(batch.items))
    admitted, rejected = admit_all(batch, request.environ.get("HTTP_IDEMPOTENCY_KEY"))
    decisions = publish_and_wait(
        list(admitted.values()),
        wait_seconds(WAIT_MS),
        transaction_ids=[transaction.id for transaction in admitted.values()],
    )
    places: dict[int, dict[str, Any]] = {
        one["index"]: {"transaction_id": one["id"], "problem": one["problem"]} for one in rejected
    }
    for index, transaction, decision in zip(admitted, admitted.values(), decisions, strict=True):
        places[index] = _in_place(transaction, decision)
    predictions = [places[index] for index in range(len(batch.items))]
    flagged = sum(one.get("is_anomaly", False) for one in predictions)
    return answer(
        {
            "predictions": predictions,
            "total_transactions": len(predictions),
            "anomalies_detected": flagged,
        },
        202 if None in decisions else 200,
    )


def _in_place(transaction: Admitted, decision: Decision | None) -> dict[str, Any]:
    if decision is not None:
        return card_unsupervised.prediction(decision)
    return {
        "transaction_id": transaction.id,
        "status": "accepted",
        "location": address_of(transaction.id),
    }


@repeatable(JSON)
def _update() -> Response:
    """A transaction with its label: 200 once the online model has learnt from it."""
    require("review")
    raw = body(JSON)
    verdict = wallet.label(raw)
    if verdict is None:
        raise invalid("is_anomaly", "1 for an anomaly, 0 for none")
    deadline = time.monotonic() + wait_seconds(WAIT_MS)
    transaction = admit(wallet.transaction(raw))
    key = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    given = Verdict(
        transaction.id,
        verdict,
        label_id(here().ingest.scope(client()), "", f"{key}/label" if key else None),
        signed("api"),
        given_us=time.time_ns() // 1000,
    )
    ids = {"transaction_id": transaction.id, "label_id": given.label_id}
    if client():
        note(verdicts_given(client(), [given]))
    here().ingest.publish([transaction], **ids)
    here().publisher.publish(FEEDBACK, [(given.transaction_id.encode(), encode(given))], **ids)
    place = here().waiters.enter([])
    try:
        status = _became(given.label_id, deadline if place is not None else 0.0)
    finally:
        here().waiters.leave([], place)
    where = address_of(given.label_id, "/v1/feedback")
    if status in _ON_THE_WAY:
        return answer({"message": f"accepted: {STATUSES[status]}"} | ids, 202, where)
    if status == "learnt":
        return answer(
            {"message": "The online model has learnt from this transaction."}, location=where
        )
    return answer({"message": f"The online model stays as it is: {STATUSES[status]}"}, 200, where)


def _became(given: str, deadline: float) -> str:
    """What the verdict with this label id has become by then; `waiting` also while nobody knows."""
    status = "waiting"
    while True:
        try:
            found = here().verdict_ways.get(given)
        except (Retry, ConfigError):
            found = None
        status = found.status if found is not None else "waiting"
        if status not in _ON_THE_WAY or time.monotonic() >= deadline:
            return status
        time.sleep(_PAUSE)


def _post_transaction() -> Response:
    transaction = admit(card.transaction(body(JSON)))
    here().ingest.publish([transaction], transaction_id=transaction.id)
    return accepted(transaction.id, "/transaction")


def _health() -> Response:
    """200 where every stage is served, else Problem 503."""
    ops.missing_nothing()
    return answer({"status": "healthy", "profile": here().profile.name})


PATHS: dict[tuple[str, str], dict[str, View]] = {
    ("POST", "/transaction"): {"card": _post_transaction},
    ("GET", "/transaction/<id:transaction_id>"): {"card": rows.row_of},
    ("POST", "/predict"): {
        "wallet": _predict(wallet.transaction, wallet.prediction),
        "creditcard": _predict(bytes, creditcard.prediction),
        "card_unsupervised": _predict(card_unsupervised.transaction, card_unsupervised.prediction),
    },
    ("POST", "/predict/batch"): {"card_unsupervised": _predict_batch},
    ("POST", "/update"): {"wallet": _update},
    ("GET", "/health"): {"card_unsupervised": _health, "vector": _health},
    ("POST", "/api/v1/detect"): {"vector": stream_detector.detect},
    ("GET", "/api/v1/models"): {"vector": stream_detector.models},
    ("POST", "/api/v1/models/train"): {"vector": stream_detector.train},
    ("GET", "/api/v1/models/jobs/<job>"): {"vector": stream_detector.job},
    ("GET", "/api/v1/metrics"): {"vector": stream_detector.metrics},
    ("GET", "/api/v1/health"): {"vector": _health},
    ("GET", "/"): {"creditcard": _health},
}
"""Method and path, and what answers there under which profile."""


def _add(method: str, path: str, views: dict[str, View]) -> None:
    name = f"{method}{path}".lower().translate(str.maketrans("/<>:", "____"))
    fallback = ops.index if path == "/" else None

    @measured(name)
    def view(**arguments: str) -> Response:
        profile = here().profile.name
        chosen = views.get(profile, fallback)
        if chosen is None:
            owners = " and ".join(f"`{name}`" for name in views)
            raise Problem(
                "not_found",
                f"{method} {request.path} belongs to the profile{'s' if len(views) > 1 else ''} "
                f"{owners}; this system runs `{profile}`: start one with --profile",
            )
        return chosen(**arguments)

    blueprint.add_url_rule(path, name, view, methods=[method])


for (_method, _path), _views in PATHS.items():
    _add(_method, _path, _views)
