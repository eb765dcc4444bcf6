"""Posts rows to the API, and notes which it has acknowledged."""

from __future__ import annotations

import time
from typing import Any

from model.files.rows import Refusal
from producers.files.acknowledged import Acknowledged, hashes_of
from producers.files.outgoing import Outgoing
from tidegate.client import Client
from tidegate.errors import TidegateError

_PATH = "/v1/transactions/batch"
_MOST_BYTES = 4_000_000
CONFLICT = "conflicting_duplicate"


class Poster:
    """Posts rows, at most `rate` a second (0: as fast as it goes)."""

    def __init__(self, client: Client, journal: Acknowledged, rate: float = 0.0) -> None:
        self._client, self._journal, self._rate = client, journal, rate
        self._begin = time.monotonic()
        self.posted = 0
        self.accepted = 0

    def post(self, rows: Outgoing) -> tuple[Outgoing, list[Refusal]]:
        """Post rows; those that are durable now, and why not the others.

        Raises Retry when the API stays away, TidegateError for an answer that is none of its.
        """
        if len(rows.lines) > 1 and sum(map(len, rows.lines)) > _MOST_BYTES:
            (first, some), (second, others) = map(self.post, rows.halves())
            return first.followed_by(second), some + others
        accepted, refused = self._post(rows)
        self._journal.add(hashes_of(accepted.lines))
        self.posted += len(rows.lines)
        self.accepted += len(accepted.lines)
        self._pace()
        return accepted, refused

    def _post(self, rows: Outgoing) -> tuple[Outgoing, list[Refusal]]:
        status, document = self._client.post_lines(_PATH, rows.lines)
        if status not in (202, 422) or "accepted" not in document:
            raise TidegateError(
                f"the API answered {status} for rows {rows.numbers[0]:,} to "
                f"{rows.numbers[-1]:,}: {document.get('detail', document)}"
            )
        refused = {
            entry["index"]: _refusal(int(rows.numbers[entry["index"]]), entry.get("problem", {}))
            for entry in document.get("rejected", [])
        }
        if not refused:
            return rows, []
        places = [place for place in range(len(rows.lines)) if place not in refused]
        return rows.at(places), list(refused.values())

    def _pace(self) -> None:
        if self._rate and (ahead := self._begin + self.posted / self._rate - time.monotonic()) > 0:
            self._client.stop.wait(ahead)


def _refusal(number: int, problem: dict[str, Any]) -> Refusal:
    """A problem of the API as one of a row; what shows the row's id is said without it."""
    reason = problem.get("reason") or str(problem.get("type", "")).rpartition("#")[2]
    if reason == CONFLICT:
        return Refusal(number, "", reason, "its id is known with another body; the first stays")
    errors = problem.get("errors") or [{}]
    return Refusal(number, str(errors[0].get("field", "")), reason, str(problem.get("detail", "")))
