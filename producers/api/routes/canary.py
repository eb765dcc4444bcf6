"""`/v1/models/{bundle}/canary` and `/v1/models/canary`: a challenger for some accounts."""

from __future__ import annotations

from typing import Annotated

import msgspec
from flask import Blueprint, Response

from db.audit import Act
from db.comparison import compare_canary
from model.bundles import promotion
from producers.api.context import answer, here, measured, note, signed
from producers.api.problems import Problem
from producers.api.routes.models import order_of, profile_hash, usable
from tidegate.errors import Retry

blueprint = Blueprint("canary", __name__)


class Start(msgspec.Struct, forbid_unknown_fields=True):
    """The body that names a canary: of which share of the accounts, and who wants it."""

    share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.05
    by: str = "api"


@blueprint.post("/v1/models/<bundle>/canary")
@measured("set_canary")
def start(bundle: str) -> Response:
    """Let a bundle decide for a share of the accounts, the same ones each time."""
    order = order_of(Start)
    return _set(usable(bundle), order)


@blueprint.delete("/v1/models/canary")
@measured("stop_canary")
def stop() -> Response:
    """Let the champion decide for all accounts again."""
    return _set("", Start(0.0, order_of(Start).by))


@blueprint.get("/v1/models/canary")
@measured("compare_canary")
def compare() -> Response:
    """What the canary and the champion decided since."""
    try:
        found = compare_canary(here().profile, here().settings.db_read_url, here().broker)
    except Retry as error:
        raise Problem("kafka_away", str(error)) from error
    if found is None:
        raise Problem(
            "not_found", "no bundle is a canary: POST /v1/models/{bundle}/canary names one"
        )
    name, share, sides = found
    return answer(
        {
            "canary": name,
            "share": share,
            "bundles": {key: side._asdict() for key, side in sides.items()},
        }
    )


def _set(bundle: str, order: Start) -> Response:
    note(Act(signed(order.by), "canary set", bundle, {"share": order.share}))
    try:
        promotion.set_canary(
            here().broker, bundle, profile_hash(), order.share, by=signed(order.by)
        )
    except Retry as error:
        raise Problem("not_durable", str(error)) from error
    return answer({"canary": bundle or None, "share": order.share}, 202, "/v1/models/canary")
