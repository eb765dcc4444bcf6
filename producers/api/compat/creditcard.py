"""The card-fraud platform (profile `creditcard`): `POST /predict`, `GET /`."""

from __future__ import annotations

from typing import Any

from producers.api.compat.bodies import Decision, flagged


def prediction(decision: Decision) -> dict[str, Any]:
    """Its answer; the version of a model is the hash of its bundle."""
    return {
        "fraud_probability": decision["score"],
        "is_fraud": flagged(decision),
        "model_version": decision["bundle"],
    }
