"""English and Spanish: what the browser asks for, until the person chooses."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask, abort, redirect, request
from flask_babel import Babel

from dashboard.sign_in import own

blueprint = Blueprint("language", __name__)
LANGUAGES = {"en": "English", "es": "Español"}
"""Each with its name for itself. Its catalogue is `translations/CODE`; English needs none."""
_COOKIE = "tidegate_language"
_YEAR = 365 * 86_400


def languages_in(app: Flask) -> None:
    """Translate the pages of the application."""
    Babel(app, default_locale="en", locale_selector=_chosen)
    app.context_processor(lambda: {"languages": LANGUAGES, "language": _chosen()})


def _chosen() -> str:
    chosen = request.cookies.get(_COOKIE, "")
    return chosen if chosen in LANGUAGES else request.accept_languages.best_match(LANGUAGES) or "en"


@blueprint.get("/language/<code>")
def choose(code: str) -> Any:  # noqa: ANN401 - werkzeug's Response
    """Keep a language, and go back to the page on which it was chosen."""
    if code not in LANGUAGES:
        abort(404)
    answer = redirect(own(_came_from()), 303)
    answer.set_cookie(_COOKIE, code, max_age=_YEAR, samesite="Lax", httponly=True)
    return answer


def _came_from() -> str:
    """The page of this site on which the language was chosen; "" for any other. It is not in the
    link, since the addresses of pages may hold what is masked on them.
    """
    try:
        referrer = urlsplit(request.referrer or "")
    except ValueError:
        return ""
    return (
        referrer._replace(scheme="", netloc="").geturl() if referrer.netloc == request.host else ""
    )
