"""Parts of a transaction's page that take longer, and are fetched by it when it is there."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import abort, render_template

from dashboard.context import Context, here
from dashboard.format import amount, limits, number
from dashboard.transactions.chart import chart
from dashboard.transactions.replaying import replay
from dashboard.transactions.routes import blueprint as blueprint  # with the search on it
from dashboard.transactions.waterfall import Waterfall, explained, kept, values_of, waterfall
from db.search.around import of_second, similar_frauds
from tidegate.errors import ConfigError, Retry

_BEFORE = 60
_SIMILAR = 5


@blueprint.get("/transactions/<id:transaction_id>/reasons")
def reasons(transaction_id: str) -> str:
    """The waterfall with the base that the row's bundle has."""
    context = here()
    row = _row(context, transaction_id)
    thresholds = limits(context.policies, context.settings.bundles_dir, row)
    try:
        fall: Waterfall | None = explained(context.settings, row, thresholds)
    except (ConfigError, Retry):
        fall = waterfall(row["score"], kept(row), thresholds) if kept(row) else None
    values = values_of(context.profile.masks.row(row))
    return render_template("transactions/reasons.html", fall=fall, values=values, row=row)


@blueprint.get("/transactions/<id:transaction_id>/around")
def around(transaction_id: str) -> str:
    """The second entity's timeline, and similar cases that were confirmed."""
    context = here()
    profile = context.profile
    row = _row(context, transaction_id)
    entity = profile.entities[1] if len(profile.entities) > 1 else None
    payload = msgspec.json.decode(row["payload"])
    value = payload.get(entity)
    with context.store.reading() as connection:
        near = similar_frauds(connection, row["seq"], _SIMILAR)
        neighbours = (
            of_second(connection, entity, str(value), row["seq"], _BEFORE)
            if entity and value is not None
            else []
        )
    return render_template(
        "transactions/around.html",
        row=row,
        entity=entity,
        chart=chart(neighbours, row["transaction_id"], money=profile.money_field is not None),
        shown=lambda value: amount(profile, int(value), payload) or number(value),
        similar=[
            (case, amount(profile, case.amount_minor, msgspec.json.decode(case.payload)))
            for case in near
        ],
    )


@blueprint.post("/transactions/<id:transaction_id>/replay")
def again(transaction_id: str) -> str:
    """Whether the log and the bundle give this decision again."""
    row = _row(here(), transaction_id)
    return render_template("transactions/replayed.html", found=replay(row["transaction_id"]))


def _row(context: Context, transaction_id: str) -> dict[str, Any]:
    row = context.store.get(context.profile.stored_id(transaction_id))
    return abort(404) if row is None else row
