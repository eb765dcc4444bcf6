"""The pages, and what their scripts ask for."""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any

import msgspec
from flask import Blueprint, Response, abort, g, redirect, render_template, request, url_for

from dashboard.context import Context, here
from dashboard.format import amount, bars, duration, limits, line, moment, number, passing, timeline
from dashboard.pipeline.routes import shown as pipeline_shown
from db.audit import Act, verdicts_given
from tidegate.errors import Retry
from tidegate.messages.documents import Verdict, encode
from tidegate.messages.frames import DECISIONS
from tidegate.pipeline import FEEDBACK

blueprint = Blueprint("views", __name__)
PAGE = 50
_ACK_SECONDS = 9.0


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


@blueprint.get("/transactions/<id:transaction_id>")
def transaction(transaction_id: str) -> tuple[str, int] | str:
    """One transaction: its body, features and decision, and how long each step took."""
    return _page(transaction_id)


@blueprint.post("/transactions/<id:transaction_id>/unmasked")
def unmasked(transaction_id: str) -> tuple[str, int] | str:
    """The same page without masks, once the audit has been told who looks."""
    stored = here().profile.stored_id(transaction_id)
    here().audit.add(Act(g.principal.name, "unmasked", stored))
    return _page(transaction_id, masked=False)


def _page(transaction_id: str, *, masked: bool = True) -> tuple[str, int] | str:
    context = here()
    profile, stored = context.profile, context.profile.stored_id(transaction_id)
    row = context.store.get(stored)
    if row is None:
        return render_template("missing.html", profile=profile, transaction_id=stored), 404
    money = amount(profile, row["amount_minor"], msgspec.json.decode(row["payload"]))
    shown = profile.masks.row(row) if masked else row
    may_unmask = masked and bool(profile.masks.names) and g.principal.may("unmask")
    return render_template(
        "transaction.html",
        profile=profile,
        row=shown,
        amount=money,
        may_unmask=may_unmask,
        **_detail(context, shown),
    )


def _detail(context: Context, row: dict[str, Any]) -> dict[str, Any]:
    payload = msgspec.json.decode(row["payload"])
    reasons = [
        (reason["feature"], float(reason["contribution"])) for reason in row["reasons"] or []
    ]
    steps = [
        (f"preprocess {number}" if number > 1 else "preprocess", step["time_us"])
        for number, step in enumerate(row["steps"], 1)
    ]
    return {
        "said": request.args.get("said"),
        "payload": payload,
        "features": [(name, number(value)) for name, value in row["features"].items()],
        "values": {
            reason["feature"]: number(reason.get("value")) for reason in row["reasons"] or []
        },
        "reasons": bars(reasons),
        "passing": [text for reason in row["reasons"] or [] if (text := passing(reason))],
        "models": bars(
            [(name, score) for name, score in row["scores"].items() if score is not None], 1.0
        ),
        "stages": timeline(
            [
                ("ingest", row["ingested_us"]),
                *steps,
                ("score", row["scored_us"]),
                ("persist", row["persisted_us"]),
            ]
        ),
        "whole": duration(row["persisted_us"] - row["ingested_us"]),
        "moment": moment,
        "thresholds": limits(context.settings.bundles_dir, row),
    }


@blueprint.post("/transactions/<id:transaction_id>/verdict")
def verdict(transaction_id: str) -> Any:  # noqa: ANN401 - werkzeug's Response
    """Publish a person's verdict on this transaction; it is durable before the page comes back."""
    choice = request.form.get("verdict")
    if choice not in ("fraud", "legitimate"):
        abort(400)
    transaction_id = here().profile.stored_id(transaction_id)
    given = Verdict(
        transaction_id,
        "fraud" if choice == "fraud" else "legitimate",
        label_id=str(uuid.uuid4()),
        source=g.principal.name or "dashboard",
        given_us=time.time_ns() // 1000,
    )
    if name := g.principal.name:
        here().audit.add(verdicts_given(name, [given]))
    said = choice if _publish(here(), given) else "failed"
    return redirect(url_for(".transaction", transaction_id=transaction_id, said=said), 303)


def _publish(context: Context, given: Verdict) -> bool:
    """Whether Kafka has acknowledged the verdict in time."""
    done = threading.Event()
    errors: list[Exception] = []

    def delivered(error: Exception | None) -> None:
        if error is not None:
            errors.append(error)
        done.set()

    try:
        context.producer.produce(FEEDBACK, given.transaction_id.encode(), encode(given), delivered)
    except Retry:
        return False
    return done.wait(_ACK_SECONDS) and not errors


@blueprint.get("/pipeline")
def pipeline() -> str:
    """The pipeline as it runs."""
    return render_template("pipeline/page.html", **pipeline_shown())


@blueprint.get("/healthz")
def healthz() -> Response:
    """200 while this process answers."""
    return Response(b'{"status":"ok"}', content_type="application/json")
