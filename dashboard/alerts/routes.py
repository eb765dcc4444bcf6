"""The page on alerts: channels, deliveries, and the acts."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from sqlalchemy import Row

from dashboard.alerts.office import desk
from dashboard.alerts.shown import BADGES, KINDS, STATES, line_of, route_words
from dashboard.context import here
from db.notify.desk import channel_names
from tidegate.clock import now_us

blueprint = Blueprint("alerts", __name__)
PAGE = 50
HOUR_US = 3_600_000_000
_CHANNEL = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}\Z")
_DELIVERY = re.compile(r"msg_[0-9a-f]{30}\Z")
_CURSOR = re.compile(r"(\d{1,18})-(msg_[0-9a-f]{30})\Z")


@blueprint.get("/alerts")
def page() -> str:
    """Channels, routes, and the newest deliveries."""
    return render_template("alerts/page.html", **_channels(), **_log(), routes=_routes())


@blueprint.get("/alerts/now")
def now() -> str:
    """The part of that page that changes by itself."""
    return render_template("alerts/channels.html", **_channels())


@blueprint.get("/alerts/deliveries/<delivery>")
def one(delivery: str) -> tuple[str, int] | str:
    """A delivery: what is told, and how far it is."""
    return _one("alerts/delivery.html", delivery)


@blueprint.get("/alerts/deliveries/<delivery>/now")
def one_now(delivery: str) -> tuple[str, int] | str:
    """The part of that page that changes by itself."""
    return _one("alerts/state.html", delivery)


@blueprint.post("/alerts/channels/<name>/test")
def test(name: str) -> Any:  # noqa: ANN401 - werkzeug's Response
    """Send a message that says that it is a test."""
    if name not in _names():
        abort(404)
    return redirect(url_for(".one", delivery=desk().test(name, who(), now_us())), 303)


@blueprint.post("/alerts/deliveries/<delivery>/resend")
def resend(delivery: str) -> Any:  # noqa: ANN401 - werkzeug's Response
    """Try again what has failed."""
    if not _DELIVERY.match(delivery) or desk().one(delivery) is None:
        abort(404)
    desk().resend(delivery, who(), now_us())
    return redirect(url_for(".one", delivery=delivery), 303)


@blueprint.post("/alerts/mute")
def mute() -> Any:  # noqa: ANN401 - werkzeug's Response
    """Tell nothing by a channel, or of a kind, for an hour."""
    desk().mute(_muting(), now_us() + HOUR_US, who())
    return redirect(url_for(".page"), 303)


@blueprint.post("/alerts/unmute")
def unmute() -> Any:  # noqa: ANN401 - werkzeug's Response
    """Tell it again."""
    desk().unmute(_muting(), who())
    return redirect(url_for(".page"), 303)


def who() -> str:
    """Who asks, for the audit."""
    return g.principal.name or "dashboard"


def _muting() -> str:
    """`channel/NAME` or `kind/NAME` of the form."""
    what = request.form.get("what", "")
    family, _, name = what.partition("/")
    known = {"channel": bool(_CHANNEL.match(name)), "kind": name in KINDS}
    if not known.get(family):
        abort(400)
    return what


def _names() -> list[str]:
    return channel_names(desk().configuration())


def _routes() -> list[dict[str, Any]]:
    found = desk().configuration() or {"routes": []}
    return [{**route, "words": route_words(route)} for route in found["routes"]]


def _channels() -> dict[str, Any]:
    found, now = desk().configuration(), now_us()
    channels = found["channels"] if found else []
    figures = desk().figures([channel["name"] for channel in channels], now)
    muted = desk().muted(now)
    return {
        "known": found is not None,
        "running": any(beat.stage == "notify" for beat in here().board.processes()),
        "lines": [
            line_of(channel, figures[channel["name"]], muted.get(f"channel/{channel['name']}"))
            for channel in channels
        ],
        "muted_kinds": [row for what, row in muted.items() if what.startswith("kind/")],
        "kinds": KINDS,
        "may_act": g.principal.may("models"),
    }


def _log() -> dict[str, Any]:
    """A page of the log, as the address asks for it."""
    asked = {name: request.args.get(name, "") for name in ("channel", "state", "kind")}
    if asked["channel"] and not _CHANNEL.match(asked["channel"]):
        abort(400)
    if asked["state"] not in ("", *STATES) or asked["kind"] not in ("", *KINDS):
        abort(400)
    before = None
    if cursor := request.args.get("before", ""):
        found = _CURSOR.match(cursor)
        if found is None:
            abort(400)
        before = int(found[1]), found[2]
    filters = {name: value for name, value in asked.items() if value}
    rows, following = desk().page(filters, before, PAGE)
    return {
        "asked": asked,
        "filters": filters,
        "rows": rows,
        "before": before,
        "next": f"{following[0]}-{following[1]}" if following else None,
        "states": STATES,
        "badges": BADGES,
        "channel_names": _names(),
    }


def _one(template: str, delivery: str) -> tuple[str, int] | str:
    found = desk().one(delivery) if _DELIVERY.match(delivery) else None
    if found is None:
        return render_template("alerts/missing.html"), 404
    return render_template(
        template,
        row=found,
        gone=found.channel not in _names(),
        members=desk().members(delivery) if found.kind == "digest" else [],
        data=_pretty(found),
        transaction=msgspec.json.decode(found.data).get("transaction_id", ""),
        states=STATES,
        badges=BADGES,
        kinds=KINDS,
        may_act=g.principal.may("models"),
        waits=found.state in ("pending", "held"),
    )


def _pretty(row: Row[Any]) -> str:
    return msgspec.json.format(row.data, indent=2) if row.data != "{}" else ""
