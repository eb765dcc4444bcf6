"""`/threshold`: what other thresholds would do, by the verdicts that are old enough, and setting
them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from flask import Blueprint, g, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as Answer

from dashboard.context import Context, here
from dashboard.rules.routes import desk
from dashboard.threshold import figures
from dashboard.threshold.reading import read
from db.audit import Act
from db.recent_scores import rows_at
from model.bundles import catalog
from model.bundles.manifest import Manifest
from model.bundles.past_policies import Past
from model.bundles.policies import Overtaken, current_policy, in_force
from model.bundles.policies import publish_policy as publish
from model.bundles.shared import known_bundles
from model.ensemble.thresholds import Fixed, Rule, rule
from model.policy.personal import stored
from tidegate.errors import ConfigError, Retry
from tidegate.messages.policy import AppliedPolicy
from tidegate.profile.spec import DAY

blueprint = Blueprint("threshold", __name__)
_SHOWN = 5
"""Rows shown of each change."""
_HISTORY = 10
_SECONDS, _LOOK = 10.0, 0.1


class Present(NamedTuple):
    """What decides now: the thresholds, the bundle's own, and the policy that sets them, if one
    does; `version` of the policy in force.
    """

    rule: Rule
    own: Rule
    manifest: Manifest
    version: str
    applied: AppliedPolicy | None

    @property
    def is_own(self) -> bool:
        """Whether no policy sets them."""
        return self.applied is None or not self.applied.policy.thresholds


def _present(context: Context) -> Present | None:
    """None before the first promotion, or without the champion's bundle."""
    promoted, _ = context.registry.now()
    if promoted is None:
        return None
    name = promoted.champion.bundle
    known = catalog.entries(known_bundles(context.settings, name))
    manifest = next((entry.manifest for entry in known if entry.hash == name), None)
    if manifest is None:
        return None
    applied = context.registry.policy()
    own = rule(manifest.thresholds)
    policy = in_force(context.profile, applied)
    chosen = rule(policy.thresholds) if policy.thresholds else own
    return Present(chosen, own, manifest, policy.version, applied)


@blueprint.get("/threshold")
def page() -> str | tuple[str, int]:
    """The page, with the thresholds that decide now or those that are asked for."""
    try:
        chosen = _asked(request.args)
    except ValueError as error:
        return _page(None, str(error)), 400
    return _page(chosen)


def _asked(given: Mapping[str, str]) -> Fixed | None:
    """The thresholds that were filled in; None for none. Raises ValueError."""
    if not (given.get("review") or given.get("block")):
        return None
    try:
        review, block = float(given.get("review", "")), float(given.get("block", ""))
    except ValueError:
        raise ValueError(gettext("Both thresholds have to be numbers from 0 to 1.")) from None
    if not (0 < review <= 1 and 0 < block <= 1 and math.isfinite(review + block)):
        raise ValueError(gettext("Both thresholds have to be numbers from 0 to 1."))
    if review > block:
        raise ValueError(gettext("What is blocked has to score at least what is reviewed."))
    return Fixed(review, block)


def _page(chosen: Fixed | None, fault: str = "") -> str:
    context = here()
    present = _present(context)
    if present is None:
        return render_template("threshold/page.html", present=None, fault=fault)
    start = present.rule if isinstance(present.rule, Fixed) else None
    shown = chosen or start or Fixed(0.5, 0.9)
    found = _figures(context, present)
    return render_template(
        "threshold/page.html",
        present=present,
        fixed=isinstance(present.rule, Fixed),
        shown=shown,
        changed=chosen is not None and chosen != present.rule,
        at_review=figures.at(found["document"], shown.review),
        at_block=figures.at(found["document"], shown.block),
        changes=_changes(context, found["rows"], present.rule, shown) if chosen else None,
        places=[figures.place_of(shown.review), figures.place_of(shown.block)],
        last=len(found["document"]["threshold"]) - 1,
        history=_history(context),
        may=g.principal.may("models"),
        four_eyes=context.settings.four_eyes,
        said=request.args.get("said", ""),
        fault=fault,
        charts=_charts(found["document"]),
        **found,
    )


