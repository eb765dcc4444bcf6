"""The description of the API (OpenAPI 3.1), made from the profile and the message types."""

from __future__ import annotations

import msgspec

from producers.api import cloud_events, examples
from producers.api.openapi_compat import compat_paths
from producers.api.openapi_models import model_paths
from producers.api.openapi_rows import get_operation, list_operation, stream_operation
from producers.api.problems import CONTENT_TYPE
from producers.api.schemas import (
    REF,
    Json,
    content,
    object_of,
    operation,
    parameter,
    problem_answers,
    ref,
    shown,
)
from producers.api.verdict_ways import NEWEST, STATUSES
from tidegate.messages.documents import Verdict
from tidegate.messages.frames import DECISIONS
from tidegate.profile import Profile
from tidegate.settings import Settings


def description(profile: Profile, settings: Settings) -> Json:
    """The document that `/openapi.json` answers."""
    transaction = profile.struct.__name__
    _, schemas = msgspec.json.schema_components(
        [profile.struct, Verdict], ref_template=REF + "{name}"
    )
    document: Json = {
        "openapi": "3.1.0",
        "info": {
            "title": "Tidegate ingest API",
            "version": "1.0",
            "description": f"Transactions of profile {profile.name} in, decisions out. 202 means "
            "durable.",
        },
        "paths": {
            "/v1/transactions": {"post": _post_one(profile, settings), "get": list_operation()},
            "/v1/transactions/batch": {"post": _post_batch(profile, settings)},
            "/v1/transactions/{id}": {"get": get_operation()},
            "/v1/decisions/stream": {"get": stream_operation()},
            "/v1/feedback": {"post": _feedback(profile)},
            "/v1/feedback/{label_id}": {"get": _way()},
            **model_paths(),
            **compat_paths(profile.name, schemas[transaction]),
            "/healthz": {"get": operation("200 while the worker answers", {"200": "It does"})},
            "/readyz": {
                "get": operation(
                    "Whether every partition of every stage is served", {"200": "Ready"}, 503
                )
            },
            "/metrics": {"get": operation("Prometheus metrics", {"200": "Text"})},
        },
        "components": {
            "schemas": {
                **schemas,
                **_answers(profile),
                "LabelledTransaction": _labelled(schemas["Verdict"], transaction),
            },
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key that `tidegate keys create` has printed; none is asked "
                    "for on loopback.",
                }
            },
        },
    }
    for path, operations in document["paths"].items():
        for described in operations.values():
            _say_who_may(path, described)
    return document


_OPEN = ("/healthz", "/readyz", "/metrics")


def _say_who_may(path: str, described: Json) -> None:
    """A key is asked for unless the API listens on loopback, and may be shown there too."""
    open_to_all = path in _OPEN
    described["security"] = [] if open_to_all else [{"key": []}, {}]
    refusals = (403,) if open_to_all else (401, 403, 429, 503)
    described["responses"] = problem_answers(*refusals) | described["responses"]


_IDEMPOTENCY = parameter(
    "Idempotency-Key", "header", "a missing id is derived from it", {"type": "string"}
)


def _post_one(profile: Profile, settings: Settings) -> Json:
    event = _event(profile)
    accepted = {
        "description": "Durable in Kafka; Location says where to ask",
        "content": content(ref("Accepted")),
    }
    scored = {
        "description": "The decision came within wait_ms",
        "content": content(ref("Scored")),
    }
    return operation(
        "Post one transaction", {"200": scored, "202": accepted}, 400, 409, 413, 415, 422, 429, 503
    ) | {
        "description": "With the headers ce-specversion, ce-id, ce-source and ce-type a body in "
        "application/json is the data of a CloudEvent in the binary mode.",
        "parameters": [
            parameter(
                "wait_ms",
                "query",
                "wait so long for the decision",
                {"type": "integer", "minimum": 0, "maximum": settings.max_wait_ms},
            ),
            _IDEMPOTENCY,
        ],
        "requestBody": {
            "required": True,
            "content": shown(
                content(ref(profile.struct.__name__)) | content(event, cloud_events.ONE),
                {
                    "application/json": examples.transaction(profile),
                    cloud_events.ONE: examples.event(profile),
                },
            ),
        },
    }


