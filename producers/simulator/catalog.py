"""The populations that can be simulated, and which of them suits a profile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from producers.simulator import cardholders
from producers.simulator.scenarios import (
    CATEGORIES,
    DEVICES,
    MERCHANT_TYPES,
    CardWorld,
    Columns,
    World,
)
from producers.simulator.worlds import HANDBOOK_EPOCH_US, HandbookWorld, VectorWorld, WalletWorld
from tidegate.errors import ConfigError
from tidegate.profile import Field, Profile
from tidegate.profile.field_types import Category, String, Time
from tidegate.profile.number_types import Money, Number, Vector

HISTORY_BEGIN_US = 1_735_689_600_000_000  # 2025-01-01
_COMPONENTS = 28


class Scale(NamedTuple):
    """How large a population is, when its time begins, and how long its habits take to move on."""

    accounts: int
    merchants: int
    begin_us: int
    drift_us: int


@dataclass(frozen=True)
class Simulation:
    """One kind of traffic. A profile of whatever name can be simulated by it if it has the fields
    that `needs` names, of these types.

    `accounts` and `merchants` say how many suit a history of n rows.
    """

    needs: Mapping[str, type[Field]]
    world: Callable[[Profile, int, Scale], World]
    """The population for a profile, a seed and a scale."""
    fields: Callable[[Profile, Columns, int], dict[str, Any]]
    """The world's columns as fields. Where times are numbers, they count from the given us."""
    begin_us: int = HISTORY_BEGIN_US
    accounts: Callable[[int], int] = lambda n: max(60, n // 80)
    merchants: Callable[[int], int] = lambda n: max(40, n // 400)

    def missing(self, profile: Profile) -> list[str]:
        """The names of the needed fields that the profile has not, or has of another type."""
        return [
            name
            for name, kind in self.needs.items()
            if not isinstance(profile.fields.get(name), kind)
        ]


def simulation_of(profile: Profile) -> Simulation:
    """The simulation that suits a profile.

    Raises ConfigError if none does, naming the fields that the nearest one lacks.
    """
    missing = {name: kind.missing(profile) for name, kind in SIMULATIONS.items()}
    nearest = min(missing, key=lambda name: len(missing[name]) / len(SIMULATIONS[name].needs))
    if not missing[nearest]:
        return SIMULATIONS[nearest]
    needs = SIMULATIONS[nearest].needs
    fields = " and ".join(f"{name} ({needs[name].type})" for name in missing[nearest])
    raise ConfigError(
        f"{profile.path}: there is no simulator for these fields. That of {nearest}, the nearest, "
        f"needs {fields}: name them so, or name a file under history (history: {{file: "
        f"payments.csv}}); the profiles that can be simulated are {', '.join(SIMULATIONS)}"
    )


def required_fields(profile: Profile, made: Mapping[str, Any]) -> list[Field]:
    """The fields that a transaction must have and that no world has made."""
    return [
        field
        for field in profile.fields.values()
        if not field.optional and field.name != profile.id_field and field.name not in made
    ]


def _card_world(_profile: Profile, seed: int, scale: Scale) -> World:
    return CardWorld(seed, scale.accounts, scale.merchants, scale.drift_us, scale.begin_us)


def _card(_profile: Profile, columns: Columns, _begin_us: int) -> dict[str, Any]:
    kind = columns["kind"]
    return {
        **columns,
        "timestamp": _times(columns),
        "merchant_type": _words(MERCHANT_TYPES, kind),
        "merchant_category": np.array(CATEGORIES)[kind],
        "device_type": _words(DEVICES, columns["device"]),
    }


def _wallet_world(_profile: Profile, seed: int, scale: Scale) -> World:
    return WalletWorld(seed, scale.accounts)


def _wallet(_profile: Profile, columns: Columns, _begin_us: int) -> dict[str, Any]:
    return {**columns, "timestamp": _times(columns)}


def _creditcard_world(_profile: Profile, seed: int, _scale: Scale) -> World:
    return VectorWorld(seed, _COMPONENTS)


def _creditcard(_profile: Profile, columns: Columns, begin_us: int) -> dict[str, Any]:
    components = {f"V{i + 1}": columns["data"][:, i] for i in range(_COMPONENTS)}
    seconds = (columns["time_us"] - begin_us) // 1_000_000
    return {"Time": seconds, "Amount": columns["amount"], **components}


def _vector_world(profile: Profile, seed: int, _scale: Scale) -> World:
    return VectorWorld(seed, len(profile.fields["data"].columns()))


def _vector(_profile: Profile, columns: Columns, _begin_us: int) -> dict[str, Any]:
    return {"data": list(columns["data"]), "timestamp": _times(columns)}


def _handbook_world(_profile: Profile, seed: int, scale: Scale) -> World:
    return HandbookWorld(seed, scale.accounts, scale.merchants)


def _handbook(profile: Profile, columns: Columns, _begin_us: int) -> dict[str, Any]:
    entities = {
        name: _entity(profile.fields[name], columns[name])
        for name in ("CUSTOMER_ID", "TERMINAL_ID")
    }
    return {**columns, "TX_DATETIME": _times(columns), **entities}


def _holders_world(_profile: Profile, seed: int, scale: Scale) -> World:
    return cardholders.CardHolderWorld(seed, scale.accounts)


def _holders(profile: Profile, columns: Columns, _begin_us: int) -> dict[str, Any]:
    times = _times(columns)
    return {
        **columns,
        "timestamp": times,
        "hour": times.hour.to_numpy(),
        "day_of_week": times.day_of_week.to_numpy(),
        "is_weekend": (times.day_of_week >= 5).astype(np.int64),
        "merchant_category": _words(cardholders.CATEGORIES, columns["category"]),
        "user_id": _entity(profile.fields["user_id"], columns["user"]),
    }


def _times(columns: Columns) -> pd.DatetimeIndex:
    return pd.to_datetime(columns["time_us"], unit="us", utc=True)


def _words(words: tuple[str, ...], codes: NDArray[Any]) -> NDArray[Any]:
    chosen: NDArray[Any] = np.array(words, dtype=object)[codes]
    return chosen


def _entity(field: Field, numbers: NDArray[Any]) -> NDArray[Any]:
    """Numbers, as texts unless the profile takes whole numbers for names."""
    if isinstance(field, String) and field.integers:
        return numbers
    return np.array([str(number) for number in numbers.tolist()], dtype=object)


SIMULATIONS = {
    "card": Simulation(
        {"user_id": String, "merchant": String, "amount": Money, "timestamp": Time},
        _card_world,
        _card,
    ),
    "wallet": Simulation(
        {
            "user_id": String,
            "transaction_type": Category,
            "amount": Money,
            "balance_before": Money,
            "balance_after": Money,
            "timestamp": Time,
        },
        _wallet_world,
        _wallet,
    ),
    "creditcard": Simulation(
        {"Amount": Money, **{f"V{i + 1}": Number for i in range(_COMPONENTS)}},
        _creditcard_world,
        _creditcard,
    ),
    "vector": Simulation({"data": Vector}, _vector_world, _vector),
    "handbook": Simulation(
        {"CUSTOMER_ID": String, "TERMINAL_ID": String, "TX_AMOUNT": Money, "TX_DATETIME": Time},
        _handbook_world,
        _handbook,
        begin_us=HANDBOOK_EPOCH_US,
        accounts=lambda n: max(500, n // 115),  # a customer makes 1.9 payments a day
        merchants=lambda n: max(1000, n // 60),  # and a terminal takes 1
    ),
    "card_unsupervised": Simulation(
        {
            "user_id": String,
            "amount": Money,
            "timestamp": Time,
            "merchant_category": Category,
            "location_distance_km": Number,
            "time_since_last_transaction_minutes": Number,
            "total_amount_24h": Number,
        },
        _holders_world,
        _holders,
    ),
}
"""Each under the name of the shipped profile that it is made for; the first that suits is taken."""
