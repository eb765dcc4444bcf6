"""`/v1/models/{bundle}/shadow` and `/v1/models/shadow`: a challenger beside the champion."""

from __future__ import annotations

from flask import Blueprint, Response, request

from db.audit import Act
from db.comparison import compare_shadow
from model.bundles import promotion
from producers.api.context import answer, here, measured, note, signed
from producers.api.problems import Problem, whole
from producers.api.routes.models import bundle_folder, profile_hash, read_order, usable
from tidegate.errors import ConfigError, Retry

blueprint = Blueprint("shadow", __name__)
_MOST = 1_000_000


@blueprint.post("/v1/models/<bundle>/shadow")
@measured("set_shadow")
def start(bundle: str) -> Response:
    """Let a bundle score the live stream beside the champion; it decides nothing."""
    order = read_order()
    return _set(usable(bundle), order.by)


@blueprint.delete("/v1/models/shadow")
@measured("stop_shadow")
def stop() -> Response:
    """Let none score beside the champion any more."""
    return _set("", read_order().by)


@blueprint.get("/v1/models/shadow")
@measured("compare_shadow")
def compare() -> Response:
    """How the shadow compares with the champion on the rows that both scored."""
    capacity, context = whole("capacity", request.args.get("capacity", "100"), 1, _MOST), here()
    try:
        found = compare_shadow(
            context.profile,
            context.settings.db_read_url,
            context.broker,
            bundle_folder(),
            capacity,
        )
    except ConfigError as error:
        raise Problem("not_found", str(error)) from error
    except Retry as error:
        raise Problem("kafka_away", str(error)) from error
    if found is None:
        raise Problem(
            "not_found",
            "no bundle scores beside the champion: POST /v1/models/{bundle}/shadow names one",
        )
    name, both = found
    return answer(
        {
            **both._asdict(),
            "shadow": name,
            "champion": both.champion._asdict(),
            "challenger": both.shadow._asdict(),
        }
    )


def _set(bundle: str, by: str) -> Response:
    note(Act(signed(by), "shadow set", bundle))
    try:
        promotion.set_shadow(here().broker, bundle, profile_hash(), by=signed(by))
    except Retry as error:
        raise Problem("not_durable", str(error)) from error
    return answer({"shadow": bundle or None}, 202, "/v1/models/shadow")
