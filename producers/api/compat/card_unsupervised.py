"""The unsupervised detector (profile `card_unsupervised`): `POST /predict`, `/predict/batch`."""

from __future__ import annotations

from typing import Any

from producers.api.compat.bodies import Body, Decision, changed, flagged, with_texts

MEDIUM = 0.8
"""From here on a transaction that passes is a medium risk: scores are ranks, so it is among the
fifth that is most unusual.
"""
_LEVELS = {"block": "critical", "review": "high"}


def transaction(raw: bytes) -> bytes:
    """Its body as the profile has it: the id may be a number."""
    return changed(raw, _change)


def _change(body: Body) -> Body:
    return with_texts(body, "transaction_id")


def prediction(decision: Decision) -> dict[str, Any]:
    """Its answer."""
    return {
        "transaction_id": decision["transaction_id"],
        "is_anomaly": flagged(decision),
        "anomaly_score": decision["score"],
        "risk_level": risk(decision),
    }


def risk(decision: Decision) -> str:
    """`critical` is blocked, high is reviewed, medium passes from a score of `MEDIUM` on."""
    low = "medium" if decision["score"] >= MEDIUM else "low"
    return _LEVELS.get(decision["decision"], low)
