"""What the OpenAPI description says of bundles: promotion, shadow, canary, rollback."""

from __future__ import annotations

from producers.api.schemas import Json, body, operation, parameter


def model_paths() -> Json:
    """The paths under `/v1/models`."""
    bundle = {
        "parameters": [
            parameter("bundle", "path", "a bundle's hash, or how it begins", {"type": "string"})
        ]
    }
    order = body({"by": "ann"}, by={"type": "string"})
    durable: dict[str, str | Json] = {
        "202": "Loaded by all scorers, and durable; those under `switching` switch at a batch's end"
    }
    return {
        "/v1/models": {
            "get": operation(
                "All bundles, the champion, what each scorer uses, and the drift",
                {"200": "They"},
                503,
            )
        },
        "/v1/models/{bundle}": {
            "get": bundle
            | operation(
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
            | operation("Make a bundle the champion", durable, 400, 404, 409, 413, 415, 422, 503)
        },
        "/v1/models/{bundle}/shadow": {
            "post": bundle
            | order
            | operation(
                "Let a bundle score beside the champion, without deciding anything",
                {"202": "Durable"},
                400,
                404,
                409,
                413,
                415,
                422,
                503,
            )
        },
        "/v1/models/shadow": {
            "get": operation(
                "How the shadow compares with the champion on the rows that both scored",
                {"200": "Agreement, and what a day's reviews find with each"},
                404,
                422,
                503,
            )
            | {
                "parameters": [
                    parameter(
                        "capacity",
                        "query",
                        "transactions reviewed a day",
                        {"type": "integer", "minimum": 1},
                    )
                ]
            },
            "delete": order
            | operation(
                "Let none score beside the champion any more",
                {"202": "Durable"},
                400,
                413,
                415,
                422,
                503,
            ),
        },
        "/v1/models/{bundle}/canary": {
            "post": bundle
            | body(
                {"share": 0.05, "by": "ann"},
                share={"type": "number", "minimum": 0, "maximum": 1},
                by={"type": "string"},
            )
            | operation(
                "Let a bundle decide for a share of the accounts",
                {"202": "Durable"},
                400,
                404,
                409,
                413,
                415,
                422,
                503,
            )
        },
        "/v1/models/canary": {
            "get": operation(
                "What the canary and the champion decided since it was named",
                {"200": "Rows, flagged ones and their verdicts of each bundle"},
                404,
                503,
            ),
            "delete": order
            | operation(
                "Let the champion decide for all accounts again",
                {"202": "Durable"},
                400,
                413,
                415,
                422,
                503,
            ),
        },
        "/v1/models/rollback": {
            "post": order
            | operation(
                "Make the champion before this one the champion again",
                durable,
                400,
                409,
                413,
                415,
                422,
                503,
            )
        },
    }
