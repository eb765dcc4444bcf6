"""Rows of the database as documents: packed columns by name, JSON texts decoded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import RowMapping

from db.names import Names
from db.rows import STEP
from tidegate.messages import frame_rows
from tidegate.messages.frames import Decision
from tidegate.messages.rule_hits import SUPPRESSED, hit_bits

SHADOW = "shadow"
"""The name of a shadow's score among a row's scores."""
DECIDED = (
    "seq",
    "transaction_id",
    "account",
    "profile",
    "event_us",
    "amount_minor",
    "decision",
    "score",
    "bundle",
)
"""Columns of a transaction and its decision, which lists show as well."""
_PLAIN = (
    *DECIDED,
    "models_offset",
    "online_labels",
    "raw_partition",
    "raw_offset",
    "features_partition",
    "features_offset",
    "features_index",
    "ingested_us",
    "preprocessed_us",
    "scored_us",
    "persisted_us",
    "payload",
    "policy",
)


class ScoredRow(NamedTuple):
    """What a label needs of its row, as `tidegate.messages.documents.Label` names it."""

    transaction_id: str
    profile: str
    event_us: int
    amount_minor: int
    keys: list[int]
    values: list[float | None]
    score: float
    decision: Decision
    entities: list[str | None]


def full(row: RowMapping, names: Names | None) -> dict[str, Any]:
    """A row as `Store.get` gives it: the plain columns (payload is JSON text), and decoded: reasons
    (list), features and scores (by name; a NaN is None), degraded (the detectors left out), steps
    (partition, offset, labels, time_us, index of each keyed step), body_hash (hex), profile_name,
    rules_hit (names, and list:NAME), model_decision, alert_suppressed.
    """
    scores = _scores(names.detectors if names else (), _floats(row["scores"]))
    reasons = _reasons(row["reasons"])
    return {name: row[name] for name in _PLAIN} | {
        "profile_name": names.name if names else None,
        "reasons": reasons,
        "rules_hit": [reason["rule"] for reason in reasons if "rule" in reason],
        "model_decision": row["model_decision"] or row["decision"],
        "alert_suppressed": SUPPRESSED in hit_bits(row["rule_hits"] or b""),
        "features": _named(names.values if names else (), _floats(row["features"])),
        "scores": scores,
        "degraded": [name for name, score in scores.items() if score is None],
        "steps": _steps(row["trace"]),
        "body_hash": row["body_hash"].hex(),
    }


def _steps(trace: bytes) -> list[dict[str, int]]:
    """Of rows of the version before as well, whose steps have no index: it is 0."""
    if len(trace) % frame_rows.STEP.itemsize:
        kept = np.frombuffer(trace, STEP)
    else:
        kept = np.zeros(len(trace) // frame_rows.STEP.itemsize, STEP)
        for name in frame_rows.STEP.names or ():
            kept[name] = np.frombuffer(trace, frame_rows.STEP)[name]
    return [dict(zip(STEP.names or (), step, strict=True)) for step in kept.tolist()]


def in_brief(row: RowMapping) -> dict[str, Any]:
    """A row of a list, with its reasons decoded."""
    return dict(row) | {"reasons": _reasons(row["reasons"])}


def revision(row: RowMapping, names: Names | None) -> dict[str, Any]:
    """What a degraded row would have been with all detectors."""
    return {
        "rescored_us": row["rescored_us"],
        "score": row["score"],
        "decision": row["decision"],
        "scores": _named(names.detectors if names else (), _floats(row["scores"])),
    }


def scored_row(row: RowMapping, names: Names | None) -> ScoredRow:
    """What a label needs of this row."""
    payload = json.loads(row["payload"])
    entities = [payload.get(name) for name in names.entities] if names else []
    return ScoredRow(
        row["transaction_id"],
        row["profile"],
        row["event_us"],
        row["amount_minor"],
        np.frombuffer(row["keys"], "<u8").tolist(),
        _floats(row["features"]),
        row["score"],
        row["decision"],
        [None if entity is None else str(entity) for entity in entities],
    )


def _floats(packed: bytes) -> list[float | None]:
    """Packed f8 as JSON can carry them: NaN and infinities are None."""
    values = np.frombuffer(packed, "<f8")
    if np.isfinite(values).all():
        return list(values.tolist())
    return [
        value if finite else None
        for value, finite in zip(values.tolist(), np.isfinite(values), strict=True)
    ]


def _named(known: Sequence[str], values: list[float | None]) -> dict[str, float | None]:
    """By name; by number when the names do not fit."""
    if len(known) != len(values):
        known = [str(number) for number in range(len(values))]
    return dict(zip(known, values, strict=True))


def _scores(detectors: Sequence[str], values: list[float | None]) -> dict[str, float | None]:
    """Each detector's score, and `shadow` where one scored too (rows of old versions cannot)."""
    if len(values) != len(detectors) + 1:
        return _named(detectors, values)
    scores = _named(detectors, values[:-1])
    if values[-1] is not None:
        scores[SHADOW] = values[-1]
    return scores


def _reasons(stored: str | None) -> list[Any]:
    return list(json.loads(stored)) if stored else []
