"""A request that comes again with its Idempotency-Key gets the first answer again."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Callable
from functools import wraps

from flask import Response, request

from db.answers import FirstAnswer
from producers.api.cloud_events import BINARY, headers_of
from producers.api.context import Answer, body, client, here
from producers.api.problems import CONTENT_TYPE, Problem
from tidegate.clock import now_us
from tidegate.errors import ConfigError, Retry

_LOG = logging.getLogger(__name__)
_LONGEST = 255
_MAY_CHANGE = (401, 403, 429)
View = Callable[[], Response]


def repeatable(*types: str) -> Callable[[View], View]:
    """A view whose first answer counts, for bodies of these types.

    What another try may change is not kept (401, 403, 429, 5xx). While the database is away nothing
    is kept or found; ids are derived from the key all the same, so nothing is counted twice.
    """

    def wrap(view: View) -> View:
        @wraps(view)
        def run() -> Response:
            name = request.environ.get("HTTP_IDEMPOTENCY_KEY")
            if not name:
                return view()
            if len(name) > _LONGEST:
                raise Problem("invalid", f"Idempotency-Key has more than {_LONGEST} characters")
            raw = body(*types)
            request.environ["wsgi.input"] = io.BytesIO(raw)
            event = headers_of(request.environ).values() if BINARY in request.environ else ()
            asked = _digest(request.path, request.query_string, raw, *event)
            key = _digest(request.path, client().encode(), name.encode("utf-8", "replace"))
            return _first(key, asked) or _answered(view, key, asked)

        return run

    return wrap


def _answered(view: View, key: bytes, asked: bytes) -> Response:
    try:
        response = view()
    except Problem as problem:
        response = problem.response()
    if response.status_code < 500 and response.status_code not in _MAY_CHANGE:
        location = response.headers.get("Location", "")
        found = FirstAnswer(asked, response.status_code, response.get_data(), location)
        try:
            here().answers.keep(key, found, now_us())
        except (Retry, ConfigError) as error:
            _LOG.warning("an answer was not kept: %s", error)
    return response


def _first(key: bytes, asked: bytes) -> Response | None:
    """Raises Problem 409 when the key came with another request."""
    try:
        found = here().answers.get(key, now_us())
    except (Retry, ConfigError) as error:
        _LOG.warning("a first answer was not looked for: %s", error)
        return None
    if found is None:
        return None
    if found.request != asked:
        raise Problem(
            "conflicting_key", "this Idempotency-Key came with another request; take a new one"
        )
    problem = found.body.startswith(b'{"type":"/docs#')
    response = Answer(
        found.body,
        found.status,
        content_type=CONTENT_TYPE if problem else "application/json",
    )
    response.headers["Idempotency-Replayed"] = "true"
    if found.location:
        response.headers["Location"] = found.location
    return response


def _digest(*parts: str | bytes) -> bytes:
    """Of all of them, each with its length."""
    hashed = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        hashed.update(len(raw).to_bytes(8, "big") + raw)
    return hashed.digest()
