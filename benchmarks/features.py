"""`make bench-features DATA=FOLDER`: handbook features through the operator, and its windows beside
the exact ones.

FOLDER holds `transactions.parquet` and `features-2018-08-08-to-14.parquet`: the book's 14 features
of one week, with exact windows, those of terminals `label_delay` back.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model.history.fold import fold
from model.history.history import History
from model.history.reading import read_history
from tidegate.profile import Profile, load_profile
from tidegate.profile.spec import DAY, pane_us

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_WEEK = "features-2018-08-08-to-14.parquet"
_SLACK = 1e-6


def main() -> int:
    """Print the rate and how exact each window is; 1 when a window is out of its bounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    folder = parser.parse_args().data
    frame, week = pd.read_parquet(folder / "transactions.parquet"), pd.read_parquet(folder / _WEEK)
    profile = load_profile("handbook")
    values = _timed(profile, read_history(profile, str(folder / "transactions.parquet")).history)
    ok = [_customer(profile, frame, week, values, days) for days in (1, 7, 30)]
    ok += [_terminal(profile, frame, week, values, days) for days in (1, 7, 30)]
    return 0 if all(ok) else 1


def _timed(profile: Profile, history: History) -> Floats:
    fold(profile, history.only(slice(0, 5000)))  # compiles
    wall_start = time.perf_counter()
    cpu_start = time.process_time()
    values = fold(profile, history)
    wall = time.perf_counter() - wall_start
    cpu = time.process_time() - cpu_start
    sys.stdout.write(
        f"{len(values):,} transactions, {len(profile.computed)} features: "
        f"{len(values) / wall:,.0f} tx/s, {len(values) / cpu:,.0f} per CPU second\n"
    )
    return values


def _customer(
    profile: Profile, frame: pd.DataFrame, week: pd.DataFrame, values: Floats, days: int
) -> bool:
    """Counts, and sums of amounts (a mean is no bound by itself)."""
    rows = _rows(frame, week)
    count = values[rows, profile.values.index(f"customer_count_{days}d")]
    total = count * values[rows, profile.values.index(f"customer_mean_{days}d")]
    window, wide = days * DAY, days * DAY + pane_us(days * DAY)
    exact, more = (
        _exact(frame, "CUSTOMER_ID", rows, 0, span, frame["TX_AMOUNT"].to_numpy())
        for span in (window, wide)
    )
    oracle = (
        week[f"CUSTOMER_ID_NB_TX_{days}DAY_WINDOW"].to_numpy(),
        week[f"CUSTOMER_ID_AVG_AMOUNT_{days}DAY_WINDOW"].to_numpy(),
    )
    return _report(
        f"customer {days}d", (oracle[0], oracle[0] * oracle[1]), exact, more, (count, total)
    )


def _terminal(
    profile: Profile, frame: pd.DataFrame, week: pd.DataFrame, values: Floats, days: int
) -> bool:
    """Verdicts and frauds, `label_delay` back; the rate is their quotient with the profile's
    prior.
    """
    rows = _rows(frame, week)
    window, wide = days * DAY, days * DAY + pane_us(days * DAY)
    exact, more = (
        _exact(
            frame, "TERMINAL_ID", rows, profile.label_delay_us, span, frame["TX_FRAUD"].to_numpy()
        )
        for span in (window, wide)
    )
    count = week[f"TERMINAL_ID_NB_TX_{days}DAY_WINDOW"].to_numpy()
    risk = values[rows, profile.values.index(f"terminal_risk_{days}d")]
    prior, weight = 0.01, 1.0
    low = (exact[1] + prior * weight) / (more[0] + weight)
    high = (more[1] + prior * weight) / (exact[0] + weight)
    exact_risk = (exact[1] + prior * weight) / (exact[0] + weight)
    oracle = count, np.rint(count * week[f"TERMINAL_ID_RISK_{days}DAY_WINDOW"].to_numpy())
    same = np.array_equal(exact[0], oracle[0]) and np.array_equal(exact[1], oracle[1])
    inside = bool(((risk >= low - _SLACK) & (risk <= high + _SLACK)).all())
    _print(f"terminal {days}d risk", same, inside, np.abs(risk - exact_risk), exact_risk)
    return same and inside


def _report(
    name: str,
    oracle: tuple[Floats, Floats],
    exact: tuple[Floats, Floats],
    more: tuple[Floats, Floats],
    values: tuple[Floats, Floats],
) -> bool:
    ok = True
    for what, expected, low, high, value in zip(
        ("count", "sum"), oracle, exact, more, values, strict=True
    ):
        same = bool(np.allclose(expected, low, atol=0.01))
        inside = bool(((value >= low - 0.01) & (value <= high + 0.01)).all())
        _print(f"{name} {what}", same, inside, np.abs(value - low), low)
        ok = ok and same and inside
    return ok


def _print(name: str, same: bool, inside: bool, difference: Floats, exact: Floats) -> None:
    share = float(np.mean(difference <= 0.01 * np.maximum(np.abs(exact), _SLACK)))
    sys.stdout.write(
        f"{name:20} oracle {'agrees' if same else 'DIFFERS'}; "
        f"{'all rows inside' if inside else 'ROWS OUTSIDE'}; "
        f"{share:6.1%} of rows within 1% of exact; "
        f"mean difference {difference.mean():.4f} of {exact.mean():.4f}\n"
    )


def _rows(frame: pd.DataFrame, week: pd.DataFrame) -> Ints:
    """Where the week's transactions stand in the history."""
    return (
        pd.Index(frame["TRANSACTION_ID"])
        .get_indexer(week["TRANSACTION_ID"].to_numpy())
        .astype(np.int64)
    )


def _times(frame: pd.DataFrame) -> Ints:
    return frame["TX_DATETIME"].to_numpy().astype("datetime64[us]").astype(np.int64)


def _exact(
    frame: pd.DataFrame,
    entity: str,
    rows: Ints,
    delay_us: int,
    span_us: int,
    amounts: NDArray[np.generic],
) -> tuple[Floats, Floats]:
    """Count and sum over the `span_us` that end `delay_us` before each row, by bisection in entity
    and time.

    Without delay the row itself is the last one, also where another has the same second.
    """
    who, times = frame[entity].to_numpy(), _times(frame)
    order = np.argsort(who, kind="stable")  # the frame is in time order
    places, ends = _place(who[order], times[order]), times[rows] - delay_us
    sums = np.concatenate([[0.0], np.cumsum(amounts[order].astype(np.float64))])
    first = np.searchsorted(places, _place(who[rows], ends - span_us), "right")
    last = (
        np.searchsorted(places, _place(who[rows], ends), "right")
        if delay_us
        else np.argsort(order)[rows] + 1
    )
    return (last - first).astype(np.float64), sums[last] - sums[first]


def _place(entity: NDArray[np.generic], times: Ints) -> Ints:
    """Entity and time (in 2018) as one number that sorts by both."""
    since = times // 1_000_000 - 1_514_764_800 + 200 * 86_400
    return entity.astype(np.int64) * 10**9 + since


if __name__ == "__main__":
    raise SystemExit(main())
