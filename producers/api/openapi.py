"""The description of the API (OpenAPI 3.1), made from the profile and the message types."""

from __future__ import annotations

from typing import Any

import msgspec

from producers.api.problems import CONTENT_TYPE, PROBLEMS
from tidegate.messages.documents import Verdict
from tidegate.messages.frames import DECISIONS
from tidegate.profile import Profile
from tidegate.settings import Settings

Json = dict[str, Any]
_REF = "#/components/schemas/"


def description(profile: Profile, settings: Settings) -> Json:
    """The document that `/openapi.json` answers."""
    transaction = profile.struct.__name__
    _, schemas = msgspec.json.schema_components(
        [profile.struct, Verdict], ref_template=_REF + "{name}"
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tidegate ingest API",
            "version": "1.0",
            "description": f"Transactions of profile {profile.name} in, decisions out. 202 means "
            "durable.",
        },
        "paths": {
            "/v1/transactions": {"post": _post_one(transaction, settings), "get": _list()},
            "/v1/transactions/batch": {"post": _post_batch(transaction, settings)},
            "/v1/transactions/{id}": {"get": _get()},
            "/v1/feedback": {"post": _feedback()},
            **_models(),
            "/healthz": {"get": _operation("200 while the worker answers", {"200": "It does"})},
            "/readyz": {
                "get": _operation(
                    "Whether every partition of every stage is served", {"200": "Ready"}, 503
                )
            },
            "/metrics": {"get": _operation("Prometheus metrics", {"200": "Text"})},
        },
        "components": {
            "schemas": {
                **schemas,
                **_answers(profile),
                "LabelledTransaction": _labelled(schemas["Verdict"], transaction),
            }
        },
    }


def _ref(name: str) -> Json:
    return {"$ref": _REF + name}


def _content(schema: Json, *types: str) -> Json:
    return {kind: {"schema": schema} for kind in types or ("application/json",)}


def _operation(summary: str, answers: dict[str, str | Json], *problems: int) -> Json:
    responses: Json = {
        status: {"description": told} if isinstance(told, str) else told
        for status, told in answers.items()
    }
    for status in problems:
        titles = sorted({title for code, title in PROBLEMS.values() if code == status})
        responses[str(status)] = {
            "description": "; ".join(titles),
            "content": _content(_ref("Problem"), CONTENT_TYPE),
        }
    return {"summary": summary, "responses": responses}


def _parameter(name: str, where: str, told: str, schema: Json) -> Json:
    return {
        "name": name,
        "in": where,
        "description": told,
        "schema": schema,
        "required": where == "path",
    }


_IDEMPOTENCY = _parameter(
    "Idempotency-Key", "header", "a missing id is derived from it", {"type": "string"}
)


def _post_one(transaction: str, settings: Settings) -> Json:
    accepted = {
        "description": "Durable in Kafka; Location says where to ask",
        "content": _content(_ref("Accepted")),
    }
    scored = {
        "description": "The decision came within wait_ms",
        "content": _content(_ref("Scored")),
    }
    return _operation(
        "Post one transaction", {"200": scored, "202": accepted}, 400, 409, 413, 415, 422, 429, 503
    ) | {
        "parameters": [
            _parameter(
                "wait_ms",
                "query",
                "wait so long for the decision",
                {"type": "integer", "minimum": 0, "maximum": settings.max_wait_ms},
            ),
            _IDEMPOTENCY,
        ],
        "requestBody": {"required": True, "content": _content(_ref(transaction))},
    }


def _post_batch(transaction: str, settings: Settings) -> Json:
    batch = {
        "type": "array",
        "items": _ref(transaction),
        "minItems": 1,
        "maxItems": settings.max_batch,
    }
    told = {"description": "The good ones are durable", "content": _content(_ref("BatchAnswer"))}
    none = {"description": "None was good", "content": _content(_ref("BatchAnswer"))}
    return _operation(
        "Post many: an array, or one JSON object a line",
        {"202": told, "422": none},
        400,
        413,
        415,
        429,
        503,
    ) | {
        "parameters": [_IDEMPOTENCY],
        "requestBody": {
            "required": True,
            "content": {**_content(batch), "application/x-ndjson": {"schema": {"type": "string"}}},
        },
    }


def _get() -> Json:
    return _operation(
        "The row of one transaction",
        {"200": "The row", "202": "Accepted, and no row yet"},
        404,
        503,
    ) | {"parameters": [_parameter("id", "path", "the transaction's id", {"type": "string"})]}


def _list() -> Json:
    return _operation(
        "Rows, newest first", {"200": "A page of rows, and the cursor of the next"}, 422, 503
    ) | {
        "parameters": [
            _parameter("decision", "query", "only these", {"enum": list(DECISIONS)}),
            _parameter("account", "query", "only this account's", {"type": "string"}),
            _parameter(
                "since_us",
                "query",
                "event time from here on, microseconds since 1970",
                {"type": "integer"},
            ),
            _parameter("until_us", "query", "event time before this", {"type": "integer"}),
            _parameter(
                "min_score",
                "query",
                "at least this score",
                {"type": "number", "minimum": 0, "maximum": 1},
            ),
            _parameter(
                "limit",
                "query",
                "rows on a page",
                {"type": "integer", "minimum": 1, "maximum": 500},
            ),
            _parameter("cursor", "query", "`next` of the page before", {"type": "string"}),
        ]
    }


