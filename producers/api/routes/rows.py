"""Reading rows: `GET /v1/transactions/{id}` and `GET /v1/transactions`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from flask import Blueprint, Response, request

from db.audit import Act
from producers.api.context import answer, client, here, measured, note, require
from producers.api.problems import Problem, invalid, whole
from tidegate.errors import ConfigError, Retry
from tidegate.messages.frames import DECISIONS

blueprint = Blueprint("rows", __name__)
T = TypeVar("T")
_MOST = 500


@blueprint.get("/v1/transactions/<id:transaction_id>")
@measured("get_transaction")
def get_one(transaction_id: str) -> Response:
    """The row in full; 202 while an accepted transaction has none yet."""
    return row_of(transaction_id)


def row_of(transaction_id: str) -> Response:
    """The row in full, 202 and that it is accepted, or Problem 404."""
    context = here()
    transaction_id = context.profile.stored_id(transaction_id)
    row = reading(lambda: context.store.get(transaction_id))
    if row is not None:
        return answer(with_payload(_shown(row)))
    if transaction_id.encode() in context.known:
        return answer({"transaction_id": transaction_id, "status": "accepted"}, 202)
    raise Problem(
        "not_found", f"no row {transaction_id}: it was never posted, or it is a dead letter"
    )


@blueprint.get("/v1/transactions")
@measured("list_transactions")
def get_many() -> Response:
    """Rows in brief, newest first; with `id` alone, that row in full."""
    parameters = request.args.to_dict()
    if "id" in parameters and parameters.keys() <= {"id", "unmask"}:
        return row_of(parameters["id"])
    limit = whole("limit", parameters.pop("limit", "50"), 1, _MOST)
    cursor = parameters.pop("cursor", None)
    if cursor is not None:
        whole("cursor", cursor, 0, 2**63 - 1)
    filters = {name: _filter(name, value) for name, value in parameters.items()}
    rows, following = reading(lambda: here().store.list(filters, cursor, limit))
    masked = map(here().profile.masks.row, rows)
    return answer({"transactions": [with_payload(row) for row in masked], "next": following})


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """The row with masks; with `?unmask=true` without them, told to the audit.

    Raises Problem 403, 422 or 503.
    """
    wanted = request.args.get("unmask", "false")
    if wanted == "true":
        require("unmask")
        note(Act(client(), "unmasked", row["transaction_id"]))
        return row
    if wanted != "false":
        raise invalid("unmask", "true or false")
    return here().profile.masks.row(row)


def reading(read: Callable[[], T]) -> T:
    """The result of `read`. Raises Problem 503 while the database is away."""
    try:
        return read()
    except (Retry, ConfigError) as error:
        raise Problem("database_away", str(error)) from error


def with_payload(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose payload is JSON inside JSON."""
    return row | {"status": "scored", "payload": msgspec.Raw(row["payload"].encode())}


def _filter(name: str, value: str) -> str | int | float:
    match name:
        case "decision":
            if value not in DECISIONS:
                raise invalid(name, f"one of {', '.join(DECISIONS)}")
            return value
        case "account":
            profile = here().profile
            return profile.stored(profile.account, value)
        case "since_us" | "until_us":
            return whole(name, value, 0, 2**63 - 1)
        case "min_score":
            return _share(name, value)
    raise invalid(name, "no such parameter")


def _share(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise invalid(name, "a number from 0 to 1")
    return number
