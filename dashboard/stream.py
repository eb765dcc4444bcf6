"""`/events`: the live page's server-sent events, throttled to two a second whatever the rate is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from dashboard.access import still_in
from dashboard.context import Context, health, here
from dashboard.format import line
from tidegate.messages.frames import DECISIONS

blueprint = Blueprint("stream", __name__)
TICK = 0.5
"""Seconds between two events."""
ROWS = 12
"""Most rows in one event: more cannot be read anyway."""
STREAMS = 32
"""Most streams at a time; each holds one of the server's threads."""
_slots = threading.BoundedSemaphore(STREAMS)


@blueprint.get("/events")
def events() -> Response:
    """Counters and new rows until the client goes; `?decision=` sends rows of one decision."""
    decision, may_go_on = request.args.get("decision"), still_in()
    if not _slots.acquire(blocking=False):
        return Response(
            "too many live pages are open",
            503,
            headers={"Retry-After": "5"},
            content_type="text/plain",
        )
    return Response(
        _Stream(here(), decision if decision in DECISIONS else None, may_go_on),
        content_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


class _Stream:
    """The body of one answer; `close` (the client has gone) gives its slot back.

    It ends when who asked may not come in any more.
    """

    def __init__(
        self, context: Context, decision: str | None, still_in: Callable[[], bool]
    ) -> None:
        self._context, self._decision, self._still_in = context, decision, still_in
        self._after = context.live.newer(0, decision, 0)[0]
        self._pause = threading.Event()
        self._open = True

    def __iter__(self) -> Iterator[bytes]:
        yield b"retry: 2000\n\n"
        while self._open and self._still_in():
            yield b"data: " + msgspec.json.encode(self._tick()) + b"\n\n"
            self._pause.wait(TICK)

    def _tick(self) -> dict[str, Any]:
        context = self._context
        self._after, rows = context.live.newer(self._after, self._decision, ROWS)
        return {
            "rows": [line(context.profile, row) for row in rows],
            **context.live.counters(),
            **health(context),
        }

    def close(self) -> None:
        if self._open:
            self._open = False
            self._pause.set()
            _slots.release()
