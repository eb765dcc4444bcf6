"""`tidegate retrain`: a challenger from new data, promoted only if it is better."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.common import Db, Json, Kafka, Label, Mlflow, Profile, period, settings_with
from tidegate.cli.progress import progress_bar
from tidegate.errors import ConfigError, Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from model.evaluate import Quality
    from model.fit import Progress
    from model.retrain import Data, Report
    from model.train import OnQuality
    from tidegate.broker import Broker
    from tidegate.cli.tracking import Tracker
    from tidegate.profile import Profile as LoadedProfile
    from tidegate.settings import Settings

_LOG = logging.getLogger(__name__)
EXITS = {"promoted": 0, "kept": 3, "bad_data": 65}
"""65 is sysexits.h EX_DATAERR."""
File = Annotated[Path | None, typer.Option(
    "--data", metavar="FILE", help="CSV or Parquet with verdicts, instead of the database's rows and their labels.")]
Since = Annotated[str, typer.Option("--since", metavar="DATE", help="First day of rows (UTC); by default "
                                    "TIDEGATE_RETRAIN_DAYS before the end.")]
Until = Annotated[str, typer.Option(
    "--until", metavar="DATE", help="The day after the last; by default up to the newest row.")]
Unlabelled = Annotated[str, typer.Option(
    "--unlabelled", metavar="WHAT", help="What a mature row without a verdict counts as: unknown or legitimate. "
    "[TIDEGATE_RETRAIN_UNLABELLED]")]
Margin = Annotated[str, typer.Option("--margin", metavar="AP", help="By how much average precision must be better. "
                                     "[TIDEGATE_RETRAIN_MARGIN]")]
Seed = Annotated[int, typer.Option("--seed", help="Of the models and the bootstrap.")]


def retrain(profile: Profile = "", data: File = None, label: Label = "", since: Since = "", until: Until = "",
            unlabelled: Unlabelled = "", margin: Margin = "", seed: Seed = 0, kafka: Kafka = "", db: Db = "",
            mlflow: Mlflow = "", as_json: Json = False) -> None:
    """Check new data, train a challenger, and promote it only if it is better than the champion on mature labels.

    Exit code 0: promoted; 3: the champion stays; 65: the data is bad, nothing was trained.

    Example: [bold]tidegate retrain --data payments.parquet --label is_fraud[/bold]
    """
    from tidegate.cli.outcome import show, tell, write
    from tidegate.cli.tracking import tracker_of
    from tidegate.kafka import KafkaBroker
    from tidegate.profile import load_profile

    settings = settings_with(profile=profile, kafka=kafka, db=db, retrain_unlabelled=unlabelled, retrain_margin=margin,
                             mlflow=mlflow)
    if data is not None and not data.is_file():
        raise ConfigError(f"--data {data}: there is no such file")
    span = period(since, until)
    loaded, broker = load_profile(settings.profile), KafkaBroker(settings)
    broker.check()
    tracker = tracker_of(settings, loaded)
    compared: list[Quality] = []
    with progress_bar("retraining", quiet=as_json) as progress:
        found = _attempt(settings, loaded, broker, lambda: _read(settings, loaded, broker, data, label, span),
                         progress, seed, compared.append)
    path = write(settings.home / "retrain", found)
    if tracker and found.challenger:
        _track(tracker, settings, loaded, found, path, compared)
    tell(settings.webhook, found)
    show(found, path, as_json)
    raise typer.Exit(EXITS[found.outcome])


def _track(tracker: Tracker, settings: Settings, profile: LoadedProfile, found: Report, report: Path,
           compared: Sequence[Quality]) -> None:
    """The challenger as a run. A server that fails is logged: what was done stays done."""
    from model.catalog import find
    from tidegate.cli.tracking import training

    bundle = find(settings.bundles_dir, found.challenger)
    run = training(profile, bundle, found.started_us, {"outcome": found.outcome, "champion": found.champion}, compared,
                   [report])
    metrics = {f"{side.name}.{name}": value for side in compared for name, value in side.metrics.items()}
    try:
        tracker.record(run._replace(metrics={**run.metrics, **metrics}))
    except (ConfigError, Retry) as error:
        _LOG.warning("MLflow did not take the run: %s", error)


def _read(settings: Settings, profile: LoadedProfile, broker: Broker, file: Path | None, label: str,
          span: tuple[int | None, int | None]) -> Data:
    from model.retrain import count_silence
    from tidegate.cli.newdata import from_database, from_file

    if file:
        data = from_file(profile, file, label)
    else:
        data = from_database(profile, settings.db_url, broker, settings.retrain_days, *span)
    if settings.retrain_unlabelled == "legitimate":
        return data._replace(log=count_silence(data.log, profile.label_delay_us))
    return data


def _attempt(settings: Settings, profile: LoadedProfile, broker: Broker, read: Callable[[], Data], progress: Progress,
             seed: int, on_quality: OnQuality) -> Report:
    """Everything up to a promotion. Data that cannot be read as this profile's is bad data, no error of the command."""
    from model.catalog import find
    from model.registry import current_champion
    from model.retrain import Check, Limits, Report
    from model.retrain import retrain as run

    name = profile.hash.decode()
    current = current_champion(broker, name)
    if current is None:
        raise ConfigError(f"profile {profile.name} has no champion to compare with: run `tidegate train --promote`")
    champion, began = find(settings.bundles_dir, current.champion.bundle), time.time_ns()
    found = Report(f"{profile.name} {name}", "", champion.hash, began // 1000)
    try:
        data = read()
    except ConfigError as error:
        found.outcome, found.why = "bad_data", str(error)
        found.checks = [Check("schema", False, str(error), f"as {profile.path} says")]
    else:
        found.source = data.source
        limits = Limits(settings.retrain_margin, psi=settings.retrain_psi)
        found = run(profile, champion, data, limits, settings.bundles_dir, found, progress, seed, on_quality)
    if found.outcome == "promoted":
        _promote(broker, name, found)
    found.seconds = round((time.time_ns() - began) / 1e9, 1)
    return found


def _promote(broker: Broker, profile: str, found: Report) -> None:
    """Promote the challenger, unless another champion than the one it beat has come meanwhile."""
    from model.registry import current_champion, promote

    current = current_champion(broker, profile)
    if current is None or current.champion.bundle != found.champion:
        found.outcome, found.why = "kept", "another bundle was promoted while this one was trained: compare again"
        return
    promote(broker, found.challenger, profile, by="tidegate retrain")
