"""The results page as a WSGI application of its own."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, Response

from dashboard.access import guard
from dashboard.alerts.office import desk_in, desk_of
from dashboard.context import KEY, Context
from dashboard.dead_letters.workbench import Workbench, workbench_in, workbench_of
from dashboard.newest import Live
from dashboard.pages import pages_in
from dashboard.provider import provider_of
from dashboard.review.desk import room_in, room_of
from dashboard.rules.routes import close_rules, rules_in
from db.account_keys import vault_of
from db.audit import AuditLog
from db.keys import KeyStore
from db.notify.desk import Desk
from db.store import Store
from db.users import UserStore
from model.bundles.past_policies import Policies
from model.bundles.registry import Registry
from tidegate.access.door import Door
from tidegate.access.keys import KeyRing
from tidegate.access.recent import Recent
from tidegate.broker.ports import Broker
from tidegate.broker.records import Batch
from tidegate.broker.tail import Tail
from tidegate.errors import ConfigError, Retry
from tidegate.host.paths import take_ids
from tidegate.pipeline import MODELS, SCORED, STATUS, stage_inputs
from tidegate.profile import Profile, load_profile
from tidegate.settings import Settings
from tidegate.status.board import Board

Absorb = Callable[[Batch], None]
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def create_app() -> Flask:
    """The application as the settings say; its clients are made after the fork."""
    from tidegate.broker.kafka import KafkaBroker  # librdkafka is loaded where it is used

    settings = Settings()
    profile = load_profile(settings.profile)
    store = Store(settings.db_read_url, profile, settings.db_read_seconds)
    return build_app(settings, KafkaBroker(settings), store, profile)


def build_app(settings: Settings, broker: Broker, store: Store, profile: Profile) -> Flask:
    """The application on any broker and store. `close_app` ends its threads and its producer."""
    from dashboard import language, oidc, sign_in, stream
    from dashboard.alerts import routes as alerts
    from dashboard.batch import routes as batch
    from dashboard.dead_letters import acts as letter_acts
    from dashboard.dead_letters import mend as letter_mend
    from dashboard.dead_letters import routes as dead_letters
    from dashboard.models import orders as model_orders
    from dashboard.models import routes as models
    from dashboard.pipeline import routes as pipeline
    from dashboard.review import figures as review_figures
    from dashboard.review import listing as review_list
    from dashboard.review import routes as review
    from dashboard.rules import editing as rules_editing
    from dashboard.rules import routes as rules
    from dashboard.threshold import routes as threshold
    from dashboard.transactions import download as transactions
    from dashboard.transactions import one
    from dashboard.try_one import routes as try_one

    vault = vault_of(profile, settings.db_url)
    live = Live(profile, vault)
    registry = Registry(profile.hash.decode())
    board = Board(broker, stage_inputs(len(profile.entities), learner=profile.models.learns))
    app = Flask("dashboard")
    rates = pipeline.watch_in(app, broker, profile, settings.db_url).rates
    tails = [
        Tail(broker, SCORED, live.absorb).start(),
        Tail(broker, STATUS, _to_both(board.absorb, rates.absorb), from_start=True).start(),
        Tail(broker, MODELS, registry.absorb, from_start=True).start(),
    ]
    bench = Workbench(broker, profile, vault, settings.db_url)
    tails += bench.follow()
    url = settings.db_url
    keys, people, audit = KeyStore(url), UserStore(url), AuditLog(url)
    take_ids(app.url_map)
    app.extensions[KEY] = Context(
        settings,
        profile,
        store,
        broker,
        broker.producer(),
        live,
        board,
        registry,
        Policies(broker, profile),
        tails,
        Door(settings, KeyRing(keys.read)),
        Recent(people.read),
        provider_of(settings),
        audit,
        [keys, people, audit, *([vault] if vault else [])],
    )
    workbench_in(app, bench)
    room_in(app, settings)
    desk_in(app, Desk(url))
    rules_in(app, broker)
    guard(app, settings, people.secret)
    pages_in(app)
    language.languages_in(app)
    for routes in (
        threshold,
        batch,
        one,
        transactions,
        review,
        review_list,
        review_figures,
        stream,
        models,
        model_orders,
        pipeline,
        dead_letters,
        letter_acts,
        letter_mend,
        try_one,
        alerts,
        rules,
        rules_editing,
        sign_in,
        oidc,
        language,
    ):
        app.register_blueprint(routes.blueprint)
    app.after_request(_guard)
    app.register_error_handler(Retry, _away)
    app.register_error_handler(ConfigError, _away)
    return app


def _to_both(first: Absorb, second: Absorb) -> Absorb:
    def absorb(batch: Batch) -> None:
        first(batch)
        second(batch)

    return absorb


def _away(error: Retry | ConfigError) -> Response:
    return Response(
        f"Something is away for a while: {error}",
        503,
        {"Retry-After": "2"},
        content_type="text/plain",
    )


def _guard(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = CSP
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    return response


def close_app(app: Flask) -> None:
    """End the threads and the producer of an application."""
    context: Context = app.extensions[KEY]
    for tail in context.tails:
        tail.close()
    workbench_of(app).close()
    room_of(app).close()
    desk_of(app).close()
    close_rules(app)
    context.producer.close()
    for database in context.databases:
        database.close()
