"""`tidegate backtest`: what the models would have scored then."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.cli.common import Json, Label, Profile, print_json, settings_with
from tidegate.cli.progress import progress_bar
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from model.backtest import Result

Data = Annotated[Path, typer.Option("--data", metavar="FILE", help="CSV or Parquet: the whole log and its verdicts.")]
Folds = Annotated[list[str] | None, typer.Option(
    "--fold", metavar="DATE", help="First day of a training week; the week that starts one label delay after it is "
    "scored. May be repeated.")]
Split = Annotated[float, typer.Option(
    "--split", metavar="SHARE", help="Instead of weeks: learn from this first share of the rows, score the rest.")]
Models = Annotated[list[str] | None, typer.Option(
    "--models", metavar="NAME", help="Detectors, separated by commas or repeated; by default all of the profile.")]
Out = Annotated[Path, typer.Option(
    "--out", metavar="FILE", help="Parquet or CSV to write: fold, transaction_id, score; beside it a report as .json.")]
Weeks = Annotated[int, typer.Option("--weeks", help="Weeks of history to learn from, the training week included.")]
Seed = Annotated[int, typer.Option("--seed", help="Of the models; equal seeds give equal scores.")]


def backtest(data: Data, profile: Profile = "", fold: Folds = None, split: Split = 0.0, models: Models = None,
             out: Out = Path("scores.parquet"), weeks: Weeks = 8, seed: Seed = 0, label: Label = "",
             as_json: Json = False) -> None:
    """Train and score past weeks as if it were then: a label counts only once it is as old as the label delay.

    Example: [bold]tidegate backtest --profile handbook --data transactions.parquet --fold 2018-07-25[/bold]
    """
    from model.backtest import Plan
    from model.backtest import backtest as run
    from tidegate.cli.history import read_history
    from tidegate.profile import load_profile

    _check(fold, split, weeks, out)
    loaded = load_profile(settings_with(profile=profile).profile)
    names = [name for given in models or [] for name in given.split(",")] or list(loaded.models.names)
    began = time.perf_counter()
    with progress_bar("backtest", quiet=as_json) as progress:
        frame, labels = read_history(loaded, data, label)
        results = run(loaded, frame, labels, Plan(names, fold or [], split, weeks, seed), progress)
    report = {"profile": loaded.name, "profile_hash": loaded.hash.decode(), "data": str(data), "models": names,
              "seed": seed, "weeks": None if split else weeks,
              "folds": {one.fold.name: one.report for one in results}, "mean": _mean([one.report for one in results]),
              "seconds": round(time.perf_counter() - began, 1), "scores": str(out)}
    _write(out, _table(frame[loaded.id_field], results), report)
    _report(report, as_json)


def _check(fold: list[str] | None, split: float, weeks: int, out: Path) -> None:
    if bool(fold) == bool(split):
        raise ConfigError("give the weeks to test by --fold DATE, which may be repeated, or else --split SHARE")
    if weeks < 1:
        raise ConfigError(f"--weeks {weeks}: at least 1 is expected")
    if out.suffix not in (".parquet", ".csv"):
        raise ConfigError(f"--out {out}: a name that ends with .parquet or .csv is expected")


def _table(ids: pd.Series, results: list[Result]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat([pd.DataFrame({"fold": one.fold.name, "transaction_id": ids.iloc[one.fold.test],
                                    "score": one.scores}) for one in results], ignore_index=True)


def _mean(reports: list[dict[str, float]]) -> dict[str, float]:
    shared = set.intersection(*(set(report) for report in reports)) - {"rows", "frauds"}
    return {name: sum(report[name] for report in reports) / len(reports) for name in reports[0] if name in shared}


def _write(out: Path, scores: pd.DataFrame, report: dict[str, Any]) -> None:
    import msgspec

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.suffix == ".csv":
            scores.to_csv(out, index=False)
        else:
            scores.to_parquet(out, index=False)
        out.with_suffix(".json").write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
    except OSError as error:
        raise ConfigError(f"--out {out}: cannot be written: {error.strerror or error}") from error


def _report(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(report)
        return
    for name, found in {**report["folds"], "mean": report["mean"]}.items():
        typer.echo(f"{name:12} " + "  ".join(f"{key} {found[key]:.3f}" for key in (
            "auc", "average_precision", "precision_top_1", "recall_top_1", "calibration_error") if key in found))
    typer.echo(f"scores in {report['scores']}, report beside it, {report['seconds']:.0f} s")
