"""`tidegate retrain`: a challenger from new data, promoted only if it is better."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from cli.file_options import AS_FOUND, Written, with_file_options
from cli.options import (
    DbOption,
    JsonOption,
    KafkaOption,
    LabelOption,
    MlflowOption,
    ProfileOption,
    period,
    print_json,
    say,
    settings_with,
)
from cli.progress import progress_bar

if TYPE_CHECKING:
    from pathlib import Path

    from model.evaluation.metrics import Quality
    from model.training.retrain import RetrainingReport

_METRICS = ("average_precision", "auc", "precision_top_1", "recall_top_1", "calibration_error")
File = Annotated[
    str,
    typer.Option(
        "--data",
        metavar="FILE",
        help="A file with verdicts, instead of the database's rows and their labels.",
    ),
]
Since = Annotated[
    str,
    typer.Option(
        "--since",
        metavar="DATE",
        help="First day of rows (UTC); by default TIDEGATE_RETRAIN_DAYS before the end.",
    ),
]
Until = Annotated[
    str,
    typer.Option(
        "--until", metavar="DATE", help="The day after the last; by default up to the newest row."
    ),
]
Unlabelled = Annotated[
    str,
    typer.Option(
        "--unlabelled",
        metavar="WHAT",
        help="What a mature row without a verdict counts as: unknown or legitimate. "
        "[TIDEGATE_RETRAIN_UNLABELLED]",
    ),
]
Margin = Annotated[
    str,
    typer.Option(
        "--margin",
        metavar="AP",
        help="By how much average precision must be better. [TIDEGATE_RETRAIN_MARGIN]",
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Of the models and the bootstrap.")]


@with_file_options
def retrain(
    profile: ProfileOption = "",
    data: File = "",
    label: LabelOption = "",
    written: Written = AS_FOUND,
    since: Since = "",
    until: Until = "",
    unlabelled: Unlabelled = "",
    margin: Margin = "",
    seed: Seed = 0,
    kafka: KafkaOption = "",
    db: DbOption = "",
    mlflow: MlflowOption = "",
    as_json: JsonOption = False,
) -> None:
    """Check new data, train a challenger, and promote it if it is better than the champion.

    Both are compared on mature labels.

    Exit code 0: promoted; 3: the champion stays; 65: the data is bad, nothing was trained.

    Example: [bold]tidegate retrain --data payments.parquet --label is_fraud[/bold]
    """
    from consumers.retraining.attempt import attempt, described, read
    from consumers.retraining.outcome import EXITS, finding, tell, write
    from model.files.places import check
    from model.training.mlflow import Tracking
    from tidegate.broker.announce import announce
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.profile import load_profile

    settings = settings_with(
        profile=profile,
        kafka=kafka,
        db=db,
        retrain_unlabelled=unlabelled,
        retrain_margin=margin,
        mlflow=mlflow,
    )
    if data:
        check(data, written.form)
    else:
        written.check_file("--data")
    span = period(since, until)
    loaded, broker = load_profile(settings.profile), KafkaBroker(settings)
    as_written = written.of(loaded)
    broker.check()
    tracking = Tracking(settings, loaded, say)
    compared: list[Quality] = []
    with progress_bar("retraining", quiet=as_json) as progress:
        report = attempt(
            settings,
            loaded,
            broker,
            lambda: read(settings, as_written, broker, data, label, span, written.form),
            progress,
            seed,
            compared.append,
        )
    path = write(settings.home / "retrain", report)
    if report.challenger:
        tracking.record(lambda: described(settings, loaded, report, path, compared))
    announce(broker, finding(report, loaded.hash.decode()))
    tell(settings.webhook, report)
    show(report, path, as_json)
    raise typer.Exit(EXITS[report.outcome])


def show(report: RetrainingReport, path: Path, as_json: bool) -> None:
    """The report for people, or for a script."""
    from consumers.retraining.outcome import headline

    if as_json:
        print_json(msgspec.to_builtins(report))
        return
    for line in report.reading:
        typer.echo(line)
    for check in report.checks:
        typer.echo(f"{'ok ' if check.ok else 'BAD'} {check.name:<24}{check.found}; {check.limit}")
    moved = ", ".join(f"{name} {value:.2f}" for name, value in list(report.drift.items())[:5])
    if moved:
        typer.echo(f"    {'moved most (PSI)':<24}{moved}")
    if report.difference:
        typer.echo(f"    {'':<24}{'champion':>10}{'challenger':>12}")
        for name in _METRICS:
            if name in report.challenger_metrics:
                champion, challenger = report.champion_metrics, report.challenger_metrics
                typer.echo(f"    {name:<24}{champion[name]:>10.3f}{challenger[name]:>12.3f}")
    typer.echo(f"{headline(report)}\nreport in {path}, {report.seconds:.0f} s")
