"""Messages on transactions.alerts, as who tells of them reads them."""

from __future__ import annotations

from typing import Any

import msgspec

from tidegate.errors import Rejected


class Alert(msgspec.Struct):
    """As much of a message on transactions.alerts (`consumers.alerts.Alert`) as is told."""

    transaction_id: str
    account: str | None
    profile: str
    event_us: int
    amount_minor: int
    decision: str
    score: float
    reasons: list[dict[str, Any]]
    bundle: str
    rules: list[str] = []
    currency: str = ""


_decode = msgspec.json.Decoder(Alert).decode


def read_alert(value: bytes | None) -> Alert:
    """Raises Rejected."""
    try:
        return _decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected("not_an_alert", str(error)) from error
