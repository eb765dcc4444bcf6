"""The page of the models: the champion, what it has learnt since, and the drift from it."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Blueprint, Response, render_template

from dashboard.context import here
from dashboard.drift import drift
from model.bundles import catalog
from model.bundles.shared import known_bundles
from tidegate.messages.documents import OnlineWeights

blueprint = Blueprint("models", __name__)
_NEWEST = 30
"""Bundles shown."""


@blueprint.get("/models")
def page() -> str:
    """The page; its script asks for the state."""
    return render_template("models.html", profile=here().profile)


@blueprint.get("/models.json")
def state() -> Response:
    """Champion, scorers, online model, drift, and the newest bundles with their test metrics."""
    context = here()
    promoted, weights = context.registry.now()
    champion = promoted.champion if promoted else None
    bundles = catalog.listing(
        known_bundles(context.settings),
        champion.bundle if champion else "",
        context.profile.hash.decode(),
    )
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
