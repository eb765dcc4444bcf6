"""`/models`: the bundles with a role beside each other."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Blueprint, Response, render_template

from dashboard.context import here
from dashboard.models import training
from dashboard.models.drift import drift
from dashboard.models.shown import NEWEST, live_parts, render, roles_of
from model.bundles import catalog
from model.bundles.shared import known_bundles
from tidegate.errors import ConfigError, Retry
from tidegate.messages.documents import OnlineWeights

blueprint = Blueprint("models", __name__)
_DAYS = 30
_CAPACITY = 100
"""Reviews a day by which a shadow is compared."""


@blueprint.get("/models")
def page() -> str:
    """The page; its parts that move are asked for."""
    return render()


@blueprint.get("/models/live")
def live() -> str:
    """The part that moves: who uses the champion, the online model, the drift."""
    return render_template("models/live.html", **live_parts(here()))


@blueprint.get("/models.json")
def state() -> Response:
    """Champion, scorers, online model, drift, and the newest bundles with their test metrics."""
    context = here()
    promoted, weights = context.registry.now()
    champion = promoted.champion if promoted else None
    folder, profile = known_bundles(context.settings), context.profile.hash.decode()
    bundles = catalog.listing(folder, champion.bundle if champion else "", profile)
    body = {
        "champion": champion,
        "online": weights and _online(weights),
        "drift": drift(context),
        "scorers": [
            {"process": beat.process, "bundle": beat.bundle, "refused": beat.refused}
            for beat in context.board.scorers()
        ],
        "bundles": bundles[:NEWEST],
    }
    return Response(
        msgspec.json.encode(body),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def _online(weights: OnlineWeights) -> dict[str, Any]:
    """The learner's state, without the weights themselves."""
    return {
        "learnt": weights.learnt,
        "labels": weights.labels,
        "frozen": weights.frozen,
        "published_us": weights.published_us,
    }


@blueprint.get("/models/drift")
def drift_over_time() -> str:
    """The drift of each column over the last weeks."""
    from dashboard.models.history import drift_history

    context, shown, fault = here(), None, ""
    if bundle := roles_of(context)["champion"]:
        try:
            folder = known_bundles(context.settings, bundle)
            shown = drift_history(context.settings.db_read_url, context.profile, folder / bundle)
        except (ConfigError, Retry) as error:
            fault = str(error)
    return render_template("models/drift.html", shown=shown, fault=fault)


@blueprint.get("/models/compared")
def compared() -> str:
    """The shadow and the canary against the champion, by rows and verdicts."""
    from db.comparison import compare_canary, compare_shadow

    context = here()
    settings, profile = context.settings, context.profile
    shadow, canary = context.registry.beside()
    with_shadow, with_canary, fault = None, None, ""
    try:
        if shadow:
            folder = known_bundles(settings, shadow.bundle)
            with_shadow = compare_shadow(
                profile, settings.db_read_url, context.broker, folder, _CAPACITY
            )
        if canary:
            with_canary = compare_canary(profile, settings.db_read_url, context.broker)
    except (ConfigError, Retry) as error:
        fault = str(error)
    return render_template(
        "models/compared.html", shadow=with_shadow, canary=with_canary, fault=fault
    )


@blueprint.get("/models/verdicts")
def verdicts() -> str:
    """Recall by the random sample, and how many verdicts have come by the age of the rows."""
    from db.decisions import read_decisions
    from model.bundles.published import verdicts as read_verdicts
    from model.evaluation.verdict_quality import by_age, daily_sample, decided_rows, recall

    context = here()
    try:
        read = read_decisions(context.settings.db_read_url, context.profile.hash.decode(), _DAYS)
        given = read_verdicts(context.broker)
    except (ConfigError, Retry) as error:
        return render_template("models/verdicts.html", fault=str(error))
    decided = decided_rows(
        read.ids,
        read.times,
        read.flagged,
        given,
        daily_sample(
            read.ids,
            read.came_in,
            read.flagged,
            context.settings.review_sample,
            context.settings.review_daily,
        ),
    )
    return render_template(
        "models/verdicts.html", lines=by_age(decided), recall=recall(decided), days=_DAYS
    )


@blueprint.get("/models/train")
def train_state() -> Response:
    """How the training goes; when it is over, the whole page anew."""
    now = training.state()
    response = Response(render_template("models/training.html", training=now))
    if now is None or now.done:
        response.headers["HX-Refresh"] = "true"
    return response
