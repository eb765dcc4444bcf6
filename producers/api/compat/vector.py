"""The stream detector (profile `vector`): `/api/v1/detect`, and the names of its models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from producers.api.compat.bodies import Body, Decision, changed, flagged, score_of

ENSEMBLE = "ensemble"
"""The final score, which is asked for by no `model_type`, or by this one."""
MODEL_TYPES = {
    "isolation_forest": "isolation_forest",
    "lstm": "lstm_autoencoder",
    "autoencoder": "autoencoder",
    "vae": "vae",
}
"""Its names of models, and Tidegate's."""


class Question(msgspec.Struct):
    """What a body asks beside its `data`: of which model, and from which score on."""

    model_type: str = ""
    threshold: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None


def question(raw: bytes) -> Question:
    """Raises msgspec.ValidationError; what is no JSON object asks nothing, ingest refuses it."""
    try:
        return msgspec.json.decode(raw, type=Question)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Question()


def transaction(raw: bytes) -> bytes:
    """Its body as the profile has it."""
    return changed(raw, _change)


def _change(body: Body) -> Body:
    return {name: value for name, value in body.items() if name not in ("model_type", "threshold")}


def served(names: Sequence[str]) -> dict[str, str]:
    """The types that can be asked for, and the models that answer, where these models score."""
    own = {name: name for name in names if name not in MODEL_TYPES.values()}
    theirs = {kind: model for kind, model in MODEL_TYPES.items() if model in names}
    return theirs | own | {ENSEMBLE: ENSEMBLE}


def prediction(decision: Decision, asked: Question, model: str) -> dict[str, Any]:
    """Its answer. Without a threshold the decision says what is an anomaly; a model that did not
    take part says nothing (null).
    """
    score = decision["score"] if model == ENSEMBLE else score_of(decision, model)
    if score is None or asked.threshold is None:
        anomaly = None if score is None else flagged(decision)
    else:
        anomaly = score >= asked.threshold
    return {
        "is_anomaly": anomaly,
        "score": score,
        "model_type": asked.model_type,
        "threshold": asked.threshold,
        "transaction_id": decision["transaction_id"],
    }


def accuracy(metrics: Mapping[str, float]) -> float | None:
    """The share of a bundle's test slice that it decided rightly; None without verdicts there."""
    needed = [metrics.get(name) for name in ("base_rate", "review_share", "review_precision")]
    if None in needed:
        return None
    frauds, flags, precision = (float(value or 0.0) for value in needed)
    found = flags * precision
    return 1.0 - (flags - found) - (frauds - found)


class Order(msgspec.Struct):
    """The body of a training."""

    training_data: str
    model_type: str = ENSEMBLE
    parameters: dict[str, float | str] = {}


_SETTINGS = {
    "n_estimators": "trees",
    "trees": "trees",
    "max_samples": "sample",
    "sample": "sample",
    "epochs": "epochs",
    "hidden": "hidden",
    "code": "code",
}


def options(model: str, parameters: Mapping[str, float | str]) -> list[str]:
    """The options of `tidegate train` that stand for these parameters of a model.

    Raises ValueError, naming the parameter.
    """
    made: list[str] = []
    for name, value in parameters.items():
        if name == "label" and isinstance(value, str):
            made += ["--label", value]
        elif name == "contamination" and isinstance(value, float) and 0 < value < 0.5:
            made += ["--contamination", f"{value:g}"]
        elif name in _SETTINGS and model != ENSEMBLE and _whole(value):
            made += ["--set", f"{model}.{_SETTINGS[name]}={value:g}"]
        else:
            raise ValueError(name)
    return made


def _whole(value: float | str) -> bool:
    return isinstance(value, float) and value.is_integer() and 1 <= value <= 1_000_000
