"""`/models`: the bundles with a role beside each other, and orders to change who has which."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from flask import Blueprint, Response, abort, g, redirect, render_template, request, url_for
from flask_babel import gettext, ngettext
from werkzeug.wrappers import Response as Answer

from dashboard.context import Context, here
from dashboard.models import training
from dashboard.models.drift import drift
from dashboard.models.sides import Side, calibration, challengers, curve, sides
from db.audit import Act
from model.bundles import catalog, promotion
from model.bundles.shared import known_bundles
from tidegate.errors import ConfigError, Retry
from tidegate.messages.documents import OnlineWeights
from tidegate.status.heartbeats import BEAT

blueprint = Blueprint("models", __name__)
_NEWEST = 30
"""Bundles shown."""
_LOAD_SECONDS, _SWITCH_SECONDS, _LOOK = 20.0, 10.0, 0.1
_DAYS = 30
_CAPACITY = 100
"""Reviews a day by which a shadow is compared."""


@blueprint.get("/models")
def page() -> str:
    """The page; its parts that move are asked for."""
    return _page()


def _page(fault: str = "", **shown: Any) -> str:  # noqa: ANN401 - whatever the template shows
    context = here()
    folder, roles = known_bundles(context.settings), _roles(context)
    listed, profile = catalog.entries(folder), context.profile.hash.decode()
    free = challengers(listed, profile, {name for name in roles.values() if name})
    chosen = request.args.get("challenger", "")
    named = [entry.hash for entry in free if entry.hash == chosen] or [e.hash for e in free[:1]]
    shown_sides = sides(folder, roles | {"challenger": named[0] if named else ""})
    return render_template(
        "models/page.html",
        sides=shown_sides,
        curves=_curves(shown_sides),
        roles=roles,
        free=free,
        challenger=named[0] if named else "",
        bundles=catalog.listing(folder, roles["champion"], profile)[:_NEWEST],
        share=_share(context),
        previous=_previous(context),
        may=g.principal.may("models"),
        fault=fault,
        said=request.args.get("said", ""),
        training=training.state(),
        trains=training.can_train(),
        **_live(context),
        **shown,
    )


def _curves(shown: list[Side]) -> list[tuple[str, str, str, list[Any]]]:
    """Title, both axes and lines of each chart."""
    return [
        (
            gettext("Precision over recall"),
            gettext("recall"),
            gettext("precision"),
            curve(shown, "recall", "precision"),
        ),
        (
            gettext("ROC"),
            gettext("false positive rate"),
            gettext("recall"),
            curve(shown, "false_positive_rate", "recall"),
        ),
        (gettext("Calibration"), gettext("score"), gettext("share of frauds"), calibration(shown)),
    ]


def _roles(context: Context) -> dict[str, str]:
    promoted, _ = context.registry.now()
    shadow, canary = context.registry.beside()
    return {
        "champion": promoted.champion.bundle if promoted else "",
        "shadow": shadow.bundle if shadow else "",
        "canary": canary.bundle if canary else "",
    }


def _share(context: Context) -> float:
    _, canary = context.registry.beside()
    return canary.share if canary else 0.0


def _previous(context: Context) -> str:
    promoted, _ = context.registry.now()
    return promoted.champion.previous if promoted else ""


@blueprint.get("/models/live")
def live() -> str:
    """The part that moves: who uses the champion, the online model, the drift."""
    return render_template("models/live.html", **_live(here()))


def _live(context: Context) -> dict[str, Any]:
    promoted, weights = context.registry.now()
    scorers = context.board.scorers()
    name = promoted.champion.bundle if promoted else ""
    following = sum(beat.bundle == name for beat in scorers)
    refused = sum(bool(beat.refused) for beat in scorers)
    if not name:
        words = gettext("No champion yet")
    else:
        words = ngettext(
            "%(bundle)s, used by %(used)s of %(num)s scorer",
            "%(bundle)s, used by %(used)s of %(num)s scorers",
            len(scorers),
            bundle=name,
            used=following,
        )
        if refused:
            words += gettext(", refused by %(n)s: see `tidegate status`", n=refused)
    return {
        "champion_words": words,
        "champion_fine": bool(name) and following == len(scorers),
        "online": weights,
        "drift": drift(context),
    }


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
        "bundles": bundles[:_NEWEST],
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
    if bundle := _roles(context)["champion"]:
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


@blueprint.post("/models/promote")
def promote() -> Answer | tuple[str, int]:
    """Make a bundle the champion, once all scorers have loaded it."""
    bundle = request.form.get("bundle", "")
    return _switch(bundle) if bundle else (_page(gettext("Name a bundle.")), 400)


@blueprint.post("/models/rollback")
def rollback() -> Answer | tuple[str, int]:
    """Make the champion before this one the champion again."""
    previous = _previous(here())
    if not previous:
        return _page(gettext("There has been no champion before this one.")), 409
    return _switch(previous, rollback=True)


def _switch(bundle: str, **detail: object) -> Answer | tuple[str, int]:
    context = here()
    try:
        name = catalog.usable(known_bundles(context.settings, bundle), bundle, context.profile).hash
        _know_scorers(context)
        context.audit.add(Act(g.principal.name, "model promoted", name, detail))
        promoted = promotion.promote(
            context.broker,
            name,
            context.profile.hash.decode(),
            by=_signature(),
            timeout=_LOAD_SECONDS,
            scorers=context.board.scorers,
        )
    except (ConfigError, Retry) as error:
        return _page(str(error)), 409 if isinstance(error, ConfigError) else 503
    deadline = time.monotonic() + _SWITCH_SECONDS
    while time.monotonic() < deadline and any(
        beat.models_offset <= promoted.offset for beat in context.board.scorers()
    ):
        time.sleep(_LOOK)
    return redirect(url_for(".page", said="promoted"), 303)


def _know_scorers(context: Context) -> None:
    """Whom to ask is known once every living process has beaten since this one reads the topic.

    Raises Retry.
    """
    status = context.tails[1]
    if status.reading_for() < BEAT:
        raise Retry(f"which scorers to ask is not known yet: try again in {BEAT:g} s")


def _signature() -> str:
    return g.principal.name or "dashboard"


@blueprint.post("/models/shadow")
def shadow() -> Answer | tuple[str, int]:
    """Let a bundle score beside the champion, or none."""
    bundle = request.form.get("bundle", "")
    return _beside("shadow", bundle)


@blueprint.post("/models/canary")
def canary() -> Answer | tuple[str, int]:
    """Let a bundle decide for a share of the accounts, or none."""
    bundle, share = request.form.get("bundle", ""), 0.0
    if bundle:
        try:
            share = float(request.form.get("percent", "")) / 100
        except ValueError:
            abort(400)
        if not 0 < share <= 0.5:
            return _page(
                gettext("A canary decides for at least some and at most half of the accounts.")
            ), 400
    return _beside("canary", bundle, share)


def _beside(role: str, bundle: str, share: float = 0.0) -> Answer | tuple[str, int]:
    context, name = here(), ""
    profile = context.profile.hash.decode()
    try:
        if bundle:
            folder = known_bundles(context.settings, bundle)
            name = catalog.usable(folder, bundle, context.profile).hash
        context.audit.add(
            Act(g.principal.name, f"{role} set", name, {"share": share} if share else {})
        )
        if role == "shadow":
            promotion.set_shadow(context.broker, name, profile, by=_signature())
        else:
            promotion.set_canary(context.broker, name, profile, share, by=_signature())
    except (ConfigError, Retry) as error:
        return _page(str(error)), 409 if isinstance(error, ConfigError) else 503
    _await_registry(context, role, name)
    return redirect(url_for(".page", said=f"{role}-{'set' if name else 'ended'}"), 303)


def _await_registry(context: Context, role: str, bundle: str) -> None:
    """Until this process has read the order itself, for a while."""
    deadline = time.monotonic() + _SWITCH_SECONDS
    while _roles(context)[role] != bundle and time.monotonic() < deadline:
        time.sleep(_LOOK)


@blueprint.post("/models/train")
def train() -> Answer | tuple[str, int]:
    """Begin a training, or a retraining."""
    what = request.form.get("what", "")
    if what not in training.COMMANDS:
        abort(400)
    here().audit.add(Act(g.principal.name, what, here().profile.name))
    if not training.start(what):
        return _page(gettext("Another training is under way.")), 409
    return redirect(url_for(".page") + "#training", 303)


@blueprint.post("/models/train/cancel")
def cancel() -> Answer:
    """End the training that runs."""
    here().audit.add(Act(g.principal.name, "training cancelled", here().profile.name))
    training.cancel()
    return redirect(url_for(".page") + "#training", 303)


@blueprint.get("/models/train")
def train_state() -> Response:
    """How the training goes; when it is over, the whole page anew."""
    now = training.state()
    response = Response(render_template("models/training.html", training=now))
    if now is None or now.done:
        response.headers["HX-Refresh"] = "true"
    return response
