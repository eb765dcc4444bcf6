"""Scored rows of the card profile, with payloads of about 600 bytes."""

from __future__ import annotations

import numpy as np

from model.hashing import hash64
from tidegate.messages.frames import Frames
from tidegate.profile import load_profile

ACCOUNTS, MERCHANTS = 20_000, 2_000
FLAGGED = 0.02
START_US = 1_750_000_000_000_000
STEP_US = 86_400_000_000 // 40_000  # some 40,000 rows a day
PROFILE = load_profile("card")
BUNDLES = (b"0123456789abcdef", b"fedcba9876543210")
REASONS = b'[{"feature":"user_amount_zscore","value":6.2,"contribution":2.31,"text":"..."}]'
_HASHES = hash64([b"merchant-%d" % number for number in range(MERCHANTS)])


def batch_of(start: int, count: int) -> Frames:
    """Rows `start` to `start + count`, always the same."""
    chance, layout = np.random.default_rng(start), PROFILE.scored_layout
    numbers, rows = np.arange(start, start + count), layout.empty(count)
    merchants = chance.integers(0, MERCHANTS, count)
    rows["event_us"] = rows["ingest_us"] = START_US + STEP_US * numbers
    rows["amount_minor"] = np.exp(chance.normal(7.5, 1.3, count))
    rows["score"] = chance.beta(0.4, 12, count)
    rows["scores"] = rows["score"][:, None]
    rows["decision"] = np.searchsorted([1 - FLAGGED, 1 - FLAGGED / 4], chance.random(count))
    rows["values"] = chance.normal(size=rows["values"].shape)
    rows["keys"][:, 1] = _HASHES[merchants]
    rows["bundle"] = BUNDLES[start // count % 50 == 0]
    accounts = chance.integers(0, ACCOUNTS, count)
    made = Frames(
        rows,
        [b"t-%012d" % number for number in numbers],
        [b"user-%06d" % account for account in accounts],
        [_payload(*pair) for pair in zip(accounts.tolist(), merchants.tolist(), strict=True)],
        [REASONS if decision else b"" for decision in rows["decision"].tolist()],
    )
    layout.pack(made)  # sets the lengths
    return made


def _payload(account: int, merchant: int) -> bytes:
    words = b"".join(b'"field_%02d":"%016d",' % (number, account) for number in range(15))
    return b'{%b"user_id":"user-%06d","merchant":"merchant-%d","amount":12.5}' % (
        words,
        account,
        merchant,
    )
