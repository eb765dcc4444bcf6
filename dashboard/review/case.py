"""One case as the page shows it."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from flask import g

from dashboard.context import Context
from dashboard.format import amount, bars, limits, line
from dashboard.transactions.waterfall import kept, values_of
from db.cases.reading import Case
from db.search.filters import Filters
from db.search.search import search

_RECENT = 6


class Timeline(NamedTuple):
    """The newest rows with one value of an entity."""

    entity: str
    value: str
    rows: list[dict[str, Any]]


def shown(context: Context, case: Case) -> dict[str, Any]:
    """What the template needs; `row` is None where the row is gone."""
    row = context.store.get(case.row.transaction_id)
    if row is None:
        return {"case": case, "row": None}
    payload = msgspec.json.decode(row["payload"])
    masked = context.profile.masks.row(row)
    return {
        "case": case,
        "row": masked,
        "amount": amount(context.profile, row["amount_minor"], payload),
        "payload": msgspec.json.decode(masked["payload"]),
        "reasons": bars(kept(masked)),
        "rules": [one for one in masked["reasons"] if one.get("rule")],
        "values": values_of(masked),
        "models": bars(
            [(name, score) for name, score in masked["scores"].items() if score is not None], 1.0
        ),
        "thresholds": limits(context.policies, context.settings.bundles_dir, row),
        "timelines": _timelines(context, row, payload),
        "may_unmask": bool(context.profile.masks.names) and g.principal.may("unmask"),
    }


def _timelines(context: Context, row: dict[str, Any], payload: dict[str, Any]) -> list[Timeline]:
    """Of the account and of the second entity."""
    profile = context.profile
    found = []
    if profile.account and row["account"]:
        hidden = profile.masks.account(row["account"]) or ""
        found.append(_timeline(context, profile.account, hidden, Filters(account=row["account"])))
    for name in profile.entities[1:2]:
        if (value := payload.get(name)) not in (None, ""):
            text = str(value)
            hidden = str(profile.masks.payload({name: value})[name])
            found.append(_timeline(context, name, hidden, Filters(second=text, second_entity=name)))
    return found


def _timeline(context: Context, entity: str, value: str, filters: Filters) -> Timeline:
    with context.store.reading() as connection:
        page = search(connection, filters, None, _RECENT)
        briefs = context.store.briefs(connection, page.seqs)
    rows = [line(context.profile, brief) | {"event_us": brief["event_us"]} for brief in briefs]
    return Timeline(entity, value, rows)
