"""`/review/list`: cases as a table, and one thing done to all of a filter."""

from __future__ import annotations

from typing import Any

from flask import (
    Blueprint,
    abort,
    flash,
    redirect,
    render_template,
    request,
)
from flask_babel import gettext, ngettext

from dashboard.context import here
from dashboard.format import amount
from dashboard.review.asked import (
    LONGEST_NAME,
    Asked,
    address,
    asked,
    person,
    said_before,
    short,
    storable,
)
from dashboard.review.desk import room
from dashboard.review.routes import SNOOZES
from dashboard.transactions.asked import Wrong
from db.cases.bulk import MOST, STATES, WHAT, Order, do_all
from db.cases.filters import Place
from db.cases.remarks import LONGEST_TAG
from tidegate.clock import now_us

blueprint = Blueprint("review_list", __name__)
PAGE = 50
_DIGITS = 18


@blueprint.get("/review/list")
def page() -> Any:  # noqa: ANN401 - werkzeug's Response
    """A page of cases, in the queue's order."""
    meant, who, now = asked(here().profile, request.args), person(), now_us()
    if meant.faults:
        return render_template("review/wrong.html", asked=meant.texts, faults=meant.faults), 400
    reader = room().reader
    rows, following = reader.page(meant.filters, who.claim, now, _after(), PAGE)
    return render_template(
        "review/list.html",
        asked=meant.texts,
        filters=meant.filters,
        counts=reader.counts(meant.filters, who.claim, now),
        matching=reader.count(meant.filters, who.claim, now),
        tags=reader.known_tags(),
        assignees=reader.known_assignees(),
        tagged=reader.tags([row.transaction_id for row in rows]),
        rows=[(row, _amount(row)) for row in rows],
        following=None if following is None else _place_in_address(following),
        who=who,
        now=now,
        most=MOST,
        bulk=meant.filters.state in STATES,
        snoozes=list(SNOOZES),
        said=said_before(),
    )


@blueprint.post("/review/bulk")
def bulk() -> Any:  # noqa: ANN401 - werkzeug's Response
    """Say how many cases it is about; when that is confirmed, do it."""
    meant, who, now = asked(here().profile, request.args), person(), now_us()
    if meant.faults:
        abort(400, gettext("Open the page again: its address is not one that it gave."))
    order = _order(now)
    matching = room().reader.count(meant.filters, who.claim, now)
    expected = request.form.get("expected", "")
    if expected.isascii() and expected.isdigit() and len(expected) < _DIGITS:
        done = do_all(room().desk, order, meant.filters, int(expected), who, now)
        if done is not None:
            flash(ngettext("Done: %(num)s case.", "Done: %(num)s cases.", done))
            return redirect(address("review_list.page", meant), 303)
    elif expected:
        abort(400, gettext("How many cases it is about is a number."))
    return _confirm(meant, order, matching, changed=bool(expected))


def _confirm(meant: Asked, order: Order, matching: int, *, changed: bool) -> str:
    return render_template(
        "review/confirm.html",
        asked=meant.texts,
        order=order,
        given=request.form.get("for", ""),
        matching=matching,
        changed=changed,
        most=MOST,
        possible=0 < matching <= MOST and meant.filters.state in STATES,
    )


def _order(now: int) -> Order:
    what = next((each for each in WHAT if each == request.form.get("do")), None)
    if what is None:
        abort(400, gettext("One of %(choices)s.", choices=", ".join(WHAT)))
    if what == "snooze":
        span = SNOOZES.get(request.form.get("for", ""))
        if span is None:
            abort(400, gettext("One of %(choices)s.", choices=", ".join(SNOOZES)))
        return Order(what, until_us=now + span)
    if what not in ("assign", "tag"):
        return Order(what)
    try:
        to = short(request.form.get("to", ""), LONGEST_TAG if what == "tag" else LONGEST_NAME)
    except Wrong as wrong:
        abort(400, str(wrong))
    if what == "tag" and not to:
        abort(400, gettext("A tag has a name."))
    return Order(what, to)


def _amount(row: Any) -> str:  # noqa: ANN401 - SQLAlchemy's row
    """In units; the currency stands in the row of the transaction only."""
    profile = here().profile
    if profile.currency_field or profile.money_field is None:
        return ""
    return amount(profile, row.amount_minor, {})


def _after() -> Place | None:
    """The place that the address goes on behind."""
    name, risk, came_in = (request.args.get(key, "") for key in ("after", "risk", "at"))
    if not name:
        return None
    try:
        place = Place(float(risk), int(came_in), name)
    except ValueError:
        place = Place(float("nan"), 0, name)
    if place.risk != place.risk or abs(place.ingested_us) >> 62 or not storable(name):
        abort(400, gettext("Open the page again: its address is not one that it gave."))
    return place


def _place_in_address(place: Place) -> dict[str, str]:
    return {
        "after": place.transaction_id,
        "risk": repr(place.risk),
        "at": str(place.ingested_us),
    }
