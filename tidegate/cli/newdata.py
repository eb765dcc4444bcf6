"""What a retraining learns from: a file, or the rows of the database and the labels that came for them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from model.history import Log, event_times, fold
from model.retrain import Data
from tidegate.cli.history import read_labels
from tidegate.errors import ConfigError, Rejected
from tidegate.profile.spec import DAY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import msgspec

    from tidegate.broker import Broker
    from tidegate.profile import Profile

_ROWS = 10_000


def from_file(profile: Profile, path: Path, label: str = "") -> Data:
    """The rows of a file that the API would take, through the serving operator.

    Raises ConfigError when the file cannot be read, or lacks a column.
    """
    labels = read_labels(profile, path, label)
    good, txs = [], []
    for tx in _decoded(profile, path):
        good.append(tx is not None)
        if tx is not None:
            txs.append(tx)
    if len(good) != len(labels):
        raise ConfigError(f"{path}: {len(good)} transactions and {len(labels)} verdicts: is there a broken line?")
    frame = pd.DataFrame({name: [getattr(tx, name) for tx in txs] for name in profile.fields})
    labels = labels[np.array(good, np.bool_)]
    times = event_times(profile, frame)
    order = np.argsort(times, kind="stable")
    frame, labels = frame.iloc[order].reset_index(drop=True), labels[order]
    accounts = frame[profile.account].tolist() if profile.account else []
    return Data(Log(fold(profile, frame, labels), labels, times[order]), _groups(accounts, len(frame)), str(path),
                len(good), len(good) - len(txs))


def from_database(profile: Profile, url: str, broker: Broker, days: int, since_us: int | None,
                  until_us: int | None) -> Data:
    """The rows of a period with their features as they were scored, and the newest verdict on each. Raises Retry.

    It ends with the newest row and begins so many days before its end, where nothing else is said.
    """
    from db.history import newest_us, read_period
    from model.published import verdicts

    until_us = newest_us(url, profile.hash.decode()) + 1 if until_us is None else until_us
    since_us = until_us - days * DAY if since_us is None else since_us
    period = read_period(url, profile.hash.decode(), len(profile.values), since_us, until_us)
    said = verdicts(broker)
    labels = np.fromiter((int(said.get(key, -1)) for key in period.ids), np.int8, len(period.ids))
    source = f"database, {_day(since_us)} to {_day(until_us)}"
    if period.others:
        source += f", without {period.others:,} rows of other versions of the profile"
    accounts = [account for account in period.accounts if account is not None]
    return Data(Log(period.values, labels, period.times), _groups(accounts, len(period.ids)), source, len(period.ids))


def _decoded(profile: Profile, path: Path) -> Iterator[msgspec.Struct | None]:
    from producers.readers import Source

    for chunk in Source(path, profile).chunks(0, _ROWS):
        for line in chunk.lines:
            try:
                yield profile.decode(line)
            except Rejected:
                yield None


def _groups(accounts: list[str], n: int) -> np.ndarray:
    """i8[n]: equal numbers for equal accounts; each row is alone where not all rows have one."""
    return np.arange(n) if len(accounts) < n else pd.factorize(np.array(accounts, dtype=object))[0].astype(np.int64)


def _day(us: int) -> str:
    return datetime.fromtimestamp(us // 1_000_000, UTC).date().isoformat()
