"""The peers compute each column that the model of the one-step profile reads."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.peers.one_step import one_step_profile
from benchmarks.peers.windows import Columns, packed, unpacked
from benchmarks.pipeline import card_transactions
from tidegate.profile import load_profile

WHOLE = {"transaction_count_1h": 1, "total_amount_24h": 1.0, "merchant_category": 5541}
WHOLE |= {"location_distance_km": 2.0, "is_online": False}


def test_every_column_of_the_profile_has_a_value(tmp_path: Path) -> None:
    file = tmp_path / "card.yaml"
    file.write_text(one_step_profile())
    profile = load_profile(str(file))
    assert profile.entities == ("user_id",)
    columns = Columns(settings(tmp_path, list(profile.values)))
    (_, first), *_ = card_transactions(1, "one-", 1)
    transaction = json.loads(first) | WHOLE
    state = unpacked(None)
    columns.row(transaction, state)
    again = unpacked(packed(state))
    row = dict(zip(profile.values, columns.row(transaction, again), strict=True))
    assert not [name for name, value in row.items() if value != value]
    assert (row["user_count_1h"], row["user_count_7d"], row["user_since_last"]) == (2, 2, 0)
    assert row["user_sum_1d"] == round(2 * transaction["amount"], 2)


def settings(folder: Path, names: list[str]) -> Path:
    """What `write_settings` writes, without a model."""
    fields = load_profile("card").fields
    categories = {name: list(fields[name].values) for name in ("merchant_type", "device_type")}
    file = folder / "peers.json"
    file.write_text(json.dumps({"model": "", "columns": names, "categories": categories}))
    return file
