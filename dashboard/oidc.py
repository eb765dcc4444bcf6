"""Signing in by a provider of identities."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, redirect, request, session

from dashboard.access import take_seat
from dashboard.context import here
from dashboard.provider import BACK, Pending, Provider, Refused
from dashboard.sign_in import form, own
from db.audit import Act

blueprint = Blueprint("oidc", __name__)
_KEY = "oidc"


@blueprint.get("/sign-in/oidc")
def begin() -> Any:  # noqa: ANN401 - werkzeug's Response
    """To the provider; the session keeps what has to come back."""
    here().users.get()  # Retry while no session can be kept
    url, pending = _provider().begin()
    session[_KEY] = [*pending, own(request.args.get("back", ""))]
    return redirect(url, 303)


@blueprint.get(BACK)
def finish() -> Any:  # noqa: ANN401 - werkzeug's Response, or a page
    """Begin a session for who comes back, or say why not."""
    provider, kept = _provider(), session.pop(_KEY, None)
    if kept is None:
        return form(422, "This sign-in has ended or was begun elsewhere. Please try again.")
    *pending, back = kept
    try:
        who = provider.finish(request.args, Pending(*pending))
    except Refused as refused:
        return form(403, f"You are not signed in: {refused}.")
    here().audit.add(Act(who.name, "signed in", who.name, {"as": who.shown, "role": who.role}))
    take_seat(who.name, who.role)
    return redirect(back, 303)


def _provider() -> Provider:
    provider = here().provider
    if provider is None:
        abort(404)
    return provider
