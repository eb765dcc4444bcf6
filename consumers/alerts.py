"""Alerts: transactions sent to review or blocked, with the reasons, for people and systems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.bundles.reasons import Reason
from tidegate.messages.ciphertext import is_closed
from tidegate.messages.documents import encode
from tidegate.messages.frame_column import FrameColumn
from tidegate.messages.frames import DECISIONS, Decision
from tidegate.pipeline import ALERTS, RAW
from tidegate.profile import Profile
from tidegate.stream.dead_letters import KEY
from tidegate.stream.stage import Emit


def _place(step: NDArray[Any]) -> bytes:
    """Where the transaction came in: equal for all alerts about it."""
    return f"alert/{RAW}/{step['partition']}/{step['offset']}".encode()


class Alert(msgspec.Struct):
    """A message on transactions.alerts."""

    transaction_id: str
    account: str | None
    profile: str
    event_us: int
    amount_minor: int
    decision: Decision
    score: float
    reasons: list[Reason]
    bundle: str
    scored_us: int
    rules: list[str] = []
    """Those that hit, and list:NAME for lists."""
    currency: str | msgspec.UnsetType = msgspec.UNSET
    """Of the amount, where the profile's amounts have currencies of their own: its decimals are
    those of `amount_minor`. Left out where they have not, and where payloads are encrypted.
    """


def _currency(profile: Profile, payload: bytes) -> str | msgspec.UnsetType:
    if not profile.currency_field or is_closed(payload):
        return msgspec.UNSET
    code = msgspec.json.decode(payload).get(profile.currency_field)
    return code if isinstance(code, str) else msgspec.UNSET


def alerts(
    profile: Profile,
    rows: NDArray[Any],
    frames: FrameColumn,
    flagged: NDArray[np.intp],
    reasons: Sequence[list[Reason]],
    rules: Sequence[list[str]],
) -> Emit:
    """One alert for each flagged row; `reasons` and the `rules` that hit are those of the flagged
    ones, in their order.

    Its header `tidegate-key` is equal for all alerts about one record of the raw topic.
    """
    told = frames.take(flagged)
    currencies = [_currency(profile, payload) for payload in told.payloads]
    messages = [
        Alert(
            name.decode(),
            account.decode() or None,
            profile.name,
            int(row["event_us"]),
            int(row["amount_minor"]),
            cast("Decision", DECISIONS[row["decision"]]),
            float(row["score"]),
            row_reasons,
            row["bundle"].decode(),
            int(row["scored_us"]),
            row_rules,
            currency,
        )
        for name, account, row, row_reasons, row_rules, currency in zip(
            told.ids, told.accounts, rows[flagged], reasons, rules, currencies, strict=True
        )
    ]
    return Emit(
        ALERTS,
        [account or name for account, name in zip(told.accounts, told.ids, strict=True)],
        [encode(message) for message in messages],
        [[(KEY, _place(row["steps"][0]))] for row in rows[flagged]],
    )
