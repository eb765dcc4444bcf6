"""The ingest API as a WSGI application."""

from __future__ import annotations

import logging
from threading import BoundedSemaphore

from flask import Flask, Request, Response
from flask.sessions import SessionInterface
from werkzeug.exceptions import HTTPException

from db.account_keys import vault_of
from db.answers import Answers
from db.audit import AuditLog
from db.keys import KeyStore
from db.store import Store
from model.bundles.registry import FollowedRegistry
from producers.api.context import Context, bind, check_door
from producers.api.express import Express
from producers.api.feed import MAX_READERS
from producers.api.ids import fresh_id
from producers.api.ingest import ACK_SECONDS, Ingest, Publisher
from producers.api.known import Known
from producers.api.problems import PROBLEMS, SAFE_TO_RETRY, Problem
from producers.api.routes import (
    canary,
    compat,
    feedback,
    models,
    ops,
    rows,
    shadow,
    stream,
    transactions,
)
from producers.api.told import Told
from producers.api.verdict_ways import VerdictWays
from producers.api.waiters import Waiters
from tidegate.access.door import Door
from tidegate.access.keys import KeyRing
from tidegate.broker.ports import Broker
from tidegate.broker.tail import Tail
from tidegate.host.paths import take_ids
from tidegate.host.trainings import Trainings
from tidegate.pipeline import SCORED, STATUS, stage_inputs
from tidegate.profile import Profile, load_profile
from tidegate.settings import Settings
from tidegate.status.board import Board

_LOG = logging.getLogger(__name__)


def create_app() -> Flask:
    """The application of one worker, as the settings say.

    Called in the worker, because its clients must be made after the fork.
    """
    from tidegate.broker.kafka import KafkaBroker  # librdkafka is loaded where it is used

    settings = Settings()
    profile = load_profile(settings.profile)
    store = Store(settings.db_read_url, profile, settings.db_read_seconds)
    return build_app(settings, KafkaBroker(settings), store, profile)


def build_app(
    settings: Settings,
    broker: Broker,
    store: Store,
    profile: Profile,
    *,
    ack_seconds: float = ACK_SECONDS,
) -> Flask:
    """The application on any broker and store. `close_app` ends its threads and its producer."""
    known = Known()
    publisher = Publisher(broker.producer(), ack_seconds)
    waiters = Waiters(profile.scored_layout, known)
    board = Board(broker, stage_inputs(len(profile.entities), learner=profile.models.learns))
    registry = FollowedRegistry(broker, profile.hash.decode())
    scored = Tail(broker, SCORED, waiters.absorb, poll_seconds=0.05).start()
    status = Tail(broker, STATUS, board.absorb, from_start=True).start()
    keys, vault = KeyStore(settings.db_url), vault_of(profile, settings.db_url)
    app = Flask("producers", static_folder=None)
    take_ids(app.url_map)
    context = Context(
        settings,
        profile,
        broker,
        store,
        publisher,
        VerdictWays(broker, profile.hash.decode()),
        Ingest(profile, publisher, known, vault),
        known,
        waiters,
        Told(profile.scored_layout, profile.models.names, profile.masks),
        BoundedSemaphore(MAX_READERS),
        board,
        registry,
        status,
        Trainings(settings.home / "trainings", fresh_id),
        [scored, status],
        keys,
        Door(settings, KeyRing(keys.read)),
        Answers(settings.db_url),
        AuditLog(settings.db_url),
        vault,
    )
    bind(app, context)
    app.wsgi_app = Express(app.wsgi_app, context)  # type: ignore[method-assign]
    app.before_request(check_door)
    for routes in (transactions, rows, stream, feedback, models, shadow, canary, ops, compat):
        app.register_blueprint(routes.blueprint)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _defect)
    app.session_interface = NoSessions()
    return app


_KINDS = {
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
}


def _http_error(error: HTTPException) -> Response:
    kind = _KINDS.get(error.code or 500, "defect")
    response = Problem(kind, error.description or PROBLEMS[kind][1]).response()
    if error.code == 405:
        response.headers["Allow"] = ", ".join(getattr(error, "valid_methods", None) or ())
    return response


def _defect(error: Exception) -> Response:
    _LOG.error("an error inside the API", exc_info=error)
    return Problem("defect", f"{type(error).__name__}; {SAFE_TO_RETRY}").response()


class NoSessions(SessionInterface):
    """The API keeps none; Flask's own would be opened and saved on every request."""

    def open_session(self, app: Flask, request: Request) -> None:  # noqa: ARG002 - Flask's signature
        return None

    def is_null_session(self, obj: object) -> bool:  # noqa: ARG002 - Flask's signature
        return True


def close_app(app: Flask) -> None:
    """End the threads and the producer of an application."""
    context: Context = app.extensions["tidegate"]
    for tail in context.tails:
        tail.close()
    context.registry.close()
    context.trainings.close()
    context.publisher.close()
    context.ingest.close()
    context.verdict_ways.close()
    context.keys.close()
    context.answers.close()
    context.audit.close()
