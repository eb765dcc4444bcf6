"""`/v1/decisions/stream`: every decision as it is made, as server-sent events."""

from __future__ import annotations

from flask import Blueprint, Response, request

from producers.api.context import here, measured
from producers.api.feed import Cursor, Feed, OtherLog, Wanted
from producers.api.problems import Problem, invalid
from tidegate.errors import ConfigError, Retry
from tidegate.messages.frames import DECISIONS
from tidegate.pipeline import SCORED

blueprint = Blueprint("stream", __name__)


@blueprint.get("/v1/decisions/stream")
@measured("stream_decisions")
def stream() -> Response:
    """Decisions from now on, or from behind the event that `Last-Event-ID` names."""
    context, wanted, cursor = here(), _wanted(), _cursor()
    if not context.readers.acquire(blocking=False):
        raise Problem("too_many_readers", "all places are taken: come again in a second")
    try:
        feed = Feed(
            context.broker,
            SCORED,
            context.told,
            wanted,
            cursor,
            still_in=context.door.still_in(request.headers.get("Authorization", "")),
            leave=context.readers.release,
            vault=context.vault,
        )
    except OtherLog as error:
        context.readers.release()
        raise invalid("Last-Event-ID", str(error)) from error
    except (Retry, ConfigError) as error:
        context.readers.release()
        raise Problem("kafka_away", str(error)) from error
    return Response(
        feed,
        content_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _wanted() -> Wanted:
    """The filter in the query. Raises Problem 422."""
    parameters = request.args.to_dict()
    decision, account = parameters.pop("decision", None), parameters.pop("account", None)
    if decision is not None and decision not in DECISIONS:
        raise invalid("decision", f"one of {', '.join(DECISIONS)}")
    for name in parameters:
        raise invalid(name, "no such parameter")
    profile = here().profile
    return Wanted(decision, account and profile.stored(profile.account, account))


def _cursor() -> Cursor | None:
    """Where the reader goes on. Raises Problem 422."""
    text = request.headers.get("Last-Event-ID", "")
    cursor = Cursor.read(text)
    if text and cursor is None:
        raise invalid("Last-Event-ID", "the id of an event of this stream")
    return cursor
