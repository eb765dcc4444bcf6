"""Rows of table `verdicts`, as the stage `cases` writes them."""

from __future__ import annotations


def said(label_id: str, transaction_id: str, **more: object) -> dict[str, object]:
    """A verdict of Ann's on an approved transaction: fraud, unless `more` has it otherwise."""
    return {
        "label_id": label_id,
        "transaction_id": transaction_id,
        "fraud": True,
        "source": "ann",
        "weight": 1.0,
        "given_us": 1,
        "label_offset": 1,
        "event_us": 1,
        "profile": "abcd1234",
        "amount_minor": 1_250,
        "score": 0.25,
        "decision": "approve",
    } | more
