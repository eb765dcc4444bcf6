"""The pages, and what their scripts ask for."""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response, abort, render_template, request

from dashboard.context import here
from dashboard.format import line
from dashboard.pipeline.routes import shown as pipeline_shown
from tidegate.messages.frames import DECISIONS

blueprint = Blueprint("views", __name__)
PAGE = 50


@blueprint.get("/")
def live() -> str:
    """The live table."""
    return render_template(
        "live.html", profile=here().profile, decision=request.args.get("decision", "")
    )


@blueprint.get("/rows")
def rows() -> Response:
    """A page of history, newest first, as JSON; `next` is the cursor of the page after."""
    context = here()
    decision = request.args.get("decision")
    if decision is not None and decision not in DECISIONS:
        abort(400)
    cursor = request.args.get("cursor")
    if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        abort(400)
    filters = {"decision": decision} if decision else {}
    page, following = context.store.list(filters, cursor, PAGE)
    body = {"rows": [line(context.profile, row) for row in page], "next": following}
    return Response(
        msgspec.json.encode(body),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


@blueprint.get("/pipeline")
def pipeline() -> str:
    """The pipeline as it runs."""
    return render_template("pipeline/page.html", **pipeline_shown())


@blueprint.get("/healthz")
def healthz() -> Response:
    """200 while this process answers."""
    return Response(b'{"status":"ok"}', content_type="application/json")
