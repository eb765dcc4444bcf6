"""The page of one transaction. Its endpoints are those of `dashboard.views`."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from flask import abort, g, redirect, render_template, request, url_for
from flask_babel import gettext

from dashboard.context import Context, here
from dashboard.format import amount, bars, duration, limits, number, timeline
from dashboard.transactions.chart import Chart, chart
from dashboard.transactions.waterfall import kept, values_of, waterfall
from dashboard.views import blueprint as blueprint  # so that the application finds it here
from db.audit import Act, verdicts_given
from db.search.around import Given, history, of_account
from tidegate.errors import Retry
from tidegate.messages.documents import Verdict, encode
from tidegate.pipeline import BY_ENTITY_2, FEATURES, FEEDBACK, RAW
from tidegate.profile import Profile

_ACK_SECONDS = 9.0
_BEFORE, _AFTER = 60, 20
"""Rows of the account that the timeline shows beside this one."""


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
        return render_template(
            "transactions/missing.html", profile=profile, transaction_id=stored
        ), 404
    payload = msgspec.json.decode(row["payload"])
    money = amount(profile, row["amount_minor"], payload)
    shown = profile.masks.row(row) if masked else row
    may_unmask = masked and bool(profile.masks.names) and g.principal.may("unmask")
    return render_template(
        "transactions/one.html",
        profile=profile,
        row=shown,
        amount=money,
        shown=lambda value: amount(profile, int(value), payload) or number(value),
        may_unmask=may_unmask,
        account_search=_search_of(profile, profile.account, row["account"]),
        **_detail(context, shown, _beside(context, row)),
    )


def _detail(context: Context, row: dict[str, Any], found: Found) -> dict[str, Any]:
    steps = [
        (f"preprocess {number}" if number > 1 else "preprocess", step["time_us"])
        for number, step in enumerate(row["steps"], 1)
    ]
    thresholds = limits(context.policies, context.settings.bundles_dir, row)
    return {
        "said": request.args.get("said"),
        "payload": msgspec.json.decode(row["payload"]),
        "features": [(name, number(value)) for name, value in row["features"].items()],
        "values": values_of(row),
        "fall": waterfall(row["score"], kept(row), thresholds) if kept(row) else None,
        "passing": [text for reason in row["reasons"] or [] if (text := _passing(reason))],
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
        "way": _way(row),
        "whole": duration(row["persisted_us"] - row["ingested_us"]),
        "thresholds": thresholds,
        "account_chart": found.chart,
        "history": found.history,
    }


class Found(NamedTuple):
    """What the database knows beside the row."""

    chart: Chart | None
    history: list[Given]


def _beside(context: Context, row: Mapping[str, Any]) -> Found:
    money = context.profile.money_field is not None
    with context.store.reading() as connection:
        neighbours = (
            of_account(connection, row["account"], row["seq"], _BEFORE, _AFTER)
            if row["account"]
            else []
        )
        return Found(
            chart(neighbours, row["transaction_id"], money=money),
            history(connection, row["transaction_id"]),
        )


def _way(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Where the transaction lay in each topic, and when it was read there."""
    topics = (RAW, BY_ENTITY_2)
    way = [
        {
            "topic": topic,
            "partition": step["partition"],
            "offset": step["offset"],
            "index": step["index"] if topic != RAW else None,
            "step": f"preprocess {number}" if number > 1 else "preprocess",
            "us": step["time_us"],
        }
        for number, (topic, step) in enumerate(zip(topics, row["steps"], strict=False), 1)
    ]
    way.append(
        {
            "topic": FEATURES,
            "partition": row["features_partition"],
            "offset": row["features_offset"],
            "index": row["features_index"],
            "step": "score",
            "us": row["scored_us"],
        }
    )
    return way


def _passing(reason: Mapping[str, Any]) -> str:
    """What a reason's feature would have to be for the transaction to pass; "" if nothing helps."""
    for side, text in (
        ("pass_at_most", gettext("Would pass if %(feature)s were at most %(value)s.")),
        ("pass_at_least", gettext("Would pass if %(feature)s were at least %(value)s.")),
    ):
        if (value := reason.get(side)) is not None:
            return str(text % {"feature": reason["feature"], "value": f"{value:.15g}"})
    return ""


def _search_of(profile: Profile, field: str | None, value: str | None) -> str | None:
    """The address that finds all of an account; None where it may not stand in an address."""
    if field is None or value is None or profile.fields[field].personal:
        return None
    return url_for("transactions.search", account=value)


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
