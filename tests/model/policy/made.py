"""Transactions of a small profile, as rules see them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from model.hashing import hash64
from model.policy.facts import Rows
from tidegate.profile import Profile, load_profile

TEXT = """
id: id
account: user
time: at
money: amount
entities: [user, shop]
fields:
  id: {type: string}
  user: {type: string}
  shop: {type: string, optional: true}
  at: {type: time}
  amount: {type: money}
  kind: {type: category, values: [cash, card]}
  mcc: {type: category, values: [food, fuel], open: true}
  online: {type: bool, optional: true}
  age: {type: integer, optional: true}
  city: {type: string, optional: true}
  note: {type: integer, optional: true, ignored: true}
features:
  user_count_1h: {op: count, by: user, window: 1h}
models:
  lightgbm: {trees: 5}
  online: {}
thresholds: {review: 0.5, block: 0.9}
history: {simulate: 100}
"""


def profile(folder: Path, more: str = "") -> Profile:
    """The profile, with further sections."""
    path = folder / "toy.yaml"
    path.write_text(TEXT + more)
    return load_profile(path)


def rows(loaded: Profile, *txs: dict[str, Any], model: int = 0, score: float = 0.2) -> Rows:
    """Scored rows of these transactions; what one leaves out is missing."""
    n = len(txs)
    values = np.full((n, len(loaded.values)), np.nan)
    for i, tx in enumerate(txs):
        for name, value in tx.items():
            if name not in loaded.values:
                continue
            field = loaded.fields.get(name)
            numeric = field.numbers([value])[0] if field else value
            values[i, loaded.values.index(name)] = numeric
    keys = np.stack([_hashes([tx.get(name) for tx in txs]) for name in loaded.hashed], axis=1)
    return Rows(
        values,
        keys,
        np.full(n, score),
        np.tile([0.3, np.nan], (n, 1)),
        np.full(n, model, np.uint8),
        np.array([tx.get("ingest_us", 1_000) for tx in txs], np.int64),
        [msgspec.json.encode(tx) for tx in txs],
    )


def _hashes(texts: list[str | None]) -> np.ndarray:
    hashes = hash64([(text or "").encode() for text in texts])
    hashes[[text is None for text in texts]] = 0
    return hashes
