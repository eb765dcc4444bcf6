"""Kafka, Flask, TensorFlow (profile `card`): `POST /transaction`, `GET /transaction/ID`."""

from __future__ import annotations

from producers.api.compat.bodies import Body, changed, with_flags, with_texts


def transaction(raw: bytes) -> bytes:
    """Its body as the profile has it: booleans may be 0 and 1, names may be numbers."""
    return changed(raw, _change)


def _change(body: Body) -> Body:
    flags = with_flags(body, "location_match", "is_online")
    return with_texts(flags, "transaction_id", "user_id", "merchant")
