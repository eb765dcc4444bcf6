"""`/try`: a form of the profile's fields; what it says is scored, and changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import msgspec
from flask import Blueprint, Flask, current_app, g, render_template, request
from flask.blueprints import BlueprintSetupState

from dashboard.champion import Champion
from dashboard.context import here
from dashboard.format import bars, number
from dashboard.try_one import form
from dashboard.try_one.gauge import gauge
from dashboard.try_one.past import Past, past_of
from tidegate.clock import now_us
from tidegate.errors import Rejected
from tidegate.profile import Profile

if TYPE_CHECKING:
    from model.bundles.bundle import Bundle
    from model.evaluation.trial import Trial

blueprint = Blueprint("try_one", __name__)
_KEY = "tidegate.try_one"


class _Scoring:
    """The champion, and whether its loops are compiled."""

    def __init__(self) -> None:
        self.champion = Champion()
        self._warm = threading.Lock()

    def warm_up(self, profile: Profile, bundle: Bundle) -> None:
        """Compile, beside the requests, while the form is filled in; only once."""
        from model.evaluation.trial import try_out  # with numba: a server starts without it

        if self._warm.acquire(blocking=False):
            raw = msgspec.json.encode(form.example(profile, now_us()))
            threading.Thread(
                target=try_out, args=(profile, bundle, [], raw), daemon=True, name="warm-up"
            ).start()


@blueprint.record_once
def _prepare(state: BlueprintSetupState) -> None:
    cast(Flask, state.app).extensions[_KEY] = _Scoring()


def _scoring() -> _Scoring:
    return cast(_Scoring, current_app.extensions[_KEY])


@blueprint.get("/try")
def page() -> str:
    """The form: with an example, or with what the transaction `like` holds, to be changed."""
    context, like = here(), request.args.get("like", "")
    bundle = _scoring().champion.now(context)
    if bundle is not None:
        _scoring().warm_up(context.profile, bundle)
    seed = request.args.get("example", "")
    chosen = int(seed) if seed.isascii() and seed.isdigit() and len(seed) < 7 else 0
    row = context.store.get(context.profile.stored_id(like)) if like else None
    if row is None:
        values = form.example(context.profile, now_us(), chosen)
    else:
        values = _shown(context.profile, msgspec.json.decode(row["payload"]))
    return _page(
        form.inputs(context.profile, values),
        bundle,
        following=chosen + 1,
        like=like if row else "",
        missing="" if row else like,
    )


def _shown(profile: Profile, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What may stand in the form: neither masked values nor tokens."""
    fields = profile.fields
    return {
        name: value
        for name, value in payload.items()
        if name in fields and name not in profile.masks.names and not fields[name].tokenised
    }


@blueprint.post("/try")
def score() -> tuple[str, int] | str:
    """Score what was filled in."""
    from model.evaluation.trial import try_out

    context = here()
    profile, bundle = context.profile, _scoring().champion.now(context)
    filled = form.transaction(profile, request.form)
    raw = msgspec.json.encode(filled)
    try:
        tx = profile.decode(raw, now_us())
    except Rejected as rejected:
        faults = dict(reversed(profile.faults(raw, now_us()))) or {"": rejected.detail}
        return _page(form.inputs(profile, filled, faults), bundle, fault=faults.get("", "")), 422
    if bundle is None:
        return _page(form.inputs(profile, filled), None), 409
    past = past_of(context, tx, unmasked=g.principal.may("unmask"))
    applied = context.registry.policy()
    policy = applied.policy if applied else profile.policy
    trial = try_out(profile, bundle, past.payloads, profile.canonical(tx), policy, past.verdicts)
    return _page(form.inputs(profile, filled), bundle, **_result(trial, past))


def _result(trial: Trial, past: Past) -> dict[str, Any]:
    return {
        "trial": trial,
        "past": past,
        "gauge": gauge(trial.score, trial.review, trial.block),
        "reasons": [
            (bar, number(reason.value))
            for bar, reason in zip(
                bars([(reason.feature, reason.contribution) for reason in trial.reasons]),
                trial.reasons,
                strict=True,
            )
        ],
        "detectors": bars(
            [(name, score) for name, score in trial.detectors.items() if score is not None], 1.0
        ),
        "left_out": [name for name, score in trial.detectors.items() if score is None],
        "features": [(name, number(value)) for name, value in trial.features.items()],
    }


def _page(inputs: list[form.Input], bundle: Bundle | None, **shown: Any) -> str:  # noqa: ANN401 - whatever the template shows
    return render_template("try_one/page.html", inputs=inputs, bundle=bundle, **shown)