def _feedback() -> Json:
    either = {"oneOf": [_ref("Verdict"), _ref("LabelledTransaction")]}
    return _operation(
        "Say what a transaction was (one verdict, or an array; by id, or with the whole "
        "transaction)",
        {
            "202": {
                "description": "Durable; the learner folds it",
                "content": _content(_ref("FeedbackAnswer")),
            }
        },
        400,
        409,
        413,
        415,
        422,
        429,
        503,
    ) | {
        "parameters": [_IDEMPOTENCY],
        "requestBody": {
            "required": True,
            "content": _content({"oneOf": [*either["oneOf"], {"type": "array", "items": either}]}),
        },
    }


def _labelled(verdict: Json, transaction: str) -> Json:
    """A verdict with the whole transaction in place of its id."""
    said = {
        name: schema for name, schema in verdict["properties"].items() if name != "transaction_id"
    }
    return {
        "type": "object",
        "properties": {"transaction": _ref(transaction), **said},
        "required": ["transaction", "verdict"],
        "additionalProperties": False,
    }


def _models() -> Json:
    bundle = {
        "parameters": [
            _parameter("bundle", "path", "a bundle's hash, or how it begins", {"type": "string"})
        ]
    }
    order = _body(by={"type": "string"})
    durable: dict[str, str | Json] = {
        "202": "Durable; the scorers named under `switching` do so between two batches"
    }
    return {
        "/v1/models": {
            "get": _operation(
                "All bundles, the champion, what each scorer uses, and the drift",
                {"200": "They"},
                503,
            )
        },
        "/v1/models/{bundle}": {
            "get": bundle
            | _operation(
                "What a bundle was trained on, and how good it was",
                {"200": "Its manifest"},
                404,
                409,
                503,
            )
        },
        "/v1/models/{bundle}/promote": {
            "post": bundle
            | order
            | _operation("Make a bundle the champion", durable, 400, 404, 409, 415, 422, 503)
        },
        "/v1/models/{bundle}/shadow": {
            "post": bundle
            | order
            | _operation(
                "Let a bundle score beside the champion, without deciding anything",
                {"202": "Durable"},
                400,
                404,
                409,
                415,
                422,
                503,
            )
        },
        "/v1/models/shadow": {
            "get": _operation(
                "How the shadow compares with the champion on the rows that both scored",
                {"200": "Agreement, and what a day's reviews find with each"},
                404,
                422,
                503,
            )
            | {
                "parameters": [
                    _parameter(
                        "capacity",
                        "query",
                        "transactions reviewed a day",
                        {"type": "integer", "minimum": 1},
                    )
                ]
            },
            "delete": order
            | _operation(
                "Let none score beside the champion any more",
                {"202": "Durable"},
                400,
                415,
                422,
                503,
            ),
        },
        "/v1/models/{bundle}/canary": {
            "post": bundle
            | _body(share={"type": "number", "minimum": 0, "maximum": 1}, by={"type": "string"})
            | _operation(
                "Let a bundle decide for a share of the accounts",
                {"202": "Durable"},
                400,
                404,
                409,
                415,
                422,
                503,
            )
        },
        "/v1/models/canary": {
            "get": _operation(
                "What the canary and the champion decided since it was named",
                {"200": "Rows, flagged ones and their verdicts of each bundle"},
                404,
                503,
            ),
            "delete": order
            | _operation(
                "Let the champion decide for all accounts again",
                {"202": "Durable"},
                400,
                415,
                422,
                503,
            ),
        },
        "/v1/models/rollback": {
            "post": order
            | _operation(
                "Make the champion before this one the champion again",
                durable,
                400,
                409,
                415,
                422,
                503,
            )
        },
    }


def _body(**properties: Json) -> Json:
    return {"requestBody": {"required": True, "content": _content(_object(**properties))}}


def _object(**properties: Json) -> Json:
    return {"type": "object", "properties": properties}


def _answers(profile: Profile) -> Json:
    text, number, whole = {"type": "string"}, {"type": "number"}, {"type": "integer"}
    listed = {"type": "array", "items": {"type": "object"}}
    return {
        "Accepted": _object(transaction_id=text, status={"const": "accepted"}),
        "Scored": _object(
            transaction_id=text,
            status={"const": "scored"},
            decision={"enum": list(DECISIONS)},
            score=number,
            scores=_object(**dict.fromkeys(profile.models.names, number)),
            reasons=listed,
            degraded={"type": "array", "items": text},
            bundle=text,
        ),
        "BatchAnswer": _object(
            accepted=whole,
            generated_ids={"type": "object", "additionalProperties": text},
            rejected={
                "type": "array",
                "items": _object(index=whole, id=text, problem=_ref("Problem")),
            },
        ),
        "FeedbackAnswer": _object(
            accepted=whole,
            label_ids={"type": "array", "items": text},
            transaction_ids={"type": "array", "items": text},
        ),
        "Problem": _object(type=text, title=text, status=whole, detail=text, errors=listed),
    }
