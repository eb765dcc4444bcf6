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
    import pyarrow as pa

    from cli.file_options import Written
    from model.history.history import History
    from model.training.backtest import BacktestResult
    from tidegate.profile import Profile

_PRINTED = (
    "auc",
    "average_precision",
    "precision_top_1",
    "recall_top_1",
    "calibration_error",
)


class PastWeeks(NamedTuple):
    """What is trained and scored, as the options say it."""

    data: str
    written: Written
    label: str
    most_refused: float
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
    from model.history.reading import read_history
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
        reading = read_history(
            asked.written.of(profile),
            asked.data,
            asked.label,
            asked.most_refused,
            progress,
            asked.written.form,
        )
        with reading.explaining():
            results = backtest.backtest(profile, reading.history, plan, progress)
    report = {
        "profile": profile.name,
        "profile_hash": profile.hash.decode(),
        "data": asked.data,
        "history": reading.facts(),
        "models": names,
        "seed": asked.seed,
        "weeks": None if asked.split else asked.weeks,
        "without_verdicts": asked.blind,
        "folds": {result.split.name: result.report for result in results},
        "mean": _mean([result.report for result in results]),
        "seconds": round(time.perf_counter() - began, 1),
        "scores": str(asked.out),
    }
    _write(asked.out, _table(profile, reading.history, results), report)
    if not as_json:
        typer.echo("\n".join(reading.sentences()))
    if warning := reading.warning():
        typer.echo(f"WARNING: {warning}", err=True)
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


def _table(profile: Profile, history: History, results: list[BacktestResult]) -> pa.Table:
    """One line for each transaction that was scored: its period, id, row in the file, and score."""
    import pyarrow as pa

    def lines(result: BacktestResult) -> pa.Table:
        scored = history.only(result.split.test)
        return pa.table(
            {
                "fold": pa.array([result.split.name] * len(scored.ids)),
                "transaction_id": scored.ids,
                "row": scored.numbers,
                "score": result.scores,
            }
        )

    table = pa.concat_tables(map(lines, results))
    if getattr(profile.fields[profile.id_field], "integers", False):
        return table.set_column(1, "transaction_id", _whole(table.column("transaction_id")))
    return table


def _whole(ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """Ids as whole numbers if all of them are written as such."""
    import pyarrow as pa

    try:
        numbers = ids.cast(pa.int64())
    except pa.ArrowInvalid:
        return ids
    return numbers if numbers.cast(ids.type).equals(ids) else ids


def _mean(reports: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each figure that all reports have; counts are left out."""
    shared = set.intersection(*(set(report) for report in reports)) - {"rows", "frauds"}
    return {
        name: sum(report[name] for report in reports) / len(reports)
        for name in reports[0]
        if name in shared
    }


def _write(out: Path, scores: pa.Table, report: dict[str, Any]) -> None:
    import msgspec
    from pyarrow import csv, parquet

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.suffix == ".csv":
            csv.write_csv(scores, out, csv.WriteOptions(quoting_style="needed"))
        else:
            parquet.write_table(scores, out)
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
