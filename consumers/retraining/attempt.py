"""One attempt to train a better model: from the data to a promotion."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from model.evaluation.metrics import Quality
    from model.progress import Progress
    from model.training.mlflow import Run
    from model.training.retrain import RetrainingReport
    from model.training.train import Data, OnQuality
    from tidegate.broker.ports import Broker
    from tidegate.profile import Profile
    from tidegate.settings import Settings

_LOG = logging.getLogger(__name__)


def described(
    settings: Settings,
    profile: Profile,
    report: RetrainingReport,
    file: Path,
    compared: Sequence[Quality],
) -> Run:
    """The challenger as a run of MLflow."""
    from model.bundles.catalog import find
    from model.training.mlflow import training

    bundle = find(settings.bundles_dir, report.challenger)
    run = training(
        profile,
        bundle,
        report.started_us,
        {"outcome": report.outcome, "champion": report.champion},
        compared,
        [file],
    )
    metrics = {
        f"{side.name}.{name}": value for side in compared for name, value in side.metrics.items()
    }
    return run._replace(metrics={**run.metrics, **metrics})


def read(
    settings: Settings,
    profile: Profile,
    broker: Broker,
    file: str,
    label: str,
    span: tuple[int | None, int | None],
    form: str = "",
) -> Data:
    """What is to be learnt from: a file, or the database's rows of a period.

    Raises ConfigError or Retry.
    """
    from consumers.retraining.data import from_database, from_file
    from model.training.retrain import count_silence

    if file:
        data = from_file(profile, file, label, form)
    else:
        data = from_database(profile, settings.db_url, broker, settings.retrain_days, *span)
    if settings.retrain_unlabelled == "legitimate":
        return data._replace(log=count_silence(data.log, profile.label_delay_us))
    return data


def attempt(
    settings: Settings,
    profile: Profile,
    broker: Broker,
    read: Callable[[], Data],
    progress: Progress,
    seed: int,
    on_quality: OnQuality,
) -> RetrainingReport:
    """Everything up to a promotion.

    Data that cannot be read as this profile's is bad data, no error of the command.
    """
    from model.bundles.catalog import find
    from model.bundles.promotion import current_champion
    from model.bundles.shared import local_bundles, shared_bundles
    from model.training.retrain import Check, Limits, RetrainingReport, retrain

    name = profile.hash.decode()
    current = current_champion(broker, name)
    if current is None:
        raise ConfigError(
            f"profile {profile.name} has no champion to compare with: run `tidegate train "
            "--promote`"
        )
    champion = find(local_bundles(settings), current.champion.bundle)
    began = time.time_ns()
    report = RetrainingReport(f"{profile.name} {name}", "", champion.hash, began // 1000)
    try:
        data = read()
    except ConfigError as error:
        report.outcome, report.why = "bad_data", str(error)
        report.checks = [Check("schema", False, str(error), f"as {profile.path} says")]
    else:
        report.source, report.reading = data.source, list(data.told)
        limits = Limits(settings.retrain_margin, psi=settings.retrain_psi)
        report = retrain(
            profile,
            champion,
            data,
            limits,
            settings.bundles_dir,
            report,
            progress,
            seed,
            on_quality,
        )
    if report.challenger and (shared := shared_bundles(settings)):
        shared.publish(report.challenger)
    if report.outcome == "promoted":
        _promote(settings, broker, profile, report)
    report.seconds = round((time.time_ns() - began) / 1e9, 1)
    return report


def _promote(
    settings: Settings, broker: Broker, profile: Profile, report: RetrainingReport
) -> None:
    """Promote the challenger, unless another champion than the one it beat has come meanwhile, or
    a scorer cannot load it.
    """
    from db.audit import Act, tell
    from model.bundles.promotion import Unanswered, Unloadable, current_champion, promote_by_all
    from tidegate.status.heartbeats import heartbeats

    name = profile.hash.decode()
    current = current_champion(broker, name)
    if current is None or current.champion.bundle != report.champion:
        report.outcome, report.why = (
            "kept",
            "another bundle was promoted while this one was trained: compare again",
        )
        return
    if remark := tell(
        settings.db_url, Act("tidegate retrain", "model promoted", report.challenger)
    ):
        _LOG.warning("%s", remark)
    with heartbeats(broker, profile) as beats:
        try:
            promote_by_all(beats, broker, report.challenger, name, by="tidegate retrain")
        except (Unanswered, Unloadable) as error:
            report.outcome, report.why = "kept", f"it is better, but {error}"