def _figures(context: Context, present: Present) -> dict[str, Any]:
    """What is read of rows and verdicts. Raises Retry."""
    settings, profile = context.settings, context.profile
    name = profile.hash.decode()
    others = [
        entry.hash
        for entry in catalog.entries(settings.bundles_dir)
        if entry.manifest and entry.manifest.profile_hash != name
    ]
    week, mature, whole = read(settings.db_read_url, profile, others)
    calibrated = "auc" in present.manifest.metrics
    return {
        "document": figures.document(week, mature),
        "rows": week.rows,
        "week": week,
        "mature": mature,
        "whole": whole,
        "delay_days": profile.label_delay_us / DAY,
        "presets": figures.presets(week.rows, present.own, calibrated=calibrated),
    }


def _charts(document: dict[str, list[float | None]]) -> dict[str, str]:
    most = max((value or 0.0 for value in document["alerts"]), default=0.0) or 1.0
    alerts = [None if value is None else (value / most) ** 0.5 for value in document["alerts"]]
    return {
        "precision": figures.chart(document["precision"]),
        "precision_band": figures.band(document["precision_low"], document["precision_high"]),
        "recall": figures.chart(document["recall"]),
        "recall_band": figures.band(document["recall_low"], document["recall_high"]),
        "alerts": figures.chart(alerts),
    }


def _changes(context: Context, rows: Any, before: Rule, after: Fixed) -> list[dict[str, Any]]:  # noqa: ANN401 - numpy records
    found = figures.changes(rows, before, after, _SHOWN)
    wanted = [seq for change in found for seq in change.newest]
    known = {row.seq: row for row in rows_at(context.settings.db_read_url, wanted)}
    return [
        {
            "before": change.before,
            "after": change.after,
            "rows": change.rows,
            "newest": [known[seq] for seq in change.newest if seq in known],
        }
        for change in found
    ]


def _history(context: Context) -> list[Past]:
    """The policies that changed the thresholds, newest first."""
    found: list[Past] = []
    for past in context.policies.history():
        if past.thresholds != (found[-1].thresholds if found else {}):
            found.append(past)
    return found[::-1][:_HISTORY]


@blueprint.post("/threshold")
def apply() -> Answer | tuple[str, int]:
    """Let these thresholds decide from now on."""
    try:
        chosen = _asked(request.form)
    except ValueError as error:
        return _page(None, str(error)), 400
    if chosen is None:
        return _page(None, gettext("Both thresholds have to be numbers from 0 to 1.")), 400
    return _set(dict(chosen._asdict()), request.form.get("version"))


@blueprint.post("/threshold/undo")
def undo() -> Answer | tuple[str, int]:
    """Let the thresholds before the present ones decide again."""
    history = _history(here())
    if not history:
        return _page(None, gettext("No thresholds were set here: there is nothing to undo.")), 409
    before = history[1].thresholds if len(history) > 1 else {}
    return _set(before, request.form.get("version"))


def _set(thresholds: dict[str, float], version: str | None) -> Answer | tuple[str, int]:
    """Where it takes four eyes they become a draft, which goes its way on the page of the rules."""
    context = here()
    if context.settings.four_eyes:
        work, who = desk(), g.principal.name
        work.save(who, work.working(who).with_thresholds(thresholds))
        return redirect(url_for("rules.page"), 303)
    applied = current_policy(context.broker, context.profile.hash.decode())
    policy = stored(in_force(context.profile, applied), context.profile)
    policy = policy.with_thresholds(thresholds)
    about = context.profile.name
    detail = {"version": policy.version, "thresholds": thresholds}
    context.audit.add(Act(g.principal.name, "thresholds set", about, detail))
    try:
        publish(
            context.broker,
            context.profile,
            policy,
            by=g.principal.name or "dashboard",
            instead_of=version,
        )
    except Overtaken as error:
        return _page(None, str(error)), 409
    except (ConfigError, Retry) as error:
        return _page(None, str(error)), 503
    _await_registry(context, policy.version)
    return redirect(url_for(".page", said="set"), 303)


def _await_registry(context: Context, version: str) -> None:
    """Until this process has read the policy itself, for a while."""
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        applied = context.registry.policy()
        if applied is not None and applied.version == version:
            return
        time.sleep(_LOOK)
