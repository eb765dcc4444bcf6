"""The typed client: one call for each thing that another program wants of Tidegate."""

from __future__ import annotations

import http.client
import uuid
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Literal
from urllib.parse import urlencode

import msgspec

from tidegate.client.connection import AGAIN, NDJSON, Connection, Patience, retry_after
from tidegate.client.events import Event, EventReader
from tidegate.errors import TidegateError

Transaction = Mapping[str, Any]
Verdict = Literal["fraud", "legitimate"]


class Decision(msgspec.Struct, kw_only=True):
    """What was decided of a transaction. `scores` has None for a detector that was left out.

    `account`, `event_us` (microseconds since 1970) and `cursor` are there in the stream only.
    """

    transaction_id: str
    decision: Literal["approve", "review", "block"]
    score: float
    scores: dict[str, float | None]
    degraded: list[str]
    reasons: list[dict[str, Any]]
    bundle: str
    account: str | None = None
    event_us: int = 0
    cursor: str = ""
    """`decisions(after=...)` goes on behind this one."""


class Refusal(msgspec.Struct):
    """One transaction that was refused: its place among those that were sent, its id if it has one,
    and why.
    """

    index: int
    id: str | None
    problem: dict[str, Any]


class Sent(msgspec.Struct):
    """How many are durable, the ids of those that came without one, by place; and the others."""

    accepted: int = 0
    generated_ids: dict[int, str] = {}
    refused: list[Refusal] = []


class Refused(TidegateError):
    """The API's problem document: `kind` is its word, as in `/docs`, `errors` are the fields."""

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        self.status, self.document = status, dict(document)
        self.kind = str(document.get("type", "")).rpartition("#")[2]
        self.errors: list[dict[str, str]] = list(document.get("errors", []))
        super().__init__(f"{status} {self.kind}: {document.get('detail', '')}")


class Undecided(TidegateError):
    """The transaction is durable, and its decision has not come in time. Ask for its row later."""

    def __init__(self, transaction_id: str) -> None:
        super().__init__(f"{transaction_id} is accepted and not decided yet")
        self.transaction_id = transaction_id


class DecisionsLost(TidegateError):
    """The log has been shortened past where the reader stood: at most `missed` are not told.

    `decisions(after=error.cursor)` goes on with what is left.
    """

    def __init__(self, missed: int, cursor: str) -> None:
        super().__init__(f"up to {missed:,} decisions are gone from the log")
        self.missed, self.cursor = missed, cursor


class Client(Connection):
    """Talks to one API. Not thread-safe, but `decisions` has a connection of its own.

    All that is sent may be sent again: transactions without an id get one that is the same at each
    try.
    """

    def send(self, transactions: Iterable[Transaction], *, batch: int = 500) -> Sent:
        """Make many durable, in their order, so many in a request.

        Waits as long as the API asks for. Raises Refused for a request that is not understood at
        all, Retry when it stays away; what was sent before is durable then.
        """
        sent, left = Sent(), iter(transactions)
        first = 0
        while some := list(islice(left, batch)):
            self._send(some, first, sent)
            first += len(some)
        return sent

    def _send(self, some: list[Transaction], first: int, sent: Sent) -> None:
        body = b"\n".join(map(msgspec.json.encode, some))
        status, document = self.post("/v1/transactions/batch", body, NDJSON, _once())
        if "accepted" not in document:
            raise Refused(status, document)
        sent.accepted += document["accepted"]
        for place, generated in document.get("generated_ids", {}).items():
            sent.generated_ids[first + int(place)] = generated
        for bad in document.get("rejected", []):
            sent.refused.append(Refusal(first + bad["index"], bad["id"], bad["problem"]))

    def decide(self, transaction: Transaction, *, seconds: float = 2.0) -> Decision:
        """Post one and wait for its decision.

        Raises Undecided when it does not come within `seconds` (10 at most, unless the API is set
        otherwise), Refused for a bad transaction.
        """
        path = f"/v1/transactions?wait_ms={int(seconds * 1000)}"
        status, document = self.post(path, msgspec.json.encode(transaction), headers=_once())
        if status == 202:
            raise Undecided(document["transaction_id"])
        if status != 200:
            raise Refused(status, document)
        return msgspec.convert(document, Decision)

    def feedback(
        self, transaction_id: str, verdict: Verdict, *, label_id: str = "", note: str = ""
    ) -> str:
        """Say what a transaction was; the id under which `GET /v1/feedback/ID` tells what became of
        it. The same `label_id` counts once.
        """
        given = {"transaction_id": transaction_id, "verdict": verdict, "note": note}
        body = msgspec.json.encode(given | ({"label_id": label_id} if label_id else {}))
        status, document = self.post("/v1/feedback", body, headers=_once())
        if status != 202:
            raise Refused(status, document)
        [made] = document["label_ids"]
        return str(made)

    def decisions(
        self,
        *,
        decision: Literal["approve", "review", "block"] | None = None,
        account: str | None = None,
        after: str = "",
    ) -> Iterator[Decision]:
        """Every decision from now on, or behind the one with the cursor `after`; without end.

        After a lost connection it goes on where it stood. Raises DecisionsLost, Refused for a
        cursor of another log, and Retry when the API stays away longer than the patience.
        """
        wanted = {"decision": decision, "account": account}
        query = urlencode({name: value for name, value in wanted.items() if value is not None})
        path, reader, patience = f"/v1/decisions/stream?{query}", EventReader(after), Patience(self)
        while True:
            later, trouble = 0.0, "has ended the stream"
            try:
                with self.reading(path, {"Last-Event-ID": reader.last_id}) as answer:
                    if answer.status == 200:
                        patience = Patience(self)
                        yield from _told(reader.read(answer))
                    else:
                        later, trouble = retry_after(answer), self._away(answer)
            except (OSError, http.client.HTTPException) as error:
                trouble = f"{type(error).__name__}: {error}"
            patience.wait(trouble, later)

    def _away(self, answer: http.client.HTTPResponse) -> str:
        """Why there is no stream for a while. Raises Refused where trying again does not help."""
        document = self.document(answer)
        if answer.status not in AGAIN:
            raise Refused(answer.status, document)
        return f"{answer.status} {document.get('detail', '')}"


def _told(events: Iterable[Event]) -> Iterator[Decision]:
    """The decisions of one connection. Raises DecisionsLost."""
    for event in events:
        if event.kind == "gap":
            raise DecisionsLost(msgspec.json.decode(event.data)["missed"], event.id)
        if event.kind == "decision":
            decision = msgspec.json.decode(event.data, type=Decision)
            decision.cursor = event.id
            yield decision


def _once() -> dict[str, str]:
    """What makes a request that is tried again the same one."""
    return {"Idempotency-Key": str(uuid.uuid4())}
