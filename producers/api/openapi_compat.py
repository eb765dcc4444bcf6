"""What the OpenAPI description says of the paths that five other projects' users know."""

from __future__ import annotations

from typing import Any

from producers.api.schemas import Json, content, object_of, operation, parameter, ref

_TEXT, _NUMBER, _BOOL = {"type": "string"}, {"type": "number"}, {"type": "boolean"}
_MAYBE_BOOL = {"type": ["boolean", "null"]}
_MAYBE_NUMBER = {"type": ["number", "null"]}
_NAME = {"type": ["string", "integer", "null"]}
_FLAG = {"enum": [True, False, 0, 1]}
_POSTED = (400, 409, 413, 415, 422, 429, 503)
_WAIT = parameter(
    "wait_ms", "query", "how long to wait for the decision; 2000", {"type": "integer", "minimum": 0}
)
_LATER = {
    "description": "Durable; the decision has not come in time, Location says where to ask",
    "content": content(ref("Accepted")),
}
_ANOMALY = object_of(
    transaction_id=_TEXT,
    is_anomaly=_BOOL,
    anomaly_score=_NUMBER,
    risk_level={"enum": ["low", "medium", "high", "critical"]},
)


def _posts(summary: str, schema: Json, example: Any, answers: dict[str, str | Json]) -> Json:  # noqa: ANN401 - any JSON
    request = {
        "required": True,
        "content": {"application/json": {"schema": schema, "example": example}},
    }
    return {"requestBody": request} | operation(summary, answers, *_POSTED)


def _predicts(schema: Json, example: Json, answer: Json) -> Json:
    answers: dict[str, str | Json] = {
        "200": {"description": "The decision", "content": content(answer)},
        "202": _LATER,
    }
    return _posts("Score a transaction and wait for the decision", schema, example, answers) | {
        "parameters": [_WAIT]
    }


WALLET = {
    "user_id": "user_test",
    "transaction_type": "recarga",
    "amount": 123.45,
    "balance_before": 1000,
    "balance_after": 1123.45,
    "timestamp": "2024-05-21T15:30:00",
}
LABELLED = {
    "user_id": "user_feedback",
    "transaction_type": "retiro",
    "amount": 5000,
    "balance_before": 100,
    "balance_after": -4900,
    "timestamp": "2024-05-21T16:00:00",
    "is_anomaly": 1,
}
CREDITCARD = {"Time": 406.0, **{f"V{i}": round(0.1 * i - 1.4, 1) for i in range(1, 29)}} | {
    "Amount": 149.62
}
CARD = {
    "user_id": "u-17",
    "amount": 129.9,
    "merchant": "Corner Shop",
    "timestamp": "2024-05-21T15:30:00",
    "merchant_type": "electronics",
    "device_type": "mobile",
    "location_match": 1,
}
TRAINING = {
    "model_type": "isolation_forest",
    "training_data": "path/to/data.csv",
    "parameters": {"contamination": 0.1, "n_estimators": 100},
}
VECTOR: Json = {"data": [1.2, 3.4, 5.6, 7.8], "model_type": "isolation_forest", "threshold": 0.1}
UNSUPERVISED = {
    "transaction_id": "TXN_00000001",
    "timestamp": "2023-06-15 14:30:00",
    "amount": 150.50,
    "merchant_category": "retail",
    "location_distance_km": 5.2,
    "is_online": 0,
    "time_since_last_transaction_minutes": 120.0,
    "is_weekend": 0,
    "hour": 14,
    "day_of_week": 3,
    "transaction_count_1h": 2,
    "total_amount_24h": 300.0,
    "user_id": 1234,
}


def compat_paths(profile: str, transaction: Json) -> Json:
    """The paths that a profile of this name has; `transaction` is its transactions' schema."""
    return _OF.get(profile, lambda _schema: {})(transaction)


def _with(schema: Json, **fields: Json) -> Json:
    """The schema with other fields, or other types of them."""
    return schema | {"properties": schema["properties"] | fields}


def _card(schema: Json) -> Json:
    accepted: dict[str, str | Json] = {
        "202": {"description": "Durable", "content": content(ref("Accepted"))}
    }
    return {
        "/transaction": {
            "post": _posts(
                "Post one transaction; 0 and 1 are booleans",
                _with(
                    schema,
                    location_match=_FLAG,
                    is_online=_FLAG,
                    user_id=_NAME,
                    merchant=_NAME,
                    transaction_id=_NAME,
                ),
                CARD,
                accepted,
            )
        },
        "/transaction/{id}": {
            "get": {"parameters": [parameter("id", "path", "the transaction's id", _TEXT)]}
            | operation(
                "The row of one transaction",
                {"200": "The row", "202": "Accepted, and no row yet"},
                404,
                503,
            )
        },
    }


