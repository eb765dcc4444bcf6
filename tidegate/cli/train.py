"""`tidegate train`: a model bundle from history."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.cli.common import Json, Kafka, Profile, print_json, settings_with

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from model.bundle import Bundle
    from tidegate.profile import Profile as LoadedProfile

Promote = Annotated[bool, typer.Option("--promote", help="Make the bundle the champion when it is ready.")]
History = Annotated[Path | None, typer.Option(
    "--history", metavar="FILE", help="CSV or Parquet to train on instead of the history that the profile names.")]
Label = Annotated[str, typer.Option(
    "--label", help="Its column with 1 for fraud, 0 for legitimate, nothing where no verdict is known.")]
Seed = Annotated[int, typer.Option("--seed", help="Of the models; equal seeds give equal bundles.")]

Samples = Annotated[int, typer.Option(
    "--samples", min=0, help="Transactions to simulate, instead of the profile's history.simulate.")]
Epochs = Annotated[int, typer.Option(
    "--epochs", min=0, help="Passes over the history that neural models learn in, instead of the profile's.")]


def train(profile: Profile = "", history: History = None, label: Label = "label", promote: Promote = False,
          seed: Seed = 0, samples: Samples = 0, epochs: Epochs = 0, kafka: Kafka = "", as_json: Json = False) -> None:
    """Train the profile's models on the history it names, or on a file, through the operator that serves.

    Example: [bold]tidegate train --profile wallet --history payments.csv --label is_fraud --promote[/bold]
    """
    from model.detectors.neural_training import check_installed
    from model.train import train as train_bundle
    from tidegate.cli.adjust import adjusted
    from tidegate.profile import load_profile

    settings = settings_with(profile=profile, kafka=kafka)
    loaded = adjusted(load_profile(settings.profile), samples, epochs)
    check_installed(loaded.models.names)
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    with Progress(TextColumn("training"), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn(),
                  console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task("history", total=1.0)
        frame, labels = _read(loaded, history, label) if history else _history(loaded)
        bundle = train_bundle(loaded, frame, labels, settings.bundles_dir,
                              lambda share, what: bars.update(task, completed=share, description=what), seed)
    if promote:
        from model.registry import promote as promote_bundle
        from tidegate.kafka import KafkaBroker

        promote_bundle(KafkaBroker(settings), bundle.hash, loaded.hash.decode(), by="tidegate train")
    _report(bundle, settings.bundles_dir, as_json)


def _history(profile: LoadedProfile) -> tuple[pd.DataFrame, NDArray[np.int8]]:
    """The history and its labels: 1 fraud, 0 legitimate, -1 unknown. Raises ConfigError for a wrong file."""
    if profile.history.simulate:
        from producers.simulate import simulate_history

        frame = simulate_history(profile, profile.history.simulate)
        return frame.drop(columns="label"), frame["label"].to_numpy("int8")
    return _read(profile, Path(profile.history.file), profile.history.label)


def _read(profile: LoadedProfile, path: Path, label: str) -> tuple[pd.DataFrame, NDArray[np.int8]]:
    import pandas as pd

    from tidegate.errors import ConfigError

    try:
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except OSError as error:
        raise ConfigError(f"the history {path} cannot be read: {error.strerror or error}") from error
    if label not in frame:
        raise ConfigError(f"the history {path} has no column {label!r}; its columns are {', '.join(frame.columns)}: "
                          "name the one with the verdicts by --label, or by history.label of the profile")
    labels = frame.pop(label).fillna(-1).to_numpy("int8")
    if profile.time_field:
        order = frame[profile.time_field].argsort(kind="stable")
        return frame.iloc[order].reset_index(drop=True), labels[order]
    return frame, labels


def _report(bundle: Bundle, folder: Path, as_json: bool) -> None:
    metrics = bundle.manifest.metrics
    if as_json:
        print_json({"bundle": bundle.hash, "path": str(folder / bundle.hash), "metrics": metrics})
        return
    typer.echo(f"bundle {bundle.hash} in {folder / bundle.hash}")
    typer.echo("on the test slice: " + ", ".join(f"{name} {value:.3f}" for name, value in metrics.items()))
