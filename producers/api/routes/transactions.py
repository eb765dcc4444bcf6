"""`/v1/transactions`: post one or many, read one or many."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from producers.api import cloud_events, csv_bodies
from producers.api.batches import Batch
from producers.api.context import answer, body, charge, client, here, measured
from producers.api.decisions import accepted, publish_and_wait, wait_seconds
from producers.api.ingest import Admitted, conflict
from producers.api.problems import UNREADABLE, Problem, invalid, unreadable
from producers.api.repeats import repeatable
from tidegate.words import encodable, plain

JSON, NDJSON, CSV = "application/json", "application/x-ndjson", "text/csv"
BATCHES = (JSON, NDJSON, CSV, cloud_events.MANY)
blueprint = Blueprint("transactions", __name__)
_split = msgspec.json.Decoder(list[msgspec.Raw]).decode


@blueprint.post("/v1/transactions")
@measured("post_transaction")
@repeatable(JSON, cloud_events.ONE)
def post_one() -> Response:
    """Make one transaction durable; with `?wait_ms=` answer its decision if that comes in time."""
    context = here()
    raw, key = body(JSON, cloud_events.ONE), request.environ.get("HTTP_IDEMPOTENCY_KEY")
    seconds = wait_seconds(0) if request.environ.get("QUERY_STRING") else 0.0
    if request.mimetype == cloud_events.ONE:
        raw, key = cloud_events.unwrap(raw)
    elif cloud_events.BINARY in request.environ:
        raw, key = cloud_events.unwrap_binary(raw, request.environ)
    transaction = context.ingest.admit(raw, key, time.time_ns() // 1000, client())
    if seconds:
        [decision] = publish_and_wait([transaction], seconds, transaction_id=transaction.id)
        return answer(decision) if decision is not None else accepted(transaction.id)
    context.ingest.publish([transaction], transaction_id=transaction.id)
    return accepted(transaction.id)


@blueprint.post("/v1/transactions/batch")
@measured("post_batch")
@repeatable(*BATCHES)
def post_batch() -> Response:
    """Make many transactions durable; each bad one is answered with its index and its problem."""
    context, raw = here(), body(*BATCHES)
    if cloud_events.BINARY in request.environ:
        raise invalid(
            "ce-specversion",
            "an event in the binary mode is one transaction: post it to /v1/transactions, or a "
            f"batch as {cloud_events.MANY}",
        )
    batch = take(_found(raw))
    charge(len(batch.items))
    admitted, rejected = admit_all(batch, request.environ.get("HTTP_IDEMPOTENCY_KEY"))
    generated = {
        str(index): transaction.id
        for index, transaction in admitted.items()
        if transaction.generated
    }
    context.ingest.publish(
        list(admitted.values()), **({"generated_ids": generated} if generated else {})
    )
    result: dict[str, Any] = {"accepted": len(admitted)}
    if generated:
        result["generated_ids"] = generated
    if scope := context.ingest.scope(client()):
        result["id_prefix"] = scope
    if rejected:
        result["rejected"] = rejected
    if batch.notes:
        result["notes"] = batch.notes
    return answer(result, 202 if admitted else 422)


def take(batch: Batch) -> Batch:
    """The same transactions, if they are as many as one request may hold.

    Raises Problem 413 or 422.
    """
    most = here().settings.max_batch
    if len(batch.items) > most:
        raise Problem("too_large", f"one request takes at most {most:,} transactions", limit=most)
    if not batch.items:
        raise Problem("empty", "there is no transaction in the body")
    return batch


def _found(raw: bytes) -> Batch:
    """The transactions in a body. Raises Problem 400."""
    if request.mimetype == CSV:
        charset = request.mimetype_params.get("charset", "")
        return csv_bodies.read(raw, charset, here().profile, here().settings.max_batch)
    if request.mimetype == NDJSON:
        return Batch([line for line in raw.split(b"\n") if line.strip()], {}, [])
    if request.mimetype == cloud_events.MANY:
        return cloud_events.unwrap_all(_array(raw))
    return Batch(_array(raw), {}, [])


def _array(raw: bytes) -> list[bytes]:
    try:
        return [bytes(item) for item in _split(raw)]
    except msgspec.ValidationError as error:
        complaint = f"send an array of transactions: {plain(str(error))}"
        raise Problem("invalid", complaint, errors=[]) from error
    except msgspec.DecodeError as error:
        return _lenient(raw, error)
    except UNREADABLE as error:
        raise unreadable(error) from error


def _lenient(raw: bytes, why: msgspec.DecodeError) -> list[bytes]:
    """The transactions of an array in which many clients' NaN and Infinity stand.

    They are no JSON, but only their own transactions are to be refused.
    """
    try:
        items = json.loads(raw)
    except UNREADABLE as error:
        raise unreadable(error) from error
    except ValueError:
        raise unreadable(why) from why
    if not isinstance(items, list):
        raise unreadable(why)
    return [json.dumps(item).encode() for item in items]


def admit_all(
    batch: Batch, idempotency_key: str | None
) -> tuple[dict[int, Admitted], list[dict[str, Any]]]:
    """The good ones by index, and the answers to the bad ones. A repeated body is admitted once."""
    admit, now_us, own = here().ingest.admit, time.time_ns() // 1000, client()
    admitted: dict[int, Admitted] = {}
    rejected: list[dict[str, Any]] = []
    hashes: dict[str, bytes] = {}
    keys = batch.keys or _keys(idempotency_key)
    for (index, item), key in zip(enumerate(batch.items), keys, strict=False):
        try:
            if problem := batch.unreadable.get(index):
                raise problem
            transaction = admit(item, key, now_us, own)
            if hashes.setdefault(transaction.id, transaction.hash) != transaction.hash:
                raise conflict(
                    transaction.id, "in this batch before, with another body; the first stays"
                )
            admitted[index] = transaction
        except Problem as problem:
            rejected.append(
                {
                    "index": index,
                    "id": problem.members.get("transaction_id") or _id_in(item),
                    "problem": problem.document(),
                }
            )
    return admitted, rejected


def _keys(idempotency_key: str | None) -> Iterator[str | None]:
    index = 0
    while True:
        yield f"{idempotency_key}/{index}" if idempotency_key else None
        index += 1


def _id_in(item: bytes) -> str | None:
    """The id that a bad transaction carries, if it can be read."""
    try:
        document = json.loads(item)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    profile, scope = here().profile, here().ingest.scope(client())
    own = document.get(profile.id_field)
    if not isinstance(own, str) or encodable(own) != own:
        return None
    return profile.stored_id(scope + own)[:256]
