"""`tidegate train`: a model bundle from history."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import (
    JsonOption,
    KafkaOption,
    LabelOption,
    MlflowOption,
    ProfileOption,
    print_json,
    say,
    settings_with,
)
from cli.progress import progress_bar

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from model.bundles.bundle import Bundle
    from model.evaluation.metrics import Quality
    from tidegate.profile import Profile
    from tidegate.settings import Settings

Promote = Annotated[
    bool, typer.Option("--promote", help="Make the bundle the champion when it is ready.")
]
History = Annotated[
    Path | None,
    typer.Option(
        "--history",
        metavar="FILE",
        help="CSV or Parquet to train on instead of the history that the profile names.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Of the models; equal seeds give equal bundles.")]
Samples = Annotated[
    int,
    typer.Option(
        "--samples",
        min=0,
        help="Transactions to simulate, instead of the profile's history.simulate.",
    ),
]
Epochs = Annotated[
    int,
    typer.Option(
        "--epochs",
        min=0,
        help="Passes over the history that neural models learn in, instead of the profile's.",
    ),
]

NOT_PROMOTED = 3
"""The exit code, as `tidegate retrain`'s, when the bundle was not promoted."""


def train(
    profile: ProfileOption = "",
    history: History = None,
    label: LabelOption = "",
    promote: Promote = False,
    seed: Seed = 0,
    samples: Samples = 0,
    epochs: Epochs = 0,
    kafka: KafkaOption = "",
    mlflow: MlflowOption = "",
    as_json: JsonOption = False,
) -> None:
    """Train the profile's models on the history it names, or on a file, through the operator that
    serves. A bundle that is no better than chance is not promoted (exit code 3).

    Example: [bold]tidegate train --profile wallet --history payments.csv --label is_fraud
    --promote[/bold]
    """
    from model.bundles.manifest import chance_warning
    from model.bundles.shared import shared_bundles
    from model.detectors.catalog import check_installed
    from model.history.verdict_files import read_history
    from model.training.mlflow import Tracking, training
    from model.training.overrides import adjusted
    from model.training.train import train as train_bundle
    from tidegate.profile import load_profile

    settings = settings_with(profile=profile, kafka=kafka, mlflow=mlflow)
    loaded = adjusted(load_profile(settings.profile), samples, epochs)
    check_installed(loaded.models.names)
    tracking, began = Tracking(settings, loaded, say), time.time_ns() // 1000
    found: list[Quality] = []
    with progress_bar("training", quiet=as_json) as progress:
        frame, labels = read_history(loaded, history, label) if history else _history(loaded, label)
        bundle = train_bundle(
            loaded, frame, labels, settings.bundles_dir, progress, seed, found.append
        )
    if shared := shared_bundles(settings):
        shared.publish(bundle.hash)
    warning = chance_warning(bundle.manifest)
    promoted = promote and not warning
    _report(bundle, settings.bundles_dir, warning, as_json)
    if promoted:
        _promote(settings, loaded, bundle.hash)
    tags = {"promoted": str(promoted).lower(), "seed": str(seed)}
    tracking.record(lambda: training(loaded, bundle, began, tags, found))
    if promote and not promoted:
        typer.echo(
            "tidegate: not promoted. Look for a mistake in the history or its verdicts; to let the "
            f"model score nevertheless: `tidegate models promote {bundle.hash}`",
            err=True,
        )
        raise typer.Exit(NOT_PROMOTED)


def _promote(settings: Settings, profile: Profile, bundle: str) -> None:
    """Raises ConfigError or Retry when a scorer cannot load the bundle, or does not say so."""
    from model.bundles.promotion import promote_by_all
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.status.heartbeats import heartbeats

    broker, name = KafkaBroker(settings), profile.hash.decode()
    with heartbeats(broker, profile) as beats:
        promote_by_all(beats, broker, bundle, name, by="tidegate train")


def _history(profile: Profile, label: str) -> tuple[pd.DataFrame, NDArray[np.int8]]:
    """The history that the profile names, and its labels: 1 fraud, 0 legitimate, -1 unknown."""
    from model.history.verdict_files import read_history

    if profile.history.simulate:
        from producers.simulator.history import simulate_history

        frame = simulate_history(profile, profile.history.simulate)
        return frame.drop(columns="label"), frame["label"].to_numpy("int8")
    return read_history(profile, profile.history_path, label)


def _report(bundle: Bundle, folder: Path, warning: str, as_json: bool) -> None:
    metrics = bundle.manifest.metrics
    if as_json:
        print_json(
            {
                "bundle": bundle.hash,
                "path": str(folder / bundle.hash),
                "metrics": metrics,
                "warning": warning,
            }
        )
        return
    typer.echo(f"bundle {bundle.hash} in {folder / bundle.hash}")
    typer.echo(
        "on the test slice: " + ", ".join(f"{name} {value:.3f}" for name, value in metrics.items())
    )
    if warning:
        typer.echo(f"WARNING: {warning}", err=True)
