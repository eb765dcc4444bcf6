"""The transactions before one that is tried: what its windows hold."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from dashboard.context import Context

ACCOUNT, NEWEST = 1_000, 5_000
"""Rows of its account, and the newest of all accounts for the windows of other entities: a page
may not take longer than people wait.
"""


class Past(NamedTuple):
    """Payloads in the order in which they became rows, the verdicts on them (1 fraud, 0 legitimate,
    -1 none), and of how many rows they are.

    `hidden`: the account is masked to whoever asks, so it is taken for a new one.
    """

    payloads: list[bytes]
    verdicts: list[int]
    account: int = 0
    newest: int = 0
    hidden: bool = False


def past_of(context: Context, tx: msgspec.Struct, *, unmasked: bool) -> Past:
    """What is known of the transaction's account, and of the others meanwhile. Raises Retry."""
    profile = context.profile
    if not profile.entities:
        return Past([], [])
    if profile.account in profile.masks.names and not unmasked:
        return Past([], [], hidden=True)
    account = profile.key_of(tx).decode() if profile.account else None
    own = context.store.payloads(ACCOUNT, account) if account else {}
    others = context.store.payloads(NEWEST) if len(profile.entities) > 1 or not account else {}
    rows = [row for _, row in sorted((own | others).items())]
    known = context.store.verdicts_on([name for name, _ in rows])
    return Past(
        [payload.encode() for _, payload in rows],
        [int(known.get(name, -1)) for name, _ in rows],
        len(own),
        len(others),
    )
