"""Profiles of tables whose changes others send."""

from __future__ import annotations

from pathlib import Path

from tidegate.profile import Profile, load_profile


def enveloped(
    folder: Path,
    *,
    envelope: str = "debezium",
    updates: str = "conflict",
    id_field: str = "transaction_id",
    account: str = "user_id",
    amount_field: str = "amount",
    amount: str = "",
    fee: str = "",
    time_field: str = "created_at",
    unit: str = "",
    timed: bool = True,
) -> Profile:
    """A table of payments; `amount`, `fee` and `unit` end the options of their fields."""
    low = "" if "min:" in amount else ", min: -1000000"
    fields = {
        id_field: "type: string, integers: true, optional: true",
        "fee": f"type: number, optional: true{fee}",
        "currency": "type: string, optional: true",
        account: "type: string, integers: true",
        amount_field: f"type: money{low}, max: 10000000{amount}",
    }
    roles = {"id": id_field, "money": amount_field, "envelope": envelope, "updates": updates}
    if timed:
        fields[time_field] = f"type: time{unit and f', unit: {unit}'}"
        roles |= {"account": account, "entities": f"[{account}]", "time": time_field}
    lines = [f"{role}: {words}" for role, words in roles.items()]
    lines += ["fields:", *(f"  {name}: {{{options}}}" for name, options in fields.items())]
    path = folder / "table.yaml"
    path.write_text(
        "\n".join(lines) + "\nmodels: {lightgbm: {trees: 10}}\n"
        "thresholds: {review: 0.5, block: 0.9}\nhistory: {simulate: 1000}\n"
    )
    return load_profile(path)
