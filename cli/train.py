"""`tidegate train`: a model bundle from history."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.audited import note
from cli.file_options import AS_FOUND, Written, with_file_options
from cli.options import (
    JsonOption,
    KafkaOption,
    LabelOption,
    MaxRefusedOption,
    MlflowOption,
    ProfileOption,
    print_json,
    say,
    settings_with,
    share,
)
from cli.progress import progress_bar

if TYPE_CHECKING:
    from model.bundles.bundle import Bundle
    from model.evaluation.metrics import Quality
    from model.history.reading import Reading
    from model.progress import Progress
    from model.training.tuning import Tuned
    from tidegate.profile import Profile
    from tidegate.settings import Settings

Promote = Annotated[
    bool, typer.Option("--promote", help="Make the bundle the champion when it is ready.")
]
History = Annotated[
    str,
    typer.Option(
        "--history",
        metavar="FILE",
        help="A file to train on instead of the history that the profile names.",
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
Changes = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="MODEL.SETTING=NUMBER",
        help="Another value of a model's setting, for this training; may be repeated.",
    ),
]
Contamination = Annotated[
    float,
    typer.Option(
        "--contamination",
        min=0.0,
        max=0.5,
        help="Share of the transactions to review or block, instead of the profile's thresholds.",
    ),
]

Tune = Annotated[
    int | None,
    typer.Option(
        "--tune",
        metavar="N",
        min=1,
        help="Try N settings of the boosted trees on the newest verdicts before the test, and "
        "train with the best. Goes on from earlier trials on the same data.",
    ),
]
TuneMinutes = Annotated[
    float, typer.Option("--tune-minutes", min=0.01, help="After which --tune ends.")
]

NOT_PROMOTED = 3
"""The exit code, as `tidegate retrain`'s, when the bundle was not promoted."""


@with_file_options
def train(
    profile: ProfileOption = "",
    history: History = "",
    label: LabelOption = "",
    max_refused: MaxRefusedOption = "5%",
    written: Written = AS_FOUND,
    tune: Tune = None,
    tune_minutes: TuneMinutes = 30.0,
    promote: Promote = False,
    seed: Seed = 0,
    samples: Samples = 0,
    epochs: Epochs = 0,
    changes: Changes = [],  # noqa: B006 - typer copies it
    contamination: Contamination = 0.0,
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
    from model.training.mlflow import Tracking, training
    from model.training.overrides import adjusted, with_settings
    from model.training.train import train as train_bundle
    from model.training.tuning import tune as tune_models
    from tidegate.profile import load_profile

    settings = settings_with(profile=profile, kafka=kafka, mlflow=mlflow)
    loaded = adjusted(load_profile(settings.profile), samples, epochs, changes, contamination)
    check_installed(loaded.models.names)
    tracking, began = Tracking(settings, loaded, say), time.time_ns() // 1000
    found: list[Quality] = []
    most = share("--max-refused", max_refused)
    with progress_bar("training", quiet=as_json) as progress:
        reading = _read(loaded, history, label, most, progress, written)
        with reading.explaining():
            tuned = None
            if tune:
                folder = settings.home / "tuning"
                tuned = tune_models(
                    loaded, reading.history, tune, tune_minutes, folder, progress, seed
                )
                loaded = with_settings(loaded, tuned.settings)
            bundle = train_bundle(
                loaded,
                reading.history,
                settings.bundles_dir,
                progress,
                seed,
                found.append,
                tuned.settings if tuned else None,
            )
    if shared := shared_bundles(settings):
        shared.publish(bundle.hash)
    warning = chance_warning(bundle.manifest)
    promoted = promote and not warning
    _report(bundle, reading, settings.bundles_dir, warning, as_json, tuned)
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


def _tell_tuned(tuned: Tuned) -> None:
    """What the trials found, as the profile's `models` take it."""
    typer.echo("models: # found by `--tune`; put into the profile to keep")
    for name, settings in tuned.settings.items():
        words = ", ".join(f"{key}: {value:g}" for key, value in settings.items())
        gain = (
            f"average precision {tuned.best[name]:.3f}, with the profile's {tuned.before[name]:.3f}"
        )
        typer.echo(f"  {name}: {{{words}}} # {gain}")


def _promote(settings: Settings, profile: Profile, bundle: str) -> None:
    """Raises ConfigError or Retry when a scorer cannot load the bundle, or does not say so."""
    from model.bundles.promotion import promote_by_all
    from tidegate.broker.kafka import KafkaBroker
    from tidegate.status.heartbeats import heartbeats

    broker, name = KafkaBroker(settings), profile.hash.decode()
    note(settings, "model promoted", bundle)
    with heartbeats(broker, profile) as beats:
        promote_by_all(beats, broker, bundle, name, by="tidegate train")


def _read(
    profile: Profile,
    place: str,
    label: str,
    most_refused: float,
    progress: Progress,
    written: Written,
) -> Reading:
    """The file that is named here, or else by the profile, or what the profile says to simulate."""
    from model.history.reading import read_history

    if profile.history.simulate and not place:
        from producers.simulator.history import simulated

        written.check_file("--history")
        return simulated(profile, profile.history.simulate)
    place = place or profile.history_place
    return read_history(
        written.of(profile), place, label, most_refused, progress, form=written.form
    )


def _report(
    bundle: Bundle,
    reading: Reading,
    folder: Path,
    warning: str,
    as_json: bool,
    tuned: Tuned | None,
) -> None:
    metrics = bundle.manifest.metrics
    if as_json:
        print_json(
            {
                "bundle": bundle.hash,
                "path": str(folder / bundle.hash),
                "metrics": metrics,
                "warning": warning,
                "history": reading.facts(),
            }
            | ({"tuned": tuned._asdict()} if tuned else {})
        )
        return
    if tuned:
        _tell_tuned(tuned)
    typer.echo("\n".join(reading.sentences()))
    typer.echo(f"bundle {bundle.hash} in {folder / bundle.hash}")
    typer.echo(
        "on the test slice: " + ", ".join(f"{name} {value:.3f}" for name, value in metrics.items())
    )
    for doubt in filter(None, (reading.warning(), warning)):
        typer.echo(f"WARNING: {doubt}", err=True)
