"""Transactions whose callers wait for the decision: published, and then looked for on the topic."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from flask import Response, request

from producers.api.compat.bodies import Decision
from producers.api.context import answer, client, here
from producers.api.ids import address_of
from producers.api.ingest import Admitted
from producers.api.problems import whole
from producers.api.waiters import Waiter
from tidegate.errors import Retry

WAIT_MS = 2000
"""How long callers of another project's endpoint wait for a decision without `?wait_ms=`."""


def admit(raw: bytes) -> Admitted:
    """The one transaction of this request, checked. Raises Problem 400, 409, 413 or 422."""
    key = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    return here().ingest.admit(raw, key, time.time_ns() // 1000, client())


def predicted(raw: bytes, prediction: Callable[[Decision], dict[str, Any]]) -> Response:
    """What another project answers on the decision on this transaction, or 202 and where to ask.

    Raises Problem.
    """
    transaction = admit(raw)
    [decision] = publish_and_wait(
        [transaction], wait_seconds(WAIT_MS), transaction_id=transaction.id
    )
    if decision is None:
        return accepted(transaction.id)
    return answer(prediction(decision), location=address_of(transaction.id))


def accepted(transaction_id: str, under: str = "/v1/transactions") -> Response:
    """202: durable, not decided yet, and where to ask, a path `under` this one."""
    return answer(
        {"transaction_id": transaction_id, "status": "accepted"},
        202,
        address_of(transaction_id, under),
    )


def wait_seconds(otherwise_ms: int) -> float:
    """How long a caller waits: `?wait_ms=`, or so many milliseconds. Raises Problem 422."""
    most = here().settings.max_wait_ms
    text = request.args.get("wait_ms", str(min(otherwise_ms, most)))
    return whole("wait_ms", text, 0, most) / 1000


def publish_and_wait(
    transactions: Sequence[Admitted], seconds: float, **retry: object
) -> list[dict[str, Any] | None]:
    """Make them durable; then the decision on each, None where it does not come in `seconds`.

    However many they are, they take one place among those who wait. Raises Problem 429 or 503, of
    which `retry` are further members.
    """
    context, keys = here(), [transaction.id.encode() for transaction in transactions]
    deadline = time.monotonic() + seconds
    waiters = context.waiters.enter(keys)
    try:
        context.ingest.publish(transactions, **retry)
        waiting: Sequence[Waiter | None] = waiters or [None] * len(transactions)
        return [
            _decision(transaction, waiter, deadline)
            for transaction, waiter in zip(transactions, waiting, strict=True)
        ]
    finally:
        context.waiters.leave(keys, waiters)


def _decision(
    transaction: Admitted, waiter: Waiter | None, deadline: float
) -> dict[str, Any] | None:
    """The decision on a transaction: from its row if it is known already, else from the topic.

    A repeat never passes on the topic again, so the row is asked once more at the end.
    """
    context = here()
    if transaction.known and (row := _row(transaction)) is not None:
        return row
    if waiter is None:
        return None
    if waiter.done.wait(max(0.0, deadline - time.monotonic())):
        return context.told.decision(waiter.frame, transaction.hash)
    return _row(transaction)


def _row(transaction: Admitted) -> dict[str, Any] | None:
    """The decision in its row; None where the row is of another body, or the database is away."""
    try:
        row = here().store.get(transaction.id)
    except Retry:
        return None
    if row is None or row["body_hash"] != transaction.hash.hex():
        return None
    names = ("transaction_id", "decision", "score", "scores", "degraded", "reasons", "bundle")
    return {"status": "scored"} | {name: row[name] for name in names}