def _wallet(schema: Json) -> Json:
    details = object_of(
        batch_model_prediction=_MAYBE_BOOL,
        batch_model_score=_MAYBE_NUMBER,
        online_model_prediction=_MAYBE_BOOL,
        online_model_score=_MAYBE_NUMBER,
    )
    prediction = object_of(is_anomaly=_BOOL, anomaly_score=_NUMBER, details=details)
    schema = _with(schema, user_id=_NAME, transaction_id=_NAME)
    labelled = _with(schema, is_anomaly={"enum": [0, 1, True, False]})
    learnt: dict[str, str | Json] = {
        "200": {
            "description": "The online model has learnt; or the message says why it has not",
            "content": content(object_of(message=_TEXT)),
        },
        "202": {
            "description": "Durable, not learnt yet; Location says where to ask",
            "content": content(object_of(message=_TEXT, transaction_id=_TEXT, label_id=_TEXT)),
        },
    }
    return {
        "/predict": {"post": _predicts(schema, WALLET, prediction)},
        "/update": {
            "post": _posts("A transaction with its label", labelled, LABELLED, learnt)
            | {"parameters": [_WAIT]}
        },
    }


def _creditcard(schema: Json) -> Json:
    prediction = object_of(fraud_probability=_NUMBER, is_fraud=_BOOL, model_version=_TEXT)
    return {
        "/predict": {"post": _predicts(schema, CREDITCARD, prediction)},
        "/": {"get": operation("Health", {"200": "Every stage is served"}, 503)},
    }


def _unsupervised(schema: Json) -> Json:
    schema = _with(schema, transaction_id=_NAME)
    batch = object_of(transactions={"type": "array", "items": schema, "minItems": 1})
    many = content(
        object_of(
            predictions={"type": "array", "items": {"anyOf": [_ANOMALY, {"type": "object"}]}},
            total_transactions={"type": "integer"},
            anomalies_detected={"type": "integer"},
        )
    )
    answers: dict[str, str | Json] = {
        "200": {"description": "In order; a bad one's problem in its place", "content": many},
        "202": {"description": "Some are not decided yet; they say where", "content": many},
    }
    return {
        "/predict": {"post": _predicts(schema, UNSUPERVISED, _ANOMALY)},
        "/predict/batch": {
            "post": _posts("Score many", batch, {"transactions": [UNSUPERVISED]}, answers)
            | {"parameters": [_WAIT]}
        },
        "/health": {"get": operation("Health", {"200": "Every stage is served"}, 503)},
    }


def _vector(schema: Json) -> Json:
    threshold = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
    asked = _with(schema, model_type=_TEXT, threshold=threshold)
    length = schema["properties"]["data"]["minItems"]
    example = VECTOR | {"data": (VECTOR["data"] * length)[:length]}
    found = object_of(
        is_anomaly=_MAYBE_BOOL,
        score=_MAYBE_NUMBER,
        model_type=_TEXT,
        threshold=_MAYBE_NUMBER,
        transaction_id=_TEXT,
    )
    order = object_of(model_type=_TEXT, training_data=_TEXT, parameters={"type": "object"}) | {
        "required": ["training_data"]
    }
    begun: dict[str, str | Json] = {"202": "Begun; Location says where to ask how it goes"}
    health = operation("Health", {"200": "Every stage is served"}, 503)
    return {
        "/api/v1/detect": {"post": _predicts(asked, example, found)},
        "/api/v1/models": {
            "get": operation("The types of models that are served", {"200": "They"}, 503)
        },
        "/api/v1/models/train": {
            "post": _posts("Train on a file of the allowed folder", order, TRAINING, begun)
        },
        "/api/v1/models/jobs/{job}": {
            "get": {"parameters": [parameter("job", "path", "the training's id", _TEXT)]}
            | operation("How a training goes", {"200": "Progress, or its outcome"}, 404)
        },
        "/api/v1/metrics": {"get": operation("Prometheus metrics", {"200": "Text"}, 503)},
        "/api/v1/health": {"get": health},
        "/health": {"get": health},
    }


_OF = {
    "card": _card,
    "wallet": _wallet,
    "creditcard": _creditcard,
    "card_unsupervised": _unsupervised,
    "vector": _vector,
}
