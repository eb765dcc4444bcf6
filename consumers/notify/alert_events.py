"""Alerts as they are told: nothing of them that the profile masks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from tidegate.messages.alerts import Alert
from tidegate.notify.events import ALERT, Event
from tidegate.profile import Profile
from tidegate.profile.currencies import is_currency, minor_units

_DONE = {"review": "sent to review", "block": "blocked"}


def alert_event(profile: Profile, alert: Alert, key: str) -> Event:
    """The event of an alert; `key` is equal for two copies of it."""
    shown = profile.masks.decision(
        {"account": alert.account, "reasons": msgspec.json.encode(alert.reasons)}
    )
    reasons = shown["reasons"] if isinstance(shown["reasons"], list) else alert.reasons
    decimals = _decimals(profile, alert)
    amount = None if decimals is None else alert.amount_minor / 10**decimals
    data = {
        "transaction_id": alert.transaction_id,
        "account": shown["account"],
        "profile": alert.profile,
        "time": _moment(alert.event_us),
        "amount": amount,
        "currency": alert.currency or None,
        "decision": alert.decision,
        "score": round(alert.score, 4),
        "reasons": reasons,
        "rules": alert.rules or None,
        "model": alert.bundle,
    }
    known = {name: value for name, value in data.items() if value is not None}
    done = _DONE.get(alert.decision, alert.decision)
    worth = "" if amount is None else f", {amount:,.{decimals}f} {alert.currency}".rstrip()
    return Event(
        key,
        ALERT,
        f"Transaction {alert.transaction_id} {done}: score {alert.score:.3f}{worth}",
        _lines(known, reasons),
        alert.event_us,
        known,
        alert.account or "",
        alert.decision,
        alert.score,
        amount or 0.0,
        tuple(alert.rules),
    )


def _decimals(profile: Profile, alert: Alert) -> int | None:
    """Those of the amount; None where there is no amount, or nobody knows its currency."""
    if profile.money_field is None:
        return None
    if not profile.currency_field:
        return profile.decimals
    return minor_units(alert.currency) if is_currency(alert.currency) else None


def _moment(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).isoformat(timespec="seconds")


def _lines(data: dict[str, Any], reasons: list[dict[str, Any]]) -> str:
    """The alert for people, a line for each thing there is to say."""
    facts = [f"{name}: {value}" for name, value in data.items() if name != "reasons"]
    why = [
        f"- {reason.get('text') or reason['feature']} ({reason['contribution']:+.2f})"
        for reason in reasons
    ]
    return "\n".join([*facts, *(["reasons:"] if why else []), *why])
