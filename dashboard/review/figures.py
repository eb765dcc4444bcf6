"""`/review/figures`: what reviewers have decided, and how well that agrees."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, render_template, request
from flask_babel import gettext

from dashboard.review.desk import room
from db.cases.figures import by, day_of, figures_of, read_reviews
from tidegate.clock import now_us
from tidegate.profile.spec import DAY

blueprint = Blueprint("review_figures", __name__)
SPANS = (7, 30, 90)
"""Days that can be looked back."""


@blueprint.get("/review/figures")
def page() -> Any:  # noqa: ANN401 - werkzeug's Response
    """By person, and by day."""
    days = next((each for each in SPANS if str(each) == request.args.get("days", "30")), None)
    if days is None:
        abort(400, gettext("One of %(choices)s.", choices=", ".join(map(str, SPANS))))
    found = read_reviews(room().reader, now_us() - days * DAY)
    people = by(found, lambda review: review.source)
    return render_template(
        "review/figures.html",
        asked={},
        days=days,
        spans=SPANS,
        total=figures_of(found) if found else None,
        people=sorted(people.items(), key=lambda item: -item[1].decided),
        by_day=sorted(by(found, day_of).items(), reverse=True),
    )
