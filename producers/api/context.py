"""What the blueprints share: the parts of one worker, and how an answer is made and measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from threading import Semaphore
from typing import TYPE_CHECKING, cast

import msgspec
from flask import Flask, Response, current_app, g, request

from db.answers import Answers
from db.audit import Act, AuditLog
from db.keys import KeyStore
from db.store import Store
from model.bundles.registry import FollowedRegistry
from producers.api.ingest import Ingest, Publisher
from producers.api.known import Known
from producers.api.problems import Problem, from_denied
from producers.api.told import Told
from producers.api.verdict_ways import VerdictWays
from producers.api.waiters import Waiters
from tidegate.access.door import Denied, Door
from tidegate.access.door import require as require_of
from tidegate.access.scopes import API, Principal
from tidegate.broker.ports import Broker
from tidegate.broker.tail import Tail
from tidegate.errors import ConfigError, Retry
from tidegate.host.trainings import Trainings
from tidegate.messages.vault import Vault
from tidegate.metrics import DENIED, HTTP_REQUESTS, HTTP_SECONDS
from tidegate.profile import Profile
from tidegate.settings import Settings
from tidegate.status.board import Board

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_KEY = "tidegate"
_DRAIN = 64_000_000
_DRAIN_DENIED = 1_000_000
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Context:
    """The parts of one worker of the ingest API."""

    settings: Settings
    profile: Profile
    broker: Broker
    store: Store
    publisher: Publisher
    verdict_ways: VerdictWays
    ingest: Ingest
    known: Known
    waiters: Waiters
    told: Told
    readers: Semaphore
    """The places of those who read the stream of decisions."""
    board: Board
    registry: FollowedRegistry
    status: Tail
    """What feeds the board."""
    trainings: Trainings
    tails: list[Tail]
    keys: KeyStore
    door: Door
    answers: Answers
    audit: AuditLog
    vault: Vault | None
    """Of an erasable profile; `ingest` closes it."""

    def admit(self, environ: WSGIEnvironment, scope: str) -> Principal:
        """Who asks, if he may do what needs `scope`. Raises Problem 401, 403 or 503."""
        try:
            return self.door.admit(environ, scope)
        except Denied as denied:
            DENIED.labels(denied.kind).inc()
            raise from_denied(denied) from denied
        except Retry as error:
            raise Problem("database_away", str(error)) from error


def check_door() -> Response | None:
    """Before each request: who asks is `g.principal`, or he is answered why not."""
    if request.endpoint is None:
        return None  # no such address: Flask says so
    try:
        g.principal = here().admit(request.environ, API.get(request.endpoint, "admin"))
    except Problem as problem:
        _drain(_DRAIN_DENIED)
        return problem.response()
    return None


def charge(items: int) -> None:
    """Count the transactions or verdicts of a request at its key's rate."""
    here().door.charge(g.principal, items)


def client() -> str:
    """The name of the key that was shown; empty where none was asked for."""
    principal: Principal = g.principal
    return principal.name


def note(act: Act) -> None:
    """Tell the audit before it is done. Raises Problem 503 while it cannot be told."""
    try:
        here().audit.add(act)
    except (Retry, ConfigError) as error:
        raise Problem("database_away", str(error)) from error


def signed(claimed: str) -> str:
    """Who this request is from: the name of its key; what it says itself where no key is asked."""
    return client() or claimed


def require(scope: str) -> None:
    """For what only a part of a request needs. Raises Problem 403."""
    try:
        require_of(g.principal, scope)
    except Denied as denied:
        DENIED.labels(denied.kind).inc()
        raise from_denied(denied) from denied


def bind(app: Flask, context: Context) -> None:
    """Make `context` this application's."""
    app.extensions[_KEY] = context


def here() -> Context:
    """The parts of the application that answers this request."""
    return cast(Context, current_app.extensions[_KEY])


class Answer(Response):
    """A response whose body is in memory: the server gets it in one piece, not as an iterator."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        start_response(self.status, self.headers.to_wsgi_list())
        return [] if environ["REQUEST_METHOD"] == "HEAD" else list(self.iter_encoded())


def answer(body: object, status: int = 200, location: str | None = None) -> Response:
    """A JSON answer."""
    response = Answer(_encode(body), status, content_type="application/json")
    if location:
        response.headers["Location"] = location
    return response


View = Callable[..., Response]


def measured(route: str) -> Callable[[View], View]:
    """Count and time a view under `route`; answer a Problem with its document."""
    seconds = HTTP_SECONDS.labels(route).observe
    counts: dict[int, Callable[[], None]] = {}

    def wrap(view: View) -> View:
        @wraps(view)
        def run(**arguments: str) -> Response:
            start = time.perf_counter()
            try:
                response = view(**arguments)
            except Problem as problem:
                response = problem.response()
            status = response.status_code
            if status not in counts:
                counts[status] = HTTP_REQUESTS.labels(route, str(status)).inc
            counts[status]()
            seconds(time.perf_counter() - start)
            return response

        return run

    return wrap


def body(*types: str) -> bytes:
    """The request's body.

    Raises Problem 413 when it is too large, 415 when its content type is none of `types`.
    """
    content_type = request.environ.get("CONTENT_TYPE", "")
    most = here().settings.max_body
    if content_type not in types and request.mimetype not in types:
        _drain()
        raise Problem(
            "unsupported_media_type",
            f"{content_type or 'no content type'}: send {' or '.join(types)}",
        )
    raw = cast(bytes, request.environ["wsgi.input"].read(most + 1))
    if len(raw) > most:
        _drain()
        raise Problem("too_large", f"the body has more than {most:,} bytes", limit=most)
    return raw


def _drain(left: int = _DRAIN) -> None:
    """Read what the client is still sending, up to a limit, so that it can read the answer."""
    while left > 0 and (chunk := request.environ["wsgi.input"].read(1 << 20)):
        left -= len(chunk)
