"""The pages in the order of the navigation, each with its endpoint and its name."""

from __future__ import annotations

from typing import Any, NamedTuple

from flask import Flask, current_app, g, session
from flask.sessions import NullSession
from flask_babel import LazyString, lazy_gettext
from flask_wtf.csrf import generate_csrf

from dashboard.context import here
from dashboard.format import iso, moment
from tidegate.access.scopes import DASHBOARD, NOBODY


class Page(NamedTuple):
    """An entry of the navigation. `name` is what templates set as `page`."""

    name: str
    endpoint: str
    label: LazyString


PAGES = (
    Page("live", "views.live", lazy_gettext("Live")),
    Page("transactions", "transactions.search", lazy_gettext("Transactions")),
    Page("review", "review.queue", lazy_gettext("Review")),
    Page("rules", "rules.page", lazy_gettext("Rules")),
    Page("threshold", "threshold.page", lazy_gettext("Threshold")),
    Page("models", "models.page", lazy_gettext("Models")),
    Page("pipeline", "views.pipeline", lazy_gettext("Pipeline")),
    Page("dead_letters", "dead_letters.page", lazy_gettext("Dead letters")),
    Page("batch", "batch.page", lazy_gettext("Batch")),
    Page("try_one", "try_one.page", lazy_gettext("Try one")),
    Page("alerts", "alerts.page", lazy_gettext("Alerts")),
)


def pages_in(app: Flask) -> None:
    """Give every template the profile, `pages()` (those that whoever asks may see), and
    `form_token()`.
    """
    app.context_processor(
        lambda: {"profile": here().profile, "pages": _visible, "form_token": _form_token}
    )
    app.add_template_filter(iso, "iso_time")
    app.add_template_filter(lambda us: f"{moment(us)} UTC", "utc_time")


def _visible() -> list[Page]:
    principal = g.get("principal", NOBODY)
    known = current_app.view_functions
    return [
        page
        for page in PAGES
        if page.endpoint in known and principal.may(DASHBOARD.get(page.endpoint, "admin"))
    ]


def _form_token() -> Any:  # noqa: ANN401 - flask_wtf has no types
    """What forms and htmx send along; "" while the sessions' secret cannot be read."""
    return "" if isinstance(session._get_current_object(), NullSession) else generate_csrf()  # type: ignore[attr-defined]
