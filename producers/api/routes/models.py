"""The registry by HTTP: `GET /v1/models`, `GET /v1/models/{bundle}`, promotion and rollback."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec
from flask import Blueprint, Response

from db.audit import Act
from model.bundles import catalog, promotion
from model.bundles.manifest import read_manifest
from model.bundles.shared import known_bundles
from producers.api.context import answer, body, here, measured, note, signed
from producers.api.problems import Problem, decoded
from tidegate.errors import ConfigError, Retry
from tidegate.messages.heartbeats import Heartbeat
from tidegate.status.heartbeats import BEAT
from tidegate.words import count

if TYPE_CHECKING:
    from model.bundles.promotion import Promoted

blueprint = Blueprint("models", __name__)
_SECONDS = 10.0
Kind = TypeVar("Kind")


class Order(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a promotion or a rollback: who wants it."""

    by: str = "api"


@blueprint.get("/v1/models")
@measured("list_models")
def get_many() -> Response:
    """All bundles, newest first, the champion, each scorer's bundle, and the stream's drift."""
    name = champion()
    return answer(
        {
            "champion": name,
            "bundles": catalog.listing(bundle_folder(), name or "", profile_hash()),
            "scorers": [
                {"process": beat.process, "bundle": beat.bundle, "refused": beat.refused}
                for beat in _scorers()
            ],
            "drift": here().board.drift(),
        }
    )


@blueprint.get("/v1/models/<bundle>")
@measured("get_model")
def get_one(bundle: str) -> Response:
    """What a bundle was trained on and how good it was."""
    path, current = bundle_path(bundle), _current()
    champion = current is not None and current.champion.bundle == path.name
    try:
        manifest = read_manifest(path)
    except ConfigError as error:
        raise Problem("not_promotable", str(error)) from error
    return answer({"bundle": path.name, "champion": champion} | msgspec.to_builtins(manifest))


@blueprint.post("/v1/models/<bundle>/promote")
@measured("promote_model")
def promote(bundle: str) -> Response:
    """Make a bundle the champion once all scorers have loaded it; they switch between batches."""
    return _switch(bundle_path(bundle).name, read_order())


@blueprint.post("/v1/models/rollback")
@measured("rollback_models")
def rollback() -> Response:
    """Make the champion before this one the champion again."""
    order, current = read_order(), _current()
    if current is None or not current.champion.previous:
        raise Problem(
            "not_promotable", "there has been no champion before this one: nothing to go back to"
        )
    return _switch(current.champion.previous, order)


def _switch(bundle: str, order: Order) -> Response:
    try:
        catalog.usable(bundle_folder(bundle), bundle, here().profile)
        _know_scorers()
        note(Act(signed(order.by), "model promoted", bundle))
        promoted = promotion.promote(
            here().broker,
            bundle,
            profile_hash(),
            by=signed(order.by),
            timeout=_SECONDS,
            scorers=_scorers,
        )
    except ConfigError as error:
        raise Problem("not_promotable", str(error)) from error
    except promotion.Unanswered as error:
        raise Problem("not_loaded", str(error)) from error
    except Retry as error:
        raise Problem("not_durable", str(error)) from error
    behind = [beat.process for beat in _scorers() if beat.models_offset <= promoted.offset]
    return answer(
        {
            "champion": bundle,
            "previous": promoted.champion.previous,
            "offset": promoted.offset,
            "switching": behind,
        },
        202,
        "/v1/models",
    )


def read_order() -> Order:
    """The body of a promotion, a rollback or a shadow."""
    return order_of(Order)


def order_of(kind: type[Kind]) -> Kind:
    """A JSON body is asked for even where nothing has to be said: a foreign web page cannot send
    one unasked.

    Raises Problem 400, 413, 415 or 422.
    """
    return decoded(body("application/json") or b"{}", kind)


def bundle_path(prefix: str) -> Path:
    """The one bundle whose hash begins so. Raises Problem 404."""
    found = catalog.matches(bundle_folder(prefix), prefix)
    if len(found) != 1:
        bundles = count(len(found), "bundle")
        raise Problem("not_found", f"{bundles} with a hash that begins with {prefix!r}")
    return found[0]


def usable(prefix: str) -> str:
    """The hash of the one bundle that begins so.

    Raises Problem 404, and 409 when the bundle may not score here.
    """
    path = bundle_path(prefix)
    try:
        return catalog.usable(path.parent, path.name, here().profile).hash
    except ConfigError as error:
        raise Problem("not_promotable", str(error)) from error


def _current() -> Promoted | None:
    try:
        return here().registry.champion(_SECONDS)
    except (Retry, ConfigError) as error:
        raise Problem("kafka_away", str(error)) from error


def champion() -> str | None:
    """The hash of the champion, if there is one. Raises Problem 503."""
    current = _current()
    return current.champion.bundle if current else None


def _know_scorers() -> None:
    """Whom to ask is known once every living process has beaten within what this worker has read.

    Raises Problem 503.
    """
    status = here().status
    if status.reading_for() < BEAT:
        raise Problem(
            "not_ready",
            "this process does not know yet which scorers to ask: "
            f"{status.problem or f'try again in {BEAT:g} s'}",
        )


def _scorers() -> list[Heartbeat]:
    return here().board.scorers()


def bundle_folder(prefix: str = "") -> Path:
    """Where the bundles lie whose hash begins so.

    Raises Problem 503 when they are shared, cannot be read, and none of these was copied before.
    """
    try:
        return known_bundles(here().settings, prefix)
    except Retry as error:
        raise Problem("not_ready", str(error)) from error


def profile_hash() -> str:
    """The hash of the profile in use, as text."""
    return here().profile.hash.decode()
