"""A profile of bank payments, and files with them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from tidegate.profile import Profile, load_profile

PROFILE = """
id: ref
account: payer
time: booked_at
money: eur
entities: [payer, payee]
label_delay: 3d
fields:
  ref: {type: string, optional: true}
  payer: {type: string}
  payee: {type: string}
  eur: {type: money, decimals: 2, min: 0, max: 1000000}
  booked_at: {type: time}
  mcc: {type: category, open: true, values: ["5411", "5812", "7995"]}
  country: {type: category, open: true, optional: true, values: [DE, US, "NA", "None"]}
  home: {type: bool, optional: true}
  pieces: {type: integer, optional: true}
  chargeback: {type: integer, min: 0, max: 1, optional: true, ignored: true}
features:
  amount_log: {op: expression, is: log1p(eur)}
  gambling: {op: expression, is: mcc == "7995"}
  payer_count_1d: {op: count, by: payer, window: 1d}
  payer_sum_1d: {op: sum, of: eur, by: payer, window: 1d}
  payer_payees_1d: {op: distinct, of: payee, by: payer, window: 1d, keep: 8}
  payee_count_1d: {op: count, by: payee, window: 1d}
models: {lightgbm: {trees: 10, leaves: 7}}
thresholds: {review: 0.4, block: 0.9}
history: {file: history.csv, label: chargeback}
"""
START = datetime(2023, 1, 1)
NAMES = "ref,payer,payee,eur,booked_at,mcc,country,home,pieces,chargeback"


def profile_in(folder: Path, text: str = PROFILE) -> Profile:
    path = folder / "payments.yaml"
    path.write_text(text)
    return load_profile(path)


def rows(count: int) -> list[str]:
    """One payment an hour from 2023-01-01 on, in order; every tenth, to a casino, is a fraud."""
    return [
        f"r{i},p{i % 7},shop{i % 5},{10 + i % 90}.25,"
        f"{START + timedelta(hours=i):%Y-%m-%dT%H:%M:%SZ},{'7995' if i % 10 == 9 else '5411'},"
        f"{'NA' if i % 3 else 'DE'},true,{i % 4},{int(i % 10 == 9)}"
        for i in range(count)
    ]


def write(folder: Path, lines: Sequence[str], names: str = NAMES) -> str:
    """A CSV of these rows; its name."""
    path = folder / "history.csv"
    path.write_text("\n".join([names, *lines]) + "\n")
    return str(path)
