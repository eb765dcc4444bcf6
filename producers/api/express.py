"""The one request that comes thousands of times a second, without Flask around it.

Routing, contexts and response objects cost 100 of the 150 us of a plain `POST /v1/transactions`. So
that request alone (no query, no Idempotency-Key, no event, content type exactly application/json)
is answered here, by the same `Ingest` and with the same answers; a test compares the two.
Everything else goes through Flask.
"""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from producers.api.cloud_events import BINARY
from producers.api.context import Context
from producers.api.ids import address_of
from producers.api.problems import CONTENT_TYPE, Problem
from tidegate.metrics import HTTP_REQUESTS, HTTP_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PATH, JSON = "/v1/transactions", "application/json"
_ROUTE = "post_transaction"
_encode = msgspec.json.Encoder().encode
_STATUS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


class Express:
    """WSGI middleware for one route."""

    def __init__(self, inner: WSGIApplication, context: Context) -> None:
        self._inner, self._ingest, self._most = inner, context.ingest, context.settings.max_body
        self._admit = context.admit
        self._accepted = HTTP_REQUESTS.labels(_ROUTE, "202").inc
        self._seconds = HTTP_SECONDS.labels(_ROUTE).observe

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not self._plain(environ):
            return self._inner(environ, start_response)
        start = time.perf_counter()
        try:
            transaction_id = self._accept(environ)
        except Problem as problem:
            HTTP_REQUESTS.labels(_ROUTE, str(problem.status)).inc()
            headers = [("Content-Type", CONTENT_TYPE), *problem.headers()]
            answer = _encode(problem.document())
            status = _STATUS[problem.status]
        else:
            self._accepted()
            headers = [
                ("Content-Type", JSON),
                ("Location", address_of(transaction_id)),
            ]
            answer = _encode({"transaction_id": transaction_id, "status": "accepted"})
            status = "202 Accepted"
        self._seconds(time.perf_counter() - start)
        start_response(status, [*headers, ("Content-Length", str(len(answer)))])
        return [answer]

    def _plain(self, environ: WSGIEnvironment) -> bool:
        length = environ.get("CONTENT_LENGTH") or self._most
        return (
            environ["PATH_INFO"] == PATH
            and environ["REQUEST_METHOD"] == "POST"
            and environ.get("CONTENT_TYPE") == JSON
            and not environ.get("QUERY_STRING")
            and "HTTP_IDEMPOTENCY_KEY" not in environ
            and BINARY not in environ
            and int(length) < self._most
        )

    def _accept(self, environ: WSGIEnvironment) -> str:
        raw = environ["wsgi.input"].read()
        client = self._admit(environ, "ingest").name
        transaction = self._ingest.admit(raw, None, time.time_ns() // 1000, client)
        self._ingest.publish([transaction], transaction_id=transaction.id)
        return transaction.id
