"""`tidegate backtest`: what models would have scored then, or a finished bundle would have
decided.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from cli.options import Db, Json, Kafka, Label, Profile, print_json, settings_with
from cli.progress import progress_bar
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from model.training.backtest import Result

Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="FILE", help="CSV or Parquet: the whole log and its verdicts."),
]
Folds = Annotated[
    list[str] | None,
    typer.Option(
        "--fold",
        metavar="DATE",
        help="First day of a training week; the week that starts one label delay after it is "
        "scored. May be repeated.",
    ),
]
Split = Annotated[
    float,
    typer.Option(
        "--split",
        metavar="SHARE",
        help="Instead of weeks: score the rows after this first share of them.",
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--models",
        metavar="NAME",
        help="Detectors, separated by commas or repeated; by default all of the profile.",
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        "--out",
        metavar="FILE",
        help="Parquet or CSV to write: fold, transaction_id, score; beside it a report as .json.",
    ),
]
Weeks = Annotated[
    int, typer.Option("--weeks", help="Weeks of history to learn from, the training week included.")
]
Blind = Annotated[
    bool,
    typer.Option(
        "--without-verdicts",
        help="No feature ever knows a verdict: what detectors that need no labels find alone.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Of the models; equal seeds give equal scores.")]
_JUDGE = "Deciding again with a finished bundle"
Bundle = Annotated[
    str,
    typer.Option(
        "--bundle",
        metavar="BUNDLE",
        rich_help_panel=_JUDGE,
        help="Train nothing: let this bundle decide past transactions. A hash, a bundle's folder, "
        "or `champion`.",
    ),
]
Thresholds = Annotated[
    str,
    typer.Option(
        "--thresholds",
        metavar="NAME=NUMBER,...",
        rich_help_panel=_JUDGE,
        help="Other thresholds than the bundle's: review and block, or review_cost and block_cost "
        "in minor units.",
    ),
]
Champion = Annotated[
    str,
    typer.Option(
        "--champion",
        metavar="BUNDLE",
        rich_help_panel=_JUDGE,
        help="What it is compared with; by default the champion, or for rows of the database what "
        "was decided.",
    ),
]
Topic = Annotated[
    bool,
    typer.Option(
        "--topic",
        rich_help_panel=_JUDGE,
        help="Decide what the raw topic holds, instead of a file or the database's rows.",
    ),
]
Since = Annotated[
    str,
    typer.Option(
        "--since",
        metavar="DATE",
        rich_help_panel=_JUDGE,
        help="First day to decide (UTC); what comes before only fills windows.",
    ),
]
Until = Annotated[
    str,
    typer.Option("--until", metavar="DATE", rich_help_panel=_JUDGE, help="The day after the last."),
]
Capacity = Annotated[
    int,
    typer.Option(
        "--capacity",
        min=1,
        rich_help_panel=_JUDGE,
        help="How many transactions a day are reviewed.",
    ),
]
ReportFolder = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FOLDER",
        rich_help_panel=_JUDGE,
        help="Where report.html, report.json and its plots go; by default backtest/ in the home "
        "folder.",
    ),
]


def backtest(
    data: Data = None,
    profile: Profile = "",
    fold: Folds = None,
    split: Split = 0.0,
    models: Models = None,
    out: Out = Path("scores.parquet"),
    weeks: Weeks = 8,
    seed: Seed = 0,
    without_verdicts: Blind = False,
    label: Label = "",
    bundle: Bundle = "",
    thresholds: Thresholds = "",
    champion: Champion = "",
    topic: Topic = False,
    since: Since = "",
    until: Until = "",
    capacity: Capacity = 100,
    report: ReportFolder = None,
    kafka: Kafka = "",
    db: Db = "",
    as_json: Json = False,
) -> None:
    """Train and score past weeks as if it were then: a label counts only once it is as old as the
    label delay.

    With --bundle nothing is trained: a finished bundle decides the transactions of a file (--data),
    of the raw topic (--topic) or the rows of the database, and a report compares it with the
    champion.

    Example: [bold]tidegate backtest --profile handbook --data transactions.parquet --fold
    2018-07-25[/bold]

    Example: [bold]tidegate backtest --bundle 3f2a --since 2026-01-01 --report report[/bold]
    """
    settings = settings_with(profile=profile, kafka=kafka, db=db)
    if bundle:
        from cli.candidate import Order, judge

        if fold or split or models:
            raise ConfigError("--bundle trains nothing: leave out --fold, --split and --models")
        judge(
            settings,
            Order(
                bundle,
                champion,
                thresholds,
                data,
                topic,
                label,
                since,
                until,
                capacity,
                report or settings.home / "backtest",
            ),
            as_json,
        )
    elif topic or since or until or thresholds or champion or data is None:
        raise ConfigError(
            "give the history by --data FILE and weeks by --fold DATE, or a finished model by "
            "--bundle"
        )
    else:
        _train(
            settings.profile,
            data,
            Plan(fold or [], split, models or [], weeks, seed, without_verdicts),
            label,
            out,
            as_json,
        )


class Plan(NamedTuple):
    """What is trained and scored, as the options say it."""

    fold: list[str]
    split: float
    models: list[str]
    weeks: int
    seed: int
    blind: bool


def _train(profile: str, data: Path, plan: Plan, label: str, out: Path, as_json: bool) -> None:
    from model.detectors.catalog import check_installed
    from model.history.verdict_files import read_history
    from model.training import backtest as folds
    from tidegate.profile import load_profile

    _check(plan, out)
    loaded = load_profile(profile)
    names = [name for given in plan.models for name in given.split(",")] or list(
        loaded.models.names
    )
    check_installed(names)
    began = time.perf_counter()
    with progress_bar("backtest", quiet=as_json) as progress:
        frame, labels = read_history(loaded, data, label)
        results = folds.backtest(
            loaded,
            frame,
            labels,
            folds.Plan(names, plan.fold, plan.split, plan.weeks, plan.seed, plan.blind),
            progress,
        )
    report = {
        "profile": loaded.name,
        "profile_hash": loaded.hash.decode(),
        "data": str(data),
        "models": names,
        "seed": plan.seed,
        "weeks": None if plan.split else plan.weeks,
        "without_verdicts": plan.blind,
        "folds": {one.fold.name: one.report for one in results},
        "mean": _mean([one.report for one in results]),
        "seconds": round(time.perf_counter() - began, 1),
        "scores": str(out),
    }
    _write(out, _table(frame[loaded.id_field], results), report)
    _report(report, as_json)


def _check(plan: Plan, out: Path) -> None:
    if bool(plan.fold) == bool(plan.split):
        raise ConfigError(
            "give the weeks to test by --fold DATE, which may be repeated, or else --split SHARE"
        )
    if plan.weeks < 1:
        raise ConfigError(f"--weeks {plan.weeks}: at least 1 is expected")
    if out.suffix not in (".parquet", ".csv"):
        raise ConfigError(f"--out {out}: a name that ends with .parquet or .csv is expected")


def _table(ids: pd.Series, results: list[Result]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat(
        [
            pd.DataFrame(
                {
                    "fold": one.fold.name,
                    "transaction_id": ids.iloc[one.fold.test],
                    "score": one.scores,
                }
            )
            for one in results
        ],
        ignore_index=True,
    )


def _mean(reports: list[dict[str, float]]) -> dict[str, float]:
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


def _report(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(report)
        return
    for name, found in {**report["folds"], "mean": report["mean"]}.items():
        typer.echo(
            f"{name:12} "
            + "  ".join(
                f"{key} {found[key]:.3f}"
                for key in (
                    "auc",
                    "average_precision",
                    "precision_top_1",
                    "recall_top_1",
                    "calibration_error",
                )
                if key in found
            )
        )
    typer.echo(f"scores in {report['scores']}, report beside it, {report['seconds']:.0f} s")
