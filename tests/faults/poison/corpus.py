"""Records that no stage may swallow, lose, or die of: where each is put, and what its dead letter
says.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from tests.faults.injected.bench import NOW_MS, PROFILE
from tidegate.messages.ciphertext import MAGIC
from tidegate.messages.frames import Frames
from tidegate.pipeline import BY_ENTITY_2, FEATURES, FEEDBACK, RAW, SCORED

GOOD = {
    "transaction_id": "good",
    "user_id": "u1",
    "amount": 12.5,
    "merchant": "m1",
    "timestamp": NOW_MS / 1000,
    "merchant_type": "fuel",
    "device_type": "pos",
    "location_match": True,
}


@dataclass(frozen=True)
class Poison:
    """One record; `stage` is the one that must reject it, with `reason`."""

    name: str
    topic: str
    stage: str
    reason: str
    value: bytes | None
    key: bytes | None = b"u1"


def tx(**changes: object) -> bytes:
    """A good transaction but for the changes; a field set to None is left out."""
    return msgspec.json.encode(
        {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    )


def text(old: str, new: str, transaction_id: str) -> bytes:
    """A good transaction with a part of its text exchanged."""
    return tx(transaction_id=transaction_id).replace(old.encode(), new.encode())


def raw(name: str, reason: str, value: bytes | None, key: bytes | None = b"u1") -> Poison:
    return Poison(name, RAW, "preprocess", reason, value, key)


def feedback(name: str, reason: str, value: bytes | None) -> Poison:
    return Poison(name, FEEDBACK, "label", reason, value)


def frame(name: str, topic: str, reason: str, value: bytes | None) -> Poison:
    stages = {
        BY_ENTITY_2: "preprocess-2",
        FEATURES: "score",
        SCORED: "persist",
    }
    return Poison(name, topic, stages[topic], reason, value)


def features_frame() -> bytes:
    """A whole frame of the features layout."""
    rows = PROFILE.features_layout.empty(1)
    rows["values"] = np.nan
    return PROFILE.features_layout.pack(Frames(rows, [b"framed"], [b"u1"], [b"{}"], [b""]))[0]


def scored_frame(
    *, decision: int = 0, score: float = 0.5, payload: bytes = b"{}", transaction_id: bytes = b"x"
) -> bytes:
    """A whole scored frame."""
    rows = PROFILE.scored_layout.empty(1)
    rows["decision"], rows["score"] = decision, score
    return PROFILE.scored_layout.pack(Frames(rows, [transaction_id], [b"u1"], [payload], [b""]))[0]


POISON_RAW = [
    raw("encrypted by a key that there never was", "not_opened", MAGIC + b"no key's" + b"x" * 40),
    raw("encrypted and cut", "not_opened", MAGIC + b"cut"),
    raw("null value", "empty", None),
    raw("empty value", "empty", b""),
    raw("no JSON", "invalid_json", b"amount=12"),
    raw("cut short", "invalid_json", tx()[:-9]),
    raw("two documents", "invalid_json", tx() + tx()),
    raw("not UTF-8", "invalid_utf8", b'{"user_id": "\xff\xfe"}'),
    raw("UTF-16", "invalid_utf8", tx().decode().encode("utf-16")),
    raw("a list", "not_an_object", b"[1, 2]"),
    raw("null", "not_an_object", b"null"),
    raw("unknown field", "unknown_field", tx(colour="red")),
    raw("missing field", "missing_field", tx(merchant=None)),
    raw("null field", "missing_field", text('"merchant":"m1"', '"merchant":null', "p1")),
    raw("wrong type", "wrong_type", tx(location_match="yes")),
    raw("object in a field", "wrong_type", tx(user_id={"id": 1})),
    raw("negative amount", "out_of_bounds", tx(amount=-1)),
    raw("huge amount", "out_of_bounds", tx(amount=10**15)),
    raw("empty text", "out_of_bounds", tx(user_id="")),
    raw("NUL in a text", "out_of_bounds", tx(user_id="a\0b")),
    raw("NaN", "not_finite", text("12.5", "NaN", "p2")),
    raw("Infinity", "not_finite", text("12.5", "Infinity", "p3")),
    raw("1e400", "not_finite", text("12.5", "1e400", "p4")),
    raw("far past", "bad_time", tx(timestamp="1901-01-01T00:00:00Z")),
    raw("far future", "bad_time", tx(timestamp="2190-01-01T00:00:00Z")),
    raw("no time at all", "bad_time", tx(timestamp="soon")),
    raw("deep nesting", "too_deep", b'{"user_id": ' + b"[" * 5000 + b"]" * 5000 + b"}"),
    raw("huge", "too_large", tx(merchant="m" * 300_000)),
    raw("no key", "missing_field", tx(amount=None), None),
    raw("a frame where JSON is due", "invalid_utf8", features_frame()),
]
POISON_FRAMES = [
    frame("JSON where a frame is due", BY_ENTITY_2, "not_a_frame", tx()),
    frame("null on by-entity-2", BY_ENTITY_2, "not_a_frame", None),
    frame("cut frame", BY_ENTITY_2, "truncated_frame", features_frame()[:-1]),
    frame("frame with a tail", FEATURES, "truncated_frame", features_frame() + b"more"),
    frame("half a frame", FEATURES, "truncated_frame", features_frame()[:40]),
    frame("empty on features", FEATURES, "not_a_frame", b""),
    frame("features on scored", SCORED, "not_a_frame", features_frame()),
    frame("no decision", SCORED, "not_storable", scored_frame(decision=7)),
    frame("score NaN", SCORED, "not_storable", scored_frame(score=float(np.nan))),
    frame("payload not UTF-8", SCORED, "not_storable", scored_frame(payload=b"\xff")),
    frame("without an id", SCORED, "not_storable", scored_frame(transaction_id=b"")),
]
POISON_FEEDBACK = [
    feedback("null verdict", "empty", None),
    feedback("verdict no JSON", "invalid_json", b"fraud!"),
    feedback(
        "verdict not UTF-8", "invalid_utf8", b'{"transaction_id": "\xff", "verdict": "fraud"}'
    ),
    feedback(
        "verdict of another kind", "wrong_type", b'{"transaction_id": "good", "verdict": "maybe"}'
    ),
    feedback(
        "verdict without a transaction",
        "missing_field",
        b'{"transaction_id": "", "verdict": "fraud"}',
    ),
    feedback(
        "unknown transaction",
        "unknown_transaction",
        b'{"transaction_id": "nobody", "verdict": "fraud"}',
    ),
    feedback(
        "unknown field in a verdict",
        "wrong_type",
        b'{"transaction_id": "good", "verdict": "fraud", "x": 1}',
    ),
]
CORPUS = POISON_RAW + POISON_FRAMES + POISON_FEEDBACK
