"""Errors of the HTTP API as problem documents (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from flask import Response

from tidegate.access.door import Denied
from tidegate.errors import Rejected, TidegateError
from tidegate.words import plain

T = TypeVar("T")

CONTENT_TYPE = "application/problem+json"
SAFE_TO_RETRY = "nothing is lost: it is safe to retry with the same id"

_REASONS: dict[str, tuple[int, str]] = {
    "invalid_json": (400, "The body is not valid JSON"),
    "invalid_utf8": (400, "The body is not valid UTF-8"),
    "empty": (400, "The body is empty"),
    "too_deep": (413, "The JSON is nested too deeply"),
    "too_large": (413, "Too large"),
    "conflicting_duplicate": (409, "Another transaction has this id"),
}
_INVALID = (422, "The transaction is not valid")

PROBLEMS: dict[str, tuple[int, str]] = {
    **_REASONS,
    "invalid": _INVALID,
    "conflicting_key": (409, "This Idempotency-Key stands for another request"),
    "unauthorized": (401, "A key is asked for"),
    "forbidden": (403, "This key may not do that"),
    "foreign": (403, "Not by this name"),
    "unsupported_media_type": (415, "This content type is not understood"),
    "too_many_requests": (429, "Too much is under way"),
    "too_many_readers": (503, "Too many read the stream of decisions"),
    "not_durable": (503, "Kafka did not acknowledge in time"),
    "not_promotable": (409, "This bundle cannot be the champion"),
    "not_loaded": (503, "Not every scorer has loaded this bundle"),
    "kafka_away": (503, "Kafka is away"),
    "database_away": (503, "The database is away"),
    "issuer_away": (503, "The issuer's keys cannot be read"),
    "not_ready": (503, "Not ready"),
    "not_found": (404, "No such thing here"),
    "method_not_allowed": (405, "This method is not allowed here"),
    "defect": (500, "An error inside Tidegate"),
}
"""Every kind of problem: its word (the fragment of `type`), status and title."""


class Problem(TidegateError):
    """An answer that is an error: a word of `PROBLEMS`, a sentence, and further members."""

    def __init__(self, kind: str, detail: str, **members: object) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.members = kind, detail, members
        self.status = PROBLEMS[kind][0]
        self.challenge, self.seconds = "", 1

    def document(self) -> dict[str, Any]:
        """The members of the problem document."""
        return {
            "type": f"/docs#{self.kind}",
            "title": PROBLEMS[self.kind][1],
            "status": self.status,
            "detail": self.detail,
            **self.members,
        }

    def headers(self) -> list[tuple[str, str]]:
        """429 and 503 say when to come back, 401 and 403 what is asked for."""
        if self.challenge:
            return [("WWW-Authenticate", self.challenge)]
        later = self.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
        return [("Retry-After", str(self.seconds))] if later else []

    def response(self) -> Response:
        """The document as an answer."""
        return Response(
            msgspec.json.encode(self.document()),
            self.status,
            self.headers(),
            content_type=CONTENT_TYPE,
        )


def from_rejected(rejected: Rejected, faults: list[tuple[str, str]]) -> Problem:
    """What a refused record is answered with; `faults` are all of its bad fields, for a 422."""
    if rejected.reason in _REASONS:
        return Problem(rejected.reason, rejected.detail, reason=rejected.reason)
    errors = [{"field": field, "detail": message} for field, message in faults]
    return Problem(
        "invalid",
        rejected.detail,
        reason=rejected.reason,
        errors=errors or [{"field": "", "detail": rejected.detail}],
    )


UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding a body raises that is no JSON, or JSON of another form than is asked for."""


def unreadable(error: Exception) -> Problem:
    """What a body is answered that raised one of `UNREADABLE`."""
    if isinstance(error, RecursionError):
        return Problem("too_deep", "the JSON is nested too deeply")
    if isinstance(error, UnicodeDecodeError):
        return Problem("invalid_utf8", str(error))
    if not isinstance(error, msgspec.ValidationError):
        return Problem("invalid_json", str(error))
    complaint, _, path = str(error).partition(" - at `$")
    fault = {"field": path.strip(".`"), "detail": plain(complaint)}
    return Problem("invalid", plain(str(error)), errors=[fault])


def decoded(raw: bytes, kind: type[T]) -> T:
    """The JSON in a body. Raises Problem 400, 413 or 422."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except UNREADABLE as error:
        raise unreadable(error) from error


def invalid(field: str, detail: str) -> Problem:
    """A 422 about one parameter."""
    return Problem("invalid", f"{field}: {detail}", errors=[{"field": field, "detail": detail}])


def whole(name: str, value: str, low: int, high: int) -> int:
    """A query parameter as a whole number. Raises Problem 422."""
    if not (value.isascii() and value.isdigit() and len(value) < 20 and low <= int(value) <= high):
        raise invalid(name, f"a whole number from {low} to {high}")
    return int(value)


def from_denied(denied: Denied) -> Problem:
    """What somebody is answered who may not come in."""
    problem = Problem(denied.kind, denied.detail)
    problem.challenge, problem.seconds = denied.challenge, denied.seconds or 1
    return problem
