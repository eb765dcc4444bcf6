"""`tidegate backtest`: what models would have scored, or a finished bundle decided, in the past."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.file_options import AS_FOUND, Written, with_file_options
from cli.options import (
    DbOption,
    JsonOption,
    KafkaOption,
    LabelOption,
    MaxRefusedOption,
    ProfileOption,
    settings_with,
    share,
)
from tidegate.errors import ConfigError

Data = Annotated[
    str,
    typer.Option("--data", metavar="FILE", help="A file with the whole log and its verdicts."),
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
        help="Parquet or CSV to write: fold, transaction_id, row in the file, score; beside it a "
        "report as .json.",
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


@with_file_options
def backtest(
    data: Data = "",
    profile: ProfileOption = "",
    fold: Folds = None,
    split: Split = 0.0,
    models: Models = None,
    out: Out = Path("scores.parquet"),
    weeks: Weeks = 8,
    seed: Seed = 0,
    without_verdicts: Blind = False,
    label: LabelOption = "",
    max_refused: MaxRefusedOption = "5%",
    written: Written = AS_FOUND,
    bundle: Bundle = "",
    thresholds: Thresholds = "",
    champion: Champion = "",
    topic: Topic = False,
    since: Since = "",
    until: Until = "",
    capacity: Capacity = 100,
    report: ReportFolder = None,
    kafka: KafkaOption = "",
    db: DbOption = "",
    as_json: JsonOption = False,
) -> None:
    """Train and score past weeks as if it were then.

    A label counts only once it is as old as the label delay.

    With --bundle nothing is trained: a finished bundle decides the transactions of a file (--data),
    of the raw topic (--topic) or the rows of the database, and a report compares it with the
    champion.

    Example: [bold]tidegate backtest --profile handbook --data transactions.parquet --fold
    2018-07-25[/bold]

    Example: [bold]tidegate backtest --bundle 3f2a --since 2026-01-01 --report report[/bold]
    """
    settings = settings_with(profile=profile, kafka=kafka, db=db)
    most_refused = share("--max-refused", max_refused)
    if not data:
        written.check_file("--data")
    if bundle:
        from cli.challenger import BundleBacktest, decide_past

        if fold or split or models:
            raise ConfigError("--bundle trains nothing: leave out --fold, --split and --models")
        decide_past(
            settings,
            BundleBacktest(
                bundle,
                champion,
                thresholds,
                data,
                written,
                topic,
                label,
                most_refused,
                since,
                until,
                capacity,
                report or settings.home / "backtest",
            ),
            as_json,
        )
    elif topic or since or until or thresholds or champion or not data:
        raise ConfigError(
            "give the history by --data FILE and weeks by --fold DATE, or a finished model by "
            "--bundle"
        )
    else:
        from cli.past_weeks import PastWeeks, backtest_weeks

        asked = PastWeeks(
            data,
            written,
            label,
            most_refused,
            fold or [],
            split,
            models or [],
            weeks,
            seed,
            without_verdicts,
            out,
        )
        backtest_weeks(settings.profile, asked, as_json)
