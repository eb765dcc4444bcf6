"""What the page of the models shows."""

from __future__ import annotations

from typing import Any

from flask import g, render_template, request
from flask_babel import gettext, ngettext

from dashboard.context import Context, here
from dashboard.models import training
from dashboard.models.drift import drift
from dashboard.models.sides import Side, calibration, challengers, curve, sides
from model.bundles import catalog
from model.bundles.shared import known_bundles

NEWEST = 30
"""Bundles shown."""


def render(fault: str = "") -> str:
    """The page, with what went wrong."""
    context = here()
    folder, roles = known_bundles(context.settings), roles_of(context)
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
        bundles=catalog.listing(folder, roles["champion"], profile)[:NEWEST],
        share=_share(context),
        previous=previous_of(context),
        may=g.principal.may("models"),
        fault=fault,
        said=request.args.get("said", ""),
        training=training.state(),
        trains=training.can_train(),
        **live_parts(context),
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


def roles_of(context: Context) -> dict[str, str]:
    """The bundle of each role; empty where none has it."""
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


def previous_of(context: Context) -> str:
    """The champion before this one; empty without one."""
    promoted, _ = context.registry.now()
    return promoted.champion.previous if promoted else ""


def live_parts(context: Context) -> dict[str, Any]:
    """What moves: who uses the champion, the online model, the drift."""
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
