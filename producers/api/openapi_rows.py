"""What the OpenAPI description says of reading rows and decisions."""

from __future__ import annotations

from producers.api.schemas import Json, content, operation, parameter
from tidegate.messages.frames import DECISIONS


def get_operation() -> Json:
    """Of `/v1/transactions/{id}`."""
    return operation(
        "The row of one transaction",
        {"200": "The row", "202": "Accepted, and no row yet"},
        403,
        404,
        422,
        503,
    ) | {
        "parameters": [
            parameter("id", "path", "the transaction's id", {"type": "string"}),
            parameter(
                "unmask",
                "query",
                "personal data without masks: needs the scope unmask, and is told to the audit",
                {"type": "boolean"},
            ),
        ]
    }


def list_operation() -> Json:
    """Of `/v1/transactions`."""
    return operation(
        "Rows, newest first", {"200": "A page of rows, and the cursor of the next"}, 422, 503
    ) | {
        "parameters": [
            parameter("id", "query", "by itself: this one row, as by its path", {"type": "string"}),
            parameter("decision", "query", "only these", {"enum": list(DECISIONS)}),
            parameter("account", "query", "only this account's", {"type": "string"}),
            parameter(
                "since_us",
                "query",
                "event time from here on, microseconds since 1970",
                {"type": "integer"},
            ),
            parameter("until_us", "query", "event time before this", {"type": "integer"}),
            parameter(
                "min_score",
                "query",
                "at least this score",
                {"type": "number", "minimum": 0, "maximum": 1},
            ),
            parameter(
                "limit",
                "query",
                "rows on a page",
                {"type": "integer", "minimum": 1, "maximum": 500},
            ),
            parameter("cursor", "query", "`next` of the page before", {"type": "string"}),
        ]
    }


def stream_operation() -> Json:
    """Of `/v1/decisions/stream`."""
    events = {
        "description": "Events, until the reader goes",
        "content": content({"type": "string"}, "text/event-stream"),
    }
    return operation(
        "Every decision as it is made, as server-sent events: decision, gap, resume",
        {"200": events},
        422,
        503,
    ) | {
        "parameters": [
            parameter("decision", "query", "only these", {"enum": list(DECISIONS)}),
            parameter("account", "query", "only this account's", {"type": "string"}),
            parameter("Last-Event-ID", "header", "go on behind this event", {"type": "string"}),
        ]
    }