def _event(profile: Profile) -> Json:
    """A CloudEvent; `data_base64` in place of `data` is taken as well."""
    text = {"type": "string", "minLength": 1}
    return object_of(
        specversion={"const": "1.0"},
        id=text,
        source=text,
        type=text,
        data=ref(profile.struct.__name__),
    ) | {"required": ["specversion", "id", "source", "type"]}


def _post_batch(profile: Profile, settings: Settings) -> Json:
    batch = {
        "type": "array",
        "items": ref(profile.struct.__name__),
        "minItems": 1,
        "maxItems": settings.max_batch,
    }
    some = {"description": "The good ones are durable", "content": content(ref("BatchAnswer"))}
    none = {
        "description": "None was good, or it is no batch",
        "content": content(ref("BatchAnswer")) | content(ref("Problem"), CONTENT_TYPE),
    }
    return operation(
        "Post many: an array, one JSON object a line, a CSV with the columns' names, or events",
        {"202": some, "422": none},
        400,
        409,
        413,
        415,
        429,
        503,
    ) | {
        "parameters": [_IDEMPOTENCY],
        "requestBody": {
            "required": True,
            "content": shown(
                content(batch)
                | content({"type": "string"}, "application/x-ndjson", "text/csv")
                | content({"type": "array", "items": _event(profile)}, cloud_events.MANY),
                examples.batch(profile),
            ),
        },
    }


def _feedback(profile: Profile) -> Json:
    either = {"oneOf": [ref("Verdict"), ref("LabelledTransaction")]}
    told = content({"oneOf": [*either["oneOf"], {"type": "array", "items": either}]})
    told["application/json"]["examples"] = {
        name: {"value": value} for name, value in examples.verdicts(profile).items()
    }
    return operation(
        "Say what a transaction was (one verdict, or an array; by id, or with the whole "
        "transaction)",
        {
            "202": {
                "description": "Durable; the learner folds it",
                "content": content(ref("FeedbackAnswer")),
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
        "requestBody": {"required": True, "content": told},
    }


def _way() -> Json:
    return operation(
        f"What became of a verdict, of the newest {NEWEST:,}",
        {"200": {"description": "It", "content": content(ref("VerdictStatus"))}},
        404,
        503,
    ) | {"parameters": [parameter("label_id", "path", "the verdict's id", {"type": "string"})]}


def _labelled(verdict: Json, transaction: str) -> Json:
    """A verdict with the whole transaction in place of its id."""
    properties = dict(verdict["properties"])
    del properties["transaction_id"]
    return {
        "type": "object",
        "properties": {"transaction": ref(transaction), **properties},
        "required": ["transaction", "verdict"],
        "additionalProperties": False,
    }


def _answers(profile: Profile) -> Json:
    text = {"type": "string"}
    number = {"type": "number"}
    whole = {"type": "integer"}
    listed = {"type": "array", "items": {"type": "object"}}
    return {
        "Accepted": object_of(transaction_id=text, status={"const": "accepted"}),
        "Scored": object_of(
            transaction_id=text,
            status={"const": "scored"},
            decision={"enum": list(DECISIONS)},
            score=number,
            scores=object_of(**dict.fromkeys(profile.models.names, number)),
            reasons=listed,
            degraded={"type": "array", "items": text},
            bundle=text,
        ),
        "BatchAnswer": object_of(
            accepted=whole,
            generated_ids={"type": "object", "additionalProperties": text},
            id_prefix=text,
            rejected={
                "type": "array",
                "items": object_of(
                    index=whole, id={"type": ["string", "null"]}, problem=ref("Problem")
                ),
            },
            notes={"type": "array", "items": text},
        ),
        "FeedbackAnswer": object_of(
            accepted=whole,
            label_ids={"type": "array", "items": text},
            transaction_ids={"type": "array", "items": text},
        ),
        "VerdictStatus": object_of(
            label_id=text,
            transaction_id=text,
            status={"enum": list(STATUSES)},
            reason=text,
            detail=text,
            superseded_by=text,
        ),
        "Problem": object_of(type=text, title=text, status=whole, detail=text, errors=listed),
    }
