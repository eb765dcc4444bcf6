"""`/transactions`: the search, whose filters are its address."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, g, redirect, render_template, request, url_for
from flask_babel import gettext
from sqlalchemy import Connection

from dashboard.context import Context, here
from dashboard.format import iso, line
from dashboard.transactions.asked import FIELDS, Asked, asked
from db.search.around import event_us_of, verdicts_on
from db.search.search import search as search_rows

blueprint = Blueprint("transactions", __name__)
PAGE = 50
_MORE = ("min_score", "max_score", "min_amount", "max_amount", "since", "until", "model", "reason")


@blueprint.get("/transactions")
def search() -> Any:  # noqa: ANN401 - werkzeug's Response
    """The form, and the newest rows that are meant."""
    context = here()
    said = asked(context.profile, request.args)
    if len(said.texts) + ("cursor" in request.args) < len(request.args):
        return redirect(_address(said.texts, said.cursor))  # without what a form left empty
    if said.faults:
        return _page(context, said, {"rows": [], "following": None, "bounded": False}), 400
    with context.store.reading() as connection:
        return _page(context, said, _found(context, connection, said))


def _page(context: Context, said: Asked, found: dict[str, Any]) -> str:
    profile = context.profile
    following = found["following"]
    return render_template(
        "transactions/search.html",
        asked=said.texts,
        faults={name: gettext(wrong.text, **wrong.values) for name, wrong in said.faults.items()},
        cursor=said.cursor,
        times={"since": _seconds(said.filters.since_us), "until": _seconds(said.filters.until_us)},
        second=profile.entities[1] if len(profile.entities) > 1 else "",
        more=any(name in said.texts for name in _MORE),
        older=None if following is None else _address(said.texts, following),
        newest=_address(said.texts, None),
        may_unmask=bool(profile.masks.names) and g.principal.may("unmask"),
        **found,
    )


def _found(context: Context, connection: Connection, said: Asked) -> dict[str, Any]:
    page = search_rows(connection, said.filters, said.cursor, PAGE)
    briefs = context.store.briefs(connection, page.seqs)
    held = verdicts_on(connection, [row["transaction_id"] for row in briefs])
    rows = [
        line(context.profile, row)
        | {"event_us": row["event_us"], "verdict": held.get(row["transaction_id"])}
        for row in briefs
    ]
    looked_to = None if page.looked_to is None else event_us_of(connection, page.looked_to)
    return {
        "rows": rows,
        "following": page.following,
        "bounded": page.looked_to is not None,
        "looked_to_us": looked_to,
    }


def _seconds(us: int | None) -> str:
    """A time as `<input type="datetime-local">` takes it, UTC."""
    return "" if us is None else iso(us).partition(".")[0]


def _address(texts: dict[str, str], cursor: int | None) -> str:
    given = {name: texts[name] for name in FIELDS if name in texts}
    if cursor is not None:
        given["cursor"] = str(cursor)
    return url_for(".search") + (f"?{urlencode(given)}" if given else "")
