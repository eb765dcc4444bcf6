"""Card traffic whose customers and fraudsters change their ways on one day: what the model knew of
fraud is gone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from producers.simulator.history import simulate_history
from tidegate.profile import load_profile

FRAUDS = 0.025
TABLET, LEISURE, AWAY = 1, 2, 4


class Story(NamedTuple):
    """Frames in the order of time, with `label`: what the first model learns, and the traffic that
    comes after.
    """

    history: pd.DataFrame
    calm: pd.DataFrame
    first: pd.DataFrame
    """The new ways, before any verdict on them."""
    second: pd.DataFrame
    third: pd.DataFrame


def story(seed: int = 7) -> Story:
    """60 days to learn from, and 60 of traffic of the same customers, whose ways change after the
    first 10.
    """
    card, town = load_profile("card"), {"accounts": 375, "merchants": 75}
    history, traffic = (simulate_history(card, rows, seed, **town) for rows in (30_000, 24_000))
    traffic["timestamp"] += pd.Timedelta(days=60)
    traffic["transaction_id"] = "later-" + traffic["transaction_id"]
    changed = drifted(traffic, np.random.default_rng(seed))
    cuts = traffic["timestamp"].iloc[[4_000, 12_000, 19_000]]
    parts = np.searchsorted(cuts, changed["timestamp"], side="right")
    return Story(history, traffic.iloc[:4_000], *(changed[parts == part] for part in (1, 2, 3)))


def drifted(frame: pd.DataFrame, chance: np.random.Generator) -> pd.DataFrame:
    """The same customers, half of whose payments moved to the phone; all known frauds gone, and
    another one come.

    The new fraud spends on a tablet, for entertainment, 25 to 35 km from the customer's home.
    Customers do each of these, and often two of them at once; all three were hardly ever seen
    together.
    """
    made = frame[frame["label"] == 0].copy()
    size = len(made)
    phone = chance.random(size) < 0.5
    made.loc[phone, ["device_type", "is_online"]] = ["mobile", True]
    fraud = chance.random(size) < FRAUDS
    pairs = chance.choice(
        [0, TABLET | LEISURE, TABLET | AWAY, LEISURE | AWAY], size, p=[0.85, 0.05, 0.05, 0.05]
    )
    traits = np.where(fraud, TABLET | LEISURE | AWAY, pairs)
    made.loc[traits & TABLET > 0, "device_type"] = "tablet"
    made.loc[traits & LEISURE > 0, ["merchant_type", "merchant_category"]] = ["entertainment", 7832]
    away = traits & AWAY > 0
    made.loc[away, "location_distance_km"] = np.round(chance.uniform(25, 35, int(away.sum())), 1)
    made.loc[away, "location_match"] = True
    made.loc[fraud, "label"] = 1
    return made
