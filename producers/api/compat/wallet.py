"""The wallet detector (profile `wallet`): `POST /predict`, `POST /update`."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from producers.api.compat.bodies import Body, Decision, changed, flagged, score_of, with_texts

ONLINE = "online"
_VERDICTS: dict[bytes, Literal["fraud", "legitimate"]] = {
    b"1": "fraud",
    b"true": "fraud",
    b"0": "legitimate",
    b"false": "legitimate",
}


class _Labelled(msgspec.Struct):
    is_anomaly: msgspec.Raw = msgspec.Raw()


def transaction(raw: bytes) -> bytes:
    """Its body as the profile has it.

    A label is no part of a transaction: with and without one it is the same body.
    """
    return changed(raw, _change)


def _change(body: Body) -> Body:
    return with_texts(
        {name: value for name, value in body.items() if name != "is_anomaly"},
        "transaction_id",
        "user_id",
    )


def label(raw: bytes) -> Literal["fraud", "legitimate"] | None:
    """The verdict in the body of an update; None where there is none, or another word."""
    try:
        value = msgspec.json.decode(raw, type=_Labelled).is_anomaly
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return _VERDICTS.get(bytes(value).strip())


def prediction(decision: Decision) -> dict[str, Any]:
    """Its answer: what the ensemble decided, and what each model says by itself.

    A model predicts an anomaly where its own probability is at least a half; a model that did not
    take part predicts nothing (null).
    """
    batch = next((name for name in decision["scores"] if name != ONLINE), "")
    details: dict[str, Any] = {}
    for name, model in (("batch_model", batch), ("online_model", ONLINE)):
        score = score_of(decision, model)
        details[f"{name}_prediction"] = None if score is None else score >= 0.5
        details[f"{name}_score"] = score
    return {
        "is_anomaly": flagged(decision),
        "anomaly_score": decision["score"],
        "details": details,
    }
