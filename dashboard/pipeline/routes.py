"""What the pipeline page shows, and asks for again each second."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from flask import Blueprint, Flask, Response, current_app, g, redirect, render_template, url_for

from dashboard.context import Context, health, here
from dashboard.pipeline.rates import Rates
from dashboard.pipeline.reconciling import Reconciling
from dashboard.pipeline.stages import holds, jam, lanes, on_request, stages_of
from db.reconcile.ledger import OUTCOMES, Totals
from db.reconcile.reconcile import Reconciler
from tidegate.broker.ports import Broker
from tidegate.clock import now_us
from tidegate.errors import Retry
from tidegate.profile import Profile

blueprint = Blueprint("pipeline", __name__)
_KEY = "tidegate.pipeline"
_HEARD_US = 30_000_000
"""Processes that were heard so long ago are still listed."""
_NAMED = 20
"""Missing records that are named."""
_PATIENCE = 2.0


class Watch(NamedTuple):
    """What the page keeps while the application runs."""

    rates: Rates
    reconciling: Reconciling


def watch_in(app: Flask, broker: Broker, profile: Profile, database: str) -> Watch:
    """Give an application what its page needs; `rates` is to be fed the heartbeats."""

    def reconcile() -> Totals:
        reconciler = Reconciler(broker, profile, database)
        try:
            return reconciler.run(keep=_NAMED)
        finally:
            reconciler.close()

    made = app.extensions[_KEY] = Watch(Rates(), Reconciling(reconcile))
    return made


def _watch() -> Watch:
    return cast(Watch, current_app.extensions[_KEY])


def shown() -> dict[str, Any]:
    """What the templates need."""
    context, watch = here(), _watch()
    try:
        partitions = context.board.partitions()
    except Retry:
        partitions = {}
    beats, living = context.board.processes(within_us=_HEARD_US), context.board.processes()
    asked = on_request(living)
    names = (*context.board.stages, *asked)
    stages = stages_of(names, living, {**partitions, **asked}, watch.rates)
    now = now_us()
    return {
        "stages": stages,
        "lanes": lanes(stages),
        "jam": jam(stages),
        "holds": list(holds(stages)),
        "late": _late(context),
        "refused": [beat for beat in beats if beat.refused],
        "beats": beats,
        "ages": {beat.process: now - context.board.heard_us(beat.process) for beat in beats},
        "run": watch.reconciling.newest,
        "outcomes": OUTCOMES,
        "may_act": g.principal.may("models"),
        **health(context),
    }


def _late(context: Context) -> int:
    """Scorers that have not switched to the champion yet, though they do not refuse it."""
    promoted, _ = context.registry.now()
    if promoted is None:
        return 0
    beats = [beat for beat in context.board.scorers() if not beat.refused]
    return sum(beat.models_offset <= promoted.offset for beat in beats)


@blueprint.get("/pipeline/now")
def now() -> str:
    """The part of the page that changes."""
    return render_template("pipeline/now.html", **shown())


@blueprint.post("/pipeline/reconcile")
def reconcile() -> Response:
    """Begin a reconciliation, wait a moment for its end, and go back to the page."""
    _watch().reconciling.start().ended.wait(_PATIENCE)
    return cast(Response, redirect(url_for("views.pipeline"), 303))
