"""What people can be told of, before anybody has said who is to be told."""

from __future__ import annotations

from typing import Any, NamedTuple

ALERT = "alert"
"""A transaction was sent to review or blocked."""
OPERATIONS = {
    "stage_missing": "a stage is not running, or does not serve all its partitions",
    "lag": "records wait longer than they should",
    "held": "a partition is held because too many of its records are rejects, or some are lost",
    "dead_letters": "records became dead letters",
    "drift": "an input or the score has moved away from what the model learnt from",
    "learner_frozen": "the online model lost, and the training's weights score",
    "champion_refused": "a scorer cannot load the champion",
    "promoted": "another model is the champion",
    "retrained": "a retraining has ended, or failed",
    "reconciliation_gap": "acknowledged transactions are neither rows nor dead letters",
}
"""The operational events, each with what it says."""
TEST = "test"
"""Somebody tries a channel."""
DIGEST = "digest"
"""Several events in one message."""
KINDS = (ALERT, *OPERATIONS)
"""What a route may name."""


class Event(NamedTuple):
    """Something that happened, as it is told.

    `key` is equal for two copies of one event. `subject` is a line and `text` some lines for
    people; `data` is the same for a program. Neither shows what the profile masks. `account` is the
    account as rows keep it, never shown: by it events are grouped and erased. `amount` is in units.
    """

    key: str
    kind: str
    subject: str
    text: str
    at_us: int
    data: dict[str, Any] = {}  # noqa: RUF012 - nobody changes it
    account: str = ""
    decision: str = ""
    score: float = 0.0
    amount: float = 0.0
    rules: tuple[str, ...] = ()


class Message(NamedTuple):
    """What is sent: `id` is the same at every attempt, so that a receiver knows a repeat.

    `data` is JSON.
    """

    id: str
    kind: str
    subject: str
    text: str
    at_us: int
    data: bytes
