"""What people and machines ask of the worker itself: health, readiness, metrics, documentation."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec
from flask import Blueprint, Response, redirect, render_template, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from producers.api.context import answer, here, measured
from producers.api.openapi import description
from producers.api.problems import PROBLEMS, Problem
from tidegate.errors import Retry

blueprint = Blueprint(
    "ops",
    __name__,
    template_folder="../templates",
    static_folder="../static",
    static_url_path="/docs/static",
)
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Swagger UI's style sheet has its pictures inside: data:."""


@blueprint.get("/healthz")
def healthz() -> Response:
    """200 while this worker answers at all."""
    return answer({"status": "ok"})


@blueprint.get("/readyz")
@measured("readyz")
def readyz() -> Response:
    """200 when every partition of every stage is served, else 503 that names what is missing."""
    missing_nothing()
    return answer({"status": "ready", "profile": here().profile.name})


def missing_nothing() -> None:
    """Raises Problem 503, with the names, unless every partition of every stage is served."""
    context = here()
    missing = [tail.problem for tail in context.tails if tail.problem]
    try:
        missing = missing or context.board.missing()
    except Retry as error:
        missing.append(f"Kafka is away: {error}")
    if missing:
        raise Problem("not_ready", "; ".join(missing), missing=missing)


@blueprint.get("/metrics")
def metrics() -> Response:
    """Prometheus metrics of this worker."""
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)


def index() -> Response:
    """The dashboard lives on its own port."""
    settings = here().settings
    host = urlsplit(f"//{request.host}").hostname or settings.host
    shown = f"[{host}]" if ":" in host else host
    response: Response = redirect(f"http://{shown}:{settings.dashboard_port}/")  # type: ignore[assignment]
    return response


@blueprint.get("/openapi.json")
def openapi() -> Response:
    """The description of this API for this profile (OpenAPI 3.1)."""
    return Response(
        msgspec.json.encode(description(here().profile, here().settings)),
        content_type="application/json",
    )


@blueprint.get("/docs")
def docs() -> Response:
    """The same for people, who may try it there."""
    page = render_template(
        "docs.html", api=description(here().profile, here().settings), problems=PROBLEMS
    )
    return Response(
        page,
        content_type="text/html; charset=utf-8",
        headers={"Content-Security-Policy": _CSP, "X-Content-Type-Options": "nosniff"},
    )
