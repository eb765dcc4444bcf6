"""`tidegate backtest --data`: models trained and judged on past weeks, as if it were then."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from cli.options import print_json
from cli.progress import progress_bar
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from model.training.backtest import BacktestResult

_PRINTED = (
    "auc",
    "average_precision",
    "precision_top_1",
    "recall_top_1",
    "calibration_error",
)


class PastWeeks(NamedTuple):
    """What is trained and scored, as the options say it."""

    data: Path
    label: str
    fold: list[str]
    split: float
    models: list[str]
    weeks: int
    seed: int
    blind: bool
    out: Path


def backtest_weeks(profile_name: str, asked: PastWeeks, as_json: bool) -> None:
    """Train, score, and write scores and report. Raises ConfigError for what cannot be done."""
    from model.detectors.catalog import check_installed
    from model.history.verdict_files import read_history
    from model.training import backtest
    from tidegate.profile import load_profile

    _check(asked)
    profile = load_profile(profile_name)
    names = [name for option in asked.models for name in option.split(",")]
    names = names or list(profile.models.names)
    check_installed(names)
    began = time.perf_counter()
    plan = backtest.BacktestPlan(
        names, asked.fold, asked.split, asked.weeks, asked.seed, asked.blind
    )
    with progress_bar("backtest", quiet=as_json) as progress:
        frame, labels = read_history(profile, asked.data, asked.label)
        results = backtest.backtest(profile, frame, labels, plan, progress)
    report = {
        "profile": profile.name,
        "profile_hash": profile.hash.decode(),
        "data": str(asked.data),
        "models": names,
        "seed": asked.seed,
        "weeks": None if asked.split else asked.weeks,
        "without_verdicts": asked.blind,
        "folds": {result.split.name: result.report for result in results},
        "mean": _mean([result.report for result in results]),
        "seconds": round(time.perf_counter() - began, 1),
        "scores": str(asked.out),
    }
    _write(asked.out, _table(frame[profile.id_field], results), report)
    _show(report, as_json)


def _check(asked: PastWeeks) -> None:
    if bool(asked.fold) == bool(asked.split):
        raise ConfigError(
            "give the weeks to test by --fold DATE, which may be repeated, or else --split SHARE"
        )
    if asked.weeks < 1:
        raise ConfigError(f"--weeks {asked.weeks}: at least 1 is expected")
    if asked.out.suffix not in (".parquet", ".csv"):
        raise ConfigError(f"--out {asked.out}: a name that ends with .parquet or .csv is expected")


def _table(ids: pd.Series, results: list[BacktestResult]) -> pd.DataFrame:
    """One row for each transaction that was scored, with its period."""
    import pandas as pd

    tables = [
        pd.DataFrame(
            {
                "fold": result.split.name,
                "transaction_id": ids.iloc[result.split.test],
                "score": result.scores,
            }
        )
        for result in results
    ]
    return pd.concat(tables, ignore_index=True)


def _mean(reports: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each figure that all reports have; counts are left out."""
    shared = set.intersection(*(set(report) for report in reports)) - {"rows", "frauds"}
    return {
        name: sum(report[name] for report in reports) / len(reports)
        for name in reports[0]
        if name in shared
    }


def _write(out: Path, scores: pd.DataFrame, report: dict[str, Any]) -> None:
    import msgspec

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.suffix == ".csv":
            scores.to_csv(out, index=False)
        else:
            scores.to_parquet(out, index=False)
        out.with_suffix(".json").write_bytes(
            msgspec.json.format(msgspec.json.encode(report), indent=1)
        )
    except OSError as error:
        raise ConfigError(f"--out {out}: cannot be written: {error.strerror or error}") from error


def _show(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(report)
        return
    for name, figures in {**report["folds"], "mean": report["mean"]}.items():
        words = [f"{key} {figures[key]:.3f}" for key in _PRINTED if key in figures]
        typer.echo(f"{name:12} " + "  ".join(words))
    typer.echo(f"scores in {report['scores']}, report beside it, {report['seconds']:.0f} s")
