"""The export button: what a search finds as a file, streamed."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from flask import Response, abort, g, request

from dashboard.context import here
from dashboard.transactions.asked import asked
from dashboard.transactions.parts import blueprint as blueprint  # with the search and the parts
from db.audit import Act
from db.export.columns import columns_of, exported
from db.export.formats import FORMATS, written

_AT_A_TIME = 2
"""Each holds a thread of the server until it is read."""
_slots = threading.BoundedSemaphore(_AT_A_TIME)
_KINDS = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}


@blueprint.post("/transactions/export")
def export() -> Response:
    """A file of all rows that the form's filters mean; masked unless who asks may unmask."""
    context, form = here(), request.form.get("format", "csv")
    unmask = request.form.get("unmask") == "yes"
    said = asked(context.profile, request.form)
    if said.faults or form not in FORMATS:
        abort(400)
    if unmask and not g.principal.may("unmask"):
        abort(403)
    if not _slots.acquire(blocking=False):
        busy = "other exports are under way: try again when they are done"
        return Response(busy, 503, {"Retry-After": "10"}, content_type="text/plain")
    try:
        if g.principal.name:
            detail = {"format": form, "filters": sorted(said.texts), "unmasked": unmask}
            context.audit.add(Act(g.principal.name, "exported", "transactions", detail))
        rows = exported(context.store, context.profile, said.filters, masked=not unmask)
        parts = written("csv" if form == "csv" else "parquet", columns_of(context.profile), rows)
        body = _Body(next(parts, b""), parts)  # what is wrong is known before the answer begins
    except BaseException:
        _slots.release()
        raise
    name = f"tidegate-transactions.{form}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(body, content_type=_KINDS[form], headers=headers)


class _Body:
    """The parts of the file; `close`, at its end or when the client has gone, gives the slot
    back.
    """

    def __init__(self, first: bytes, parts: Iterator[bytes]) -> None:
        self._first, self._parts = first, parts
        self._open = True

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield self._first
            yield from self._parts
        finally:
            self.close()

    def close(self) -> None:
        if self._open:
            self._open = False
            _slots.release()
