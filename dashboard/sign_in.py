"""Signing in and out."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask_babel import gettext

from dashboard.access import signed_in, take_seat
from dashboard.context import here
from db.audit import Act
from tidegate.access.recent import AGAIN
from tidegate.access.users import Throttle, is_password

blueprint = Blueprint("sign_in", __name__)
throttle = Throttle()
_LONGEST = 1024
Page = tuple[str, int, dict[str, str]]


@blueprint.get("/sign-in")
def page() -> Page:
    """The form."""
    here().users.get()  # Retry while nobody can sign in
    return form(200)


@blueprint.post("/sign-in")
def enter() -> Any:  # noqa: ANN401 - werkzeug's Response, or a page
    """Begin a session and go back to where one came from; or the form again, with what is wrong."""
    name, password = request.form.get("name", ""), request.form.get("password", "")
    users = here().users.get(AGAIN)
    if seconds := throttle.begin(name[:_LONGEST]):
        return form(
            429,
            gettext("Too many tries. Please try again in %(seconds)s s.", seconds=seconds),
            {"Retry-After": str(seconds)},
        )
    if not is_password(users.get(name), password[:_LONGEST]):
        return form(422, gettext("The name or the password is wrong."))
    throttle.succeeded(name)
    here().audit.add(Act(name, "signed in", name))
    take_seat(name)
    return redirect(own(request.args.get("back", "")), 303)


@blueprint.post("/sign-out")
def leave() -> Any:  # noqa: ANN401 - werkzeug's Response
    """End the session."""
    session.clear()
    return redirect(url_for(".page"), 303)


def form(status: int, wrong: str = "", headers: dict[str, str] | None = None) -> Page:
    """The page to sign in, with what is wrong."""
    body = render_template(
        "sign_in.html",
        profile=here().profile,
        wrong=wrong,
        user=signed_in(),
        provider=here().provider,
        back=request.args.get("back", ""),
    )
    return body, status, {"Cache-Control": "no-store", **(headers or {})}


def own(back: str) -> str:
    """An address of this site, and of no other."""
    own = back.startswith("/") and not back.startswith(("//", "/\\")) and back.isprintable()
    return back if own else url_for("views.live")
