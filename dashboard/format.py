"""Rows as a page shows them: amounts in units, times as text, bars as shares of the longest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from model.bundles.past_policies import Policies
from model.ensemble.thresholds import Fixed
from tidegate.errors import ConfigError, Retry
from tidegate.profile import Profile
from tidegate.profile.currencies import is_currency, minor_units

Row = Mapping[str, Any]


def amount(profile: Profile, minor: int, payload: Row) -> str:
    """Minor units as units, with thin spaces between thousands; "" for a profile without money.

    The currency follows where not all amounts have the same; a payload of an earlier version of the
    profile may name none, and counts as one without a currency.
    """
    if profile.money_field is None:
        return ""
    code = str(payload.get(profile.currency_field)) if profile.currency_field else ""
    code = code if is_currency(code) else ""
    places = minor_units(code) if code else profile.decimals
    text = f"{minor / 10**places:,.{places}f}".replace(",", "\u2009")
    return f"{text}\u00a0{code}" if code else text


def moment(us: int) -> str:
    """A time to the millisecond, UTC."""
    return (
        datetime.fromtimestamp(us / 1e6, UTC).isoformat(" ", "milliseconds").removesuffix("+00:00")
    )


def iso(us: int) -> str:
    """A time to the millisecond as `<time datetime>` and scripts read it, UTC."""
    return moment(us).replace(" ", "T") + "Z"


def duration(us: int) -> str:
    """A time span in the unit that suits it."""
    if abs(us) < 1000:
        return f"{us} µs"
    if abs(us) < 1_000_000:
        return f"{us / 1000:.1f} ms"
    return f"{us / 1e6:.2f} s" if abs(us) < 120_000_000 else f"{us / 60e6:.0f} min"


def line(profile: Profile, row: Row) -> dict[str, Any]:
    """One line of the table."""
    payload = msgspec.json.decode(row["payload"])
    shown = profile.masks.payload(payload)
    reasons = row.get("reasons") or []
    return {
        "id": row["transaction_id"],
        "account": profile.masks.account(row["account"]) or "",
        "others": [str(shown.get(name, "")) for name in profile.entities[1:]],
        "amount": amount(profile, row["amount_minor"], payload),
        "decision": row["decision"],
        "score": row["score"],
        "ingested_us": row["ingested_us"],
        "reason": (reasons[0].get("rule") or reasons[0]["feature"]) if reasons else "",
    }


def number(value: float | None) -> str:
    """At most four significant digits; a dash for what is missing."""
    if value is None or value != value:
        return "\u2013"
    return f"{value:,.0f}".replace(",", "\u2009") if abs(value) >= 10_000 else f"{value:.4g}"


def bars(values: Sequence[tuple[str, float]], longest: float | None = None) -> list[dict[str, Any]]:
    """Signed values as bars: `share` is |value| in percent of the longest."""
    most = longest or max((abs(value) for _, value in values), default=0.0) or 1.0
    return [
        {
            "name": name,
            "value": value,
            "share": min(100.0, 100 * abs(value) / most),
            "positive": value >= 0,
        }
        for name, value in values
    ]


def limits(policies: Policies, bundles: Path, row: Row) -> Fixed | None:
    """The scores from which a transaction was reviewed and blocked; None where its bundle or its
    policy is gone, or the topic of the policies is away.
    """
    try:
        rule = policies.decided_by(row["policy"], bundles, row["bundle"])
    except (ConfigError, Retry):
        return None
    review, block = rule.at(np.array([row["amount_minor"]]))
    return Fixed(round(float(review[0]), 4), round(float(block[0]), 4))


def timeline(points: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
    """Stages with the time each took, and where it lies on the whole way in percent."""
    known = [(name, us) for name, us in points if us > 0]
    if len(known) < 2:
        return []
    start, whole = known[0][1], max(1, known[-1][1] - known[0][1])
    return [
        {
            "name": name,
            "at": moment(us),
            "took": duration(us - before),
            "left": 100 * (before - start) / whole,
            "width": max(0.6, 100 * (us - before) / whole),
        }
        for (_, before), (name, us) in pairwise(known)
    ]
