"""Deliveries and channels in people's words."""

from __future__ import annotations

from typing import Any, NamedTuple

from flask_babel import format_decimal, format_timedelta, gettext, lazy_gettext, ngettext

from db.notify.desk import Figures
from tidegate.notify.events import ALERT, DIGEST, TEST

STATES = {
    "pending": lazy_gettext("to be sent"),
    "held": lazy_gettext("held"),
    "sent": lazy_gettext("sent"),
    "failed": lazy_gettext("failed"),
    "suppressed": lazy_gettext("not sent"),
    "grouped": lazy_gettext("in a digest"),
}
BADGES = {"sent": "approve", "pending": "review", "held": "review", "failed": "block"}
"""The colours of states; the others have none."""
KINDS = {
    ALERT: lazy_gettext("flagged transaction"),
    "stage_missing": lazy_gettext("stage missing"),
    "lag": lazy_gettext("lag"),
    "held": lazy_gettext("partition held"),
    "dead_letters": lazy_gettext("dead letters"),
    "drift": lazy_gettext("drift"),
    "learner_frozen": lazy_gettext("learner frozen"),
    "champion_refused": lazy_gettext("champion refused"),
    "promoted": lazy_gettext("model promoted"),
    "retrained": lazy_gettext("retraining"),
    "reconciliation_gap": lazy_gettext("reconciliation gap"),
    DIGEST: lazy_gettext("digest"),
    TEST: lazy_gettext("test"),
}
GROUPED_BY = {
    "account": lazy_gettext("account"),
    "kind": lazy_gettext("kind"),
    "all": lazy_gettext("everything"),
}

_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
_NO_LARGER = 1e12
"""Babel takes the largest unit of which there are so many: none, so that which is asked for."""


class Line(NamedTuple):
    """A channel as a card shows it. `tone` is ok, warn or bad."""

    name: str
    way: str
    shown: str
    tone: str
    state: str
    figures: Figures
    rules: list[str]
    muted: Any
    """Its row of the mutes, or None."""


def line_of(channel: dict[str, Any], figures: Figures, muted: Any) -> Line:  # noqa: ANN401 - a row
    """A channel of the configuration with its figures."""
    tone, state = _state(figures, muted=muted is not None)
    way = "Apprise" if channel["way"] == "apprise" else gettext("signed webhook")
    name, shown = channel["name"], channel["shown"]
    return Line(name, way, shown, tone, state, figures, _rules(channel), muted)


def _state(figures: Figures, *, muted: bool) -> tuple[str, str]:
    if muted:
        return "warn", gettext("muted")
    pending = figures.counts.get("pending", 0)
    if figures.error and pending:
        words = ngettext("%(num)s message is not taken", "%(num)s messages are not taken", pending)
        return "bad", words
    if figures.counts.get("failed"):
        return "bad", gettext("some have failed")
    return "ok", gettext("well") if figures.sent_us else gettext("nothing sent yet")


def _rules(channel: dict[str, Any]) -> list[str]:
    """What holds messages back on a channel, a sentence each."""
    throttle, group, quiet = channel["throttle"], channel["group"], channel["quiet"]
    rules = [
        gettext(
            "at most %(most)s in %(span)s",
            most=format_decimal(throttle["most"]),
            span=_span(throttle["per_us"]),
        )
    ]
    if group:
        by, span = GROUPED_BY[group["by"]], _span(group["within_us"])
        rules.append(gettext("one for %(span)s by %(by)s", span=span, by=by))
    if quiet:
        rules.append(gettext("quiet from %(start)s to %(end)s, %(zone)s", **_hours(quiet)))
    if channel["signatures"] > 1:
        rules.append(gettext("signed by two keys"))
    if channel["networks"]:
        networks = ", ".join(channel["networks"])
        rules.append(gettext("may reach %(networks)s", networks=networks))
    return rules


def _hours(quiet: dict[str, str]) -> dict[str, str]:
    return {"start": quiet["from"], "end": quiet["until"], "zone": quiet["zone"]}


def _span(us: int) -> str:
    """A duration of the file in the unit that it was written in, or a larger one that fits."""
    seconds = us // 1_000_000
    unit = next(name for name, size in _UNITS if seconds % size == 0)
    return str(format_timedelta(seconds, granularity=unit, threshold=_NO_LARGER))


def route_words(route: dict[str, Any]) -> list[str]:
    """What a route asks of an alert."""
    words = []
    if route["decisions"]:
        words.append(gettext("decision: %(names)s", names=", ".join(route["decisions"])))
    if route["min_score"]:
        words.append(gettext("score from %(score)s", score=format_decimal(route["min_score"])))
    if route["min_amount"]:
        words.append(gettext("amount from %(least)s", least=format_decimal(route["min_amount"])))
    if route["rules"]:
        words.append(gettext("rules: %(names)s", names=", ".join(route["rules"])))
    if route["urgent"]:
        words.append(gettext("urgent: in quiet hours too"))
    return words
