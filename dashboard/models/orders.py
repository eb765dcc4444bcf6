"""Orders to change which bundle has which role, and to train."""

from __future__ import annotations

import time

from flask import Blueprint, abort, g, redirect, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as Answer

from dashboard.context import Context, here
from dashboard.models import training
from dashboard.models.shown import previous_of, render, roles_of
from db.audit import Act
from model.bundles import catalog, promotion
from model.bundles.shared import known_bundles
from tidegate.errors import ConfigError, Retry
from tidegate.status.heartbeats import BEAT

blueprint = Blueprint("model_orders", __name__)
_LOAD_SECONDS, _SWITCH_SECONDS, _LOOK = 20.0, 10.0, 0.1


@blueprint.post("/models/promote")
def promote() -> Answer | tuple[str, int]:
    """Make a bundle the champion, once all scorers have loaded it."""
    bundle = request.form.get("bundle", "")
    return _switch(bundle) if bundle else (render(gettext("Name a bundle.")), 400)


@blueprint.post("/models/rollback")
def rollback() -> Answer | tuple[str, int]:
    """Make the champion before this one the champion again."""
    previous = previous_of(here())
    if not previous:
        return render(gettext("There has been no champion before this one.")), 409
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
        return render(str(error)), 409 if isinstance(error, ConfigError) else 503
    deadline = time.monotonic() + _SWITCH_SECONDS
    while time.monotonic() < deadline and any(
        beat.models_offset <= promoted.offset for beat in context.board.scorers()
    ):
        time.sleep(_LOOK)
    return redirect(url_for("models.page", said="promoted"), 303)


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
            return render(
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
        return render(str(error)), 409 if isinstance(error, ConfigError) else 503
    _await_registry(context, role, name)
    return redirect(url_for("models.page", said=f"{role}-{'set' if name else 'ended'}"), 303)


def _await_registry(context: Context, role: str, bundle: str) -> None:
    """Until this process has read the order itself, for a while."""
    deadline = time.monotonic() + _SWITCH_SECONDS
    while roles_of(context)[role] != bundle and time.monotonic() < deadline:
        time.sleep(_LOOK)


@blueprint.post("/models/train")
def train() -> Answer | tuple[str, int]:
    """Begin a training, or a retraining."""
    what = request.form.get("what", "")
    if what not in training.COMMANDS:
        abort(400)
    here().audit.add(Act(g.principal.name, what, here().profile.name))
    if not training.start(what):
        return render(gettext("Another training is under way.")), 409
    return redirect(url_for("models.page") + "#training", 303)


@blueprint.post("/models/train/cancel")
def cancel() -> Answer:
    """End the training that runs."""
    here().audit.add(Act(g.principal.name, "training cancelled", here().profile.name))
    training.cancel()
    return redirect(url_for("models.page") + "#training", 303)
