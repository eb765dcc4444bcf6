"""Runs for an MLflow server, over its REST API (2.0), which every server since 1.28 speaks."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

import msgspec

from tidegate.errors import ConfigError
from tidegate.http import ask

if TYPE_CHECKING:
    from model.bundles.bundle import Bundle
    from model.evaluation.metrics import Quality
    from tidegate.profile import Profile
    from tidegate.settings import Settings

SETTING = "TIDEGATE_MLFLOW"
_TEXT = 500  # characters that every server takes as a parameter


class Run(NamedTuple):
    """One training: what went in, what came out, files, and images by path."""

    name: str
    started_us: int
    params: Mapping[str, object]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    files: Sequence[Path]
    images: Mapping[str, bytes]


class Tracker:
    """An experiment of an MLflow server.

    Every method raises ConfigError for a refusal, and Retry when nobody answers.
    """

    def __init__(self, url: str, experiment: str) -> None:
        self._url = url.rstrip("/")
        self._experiment = self._find(experiment) or self._create(experiment)

    def record(self, run: Run) -> str:
        """Store a run that has ended; its id."""
        created = self._call(
            "runs/create",
            experiment_id=self._experiment,
            run_name=run.name,
            start_time=run.started_us // 1000,
            tags=[{"key": key, "value": value} for key, value in run.tags.items()],
        )["run"]["info"]
        now = time.time_ns() // 1_000_000
        self._call(
            "runs/log-batch",
            run_id=created["run_id"],
            params=[{"key": key, "value": str(value)[:_TEXT]} for key, value in run.params.items()],
            metrics=[
                {"key": key, "value": value, "timestamp": now, "step": 0}
                for key, value in run.metrics.items()
                if math.isfinite(value)
            ],
        )
        for path in run.files:
            self._upload(created["artifact_uri"], path.name, path.read_bytes())
        for name, content in run.images.items():
            self._upload(created["artifact_uri"], name, content)
        self._call("runs/update", run_id=created["run_id"], status="FINISHED", end_time=now)
        return str(created["run_id"])

    def _find(self, experiment: str) -> str | None:
        by_name = f"experiments/get-by-name?experiment_name={quote(experiment)}"
        address = f"{self._url}/api/2.0/mlflow/{by_name}"
        answer = ask(SETTING, "GET", address)
        if answer.status == 404:
            return None
        return str(_document(answer.status, answer.body)["experiment"]["experiment_id"])

    def _create(self, experiment: str) -> str:
        return str(self._call("experiments/create", name=experiment)["experiment_id"])

    def _call(self, method: str, **arguments: object) -> Any:  # noqa: ANN401 - a JSON document
        answer = ask(
            SETTING, "POST", f"{self._url}/api/2.0/mlflow/{method}", msgspec.json.encode(arguments)
        )
        return _document(answer.status, answer.body)

    def _upload(self, folder: str, name: str, content: bytes) -> None:
        """By way of the server, which is what it offers unless it was started without."""
        address = urlsplit(folder)
        if address.scheme != "mlflow-artifacts":
            raise ConfigError(
                f"{SETTING}: this server keeps files at {folder} itself: start it with "
                "--serve-artifacts"
            )
        url = f"{self._url}/api/2.0/mlflow-artifacts/artifacts{quote(address.path)}/{quote(name)}"
        answer = ask(SETTING, "PUT", url, content, "application/octet-stream")
        _document(answer.status, answer.body)


def tracker_of(settings: Settings, profile: Profile) -> Tracker | None:
    """The experiment of a profile on the server that the settings name; None without one."""
    return Tracker(settings.mlflow, f"tidegate-{profile.name}") if settings.mlflow else None


def training(
    profile: Profile,
    bundle: Bundle,
    started_us: int,
    tags: Mapping[str, str],
    qualities: Sequence[Quality],
    more: Sequence[Path] = (),
) -> Run:
    """A bundle as a run: settings, history, test metrics, files, and plots of the `qualities`."""
    from model.evaluation.plots import plots  # matplotlib is slow to import

    manifest = bundle.manifest
    history = manifest.training
    params = {
        "profile": profile.name,
        "profile_hash": manifest.profile_hash,
        "history": history.source,
        "from_us": history.from_us,
        "to_us": history.to_us,
        "rows": sum(history.rows),
        "frauds": sum(history.frauds),
        "features": len(manifest.features),
    }
    files = sorted(path for path in bundle.path.iterdir() if path.is_file())
    return Run(
        bundle.hash,
        started_us,
        params | dict(_settings(profile)),
        manifest.metrics,
        {"bundle": bundle.hash, **tags},
        [*files, *more],
        {f"plots/{name}.png": image for name, image in plots(qualities).items()},
    )


def _settings(profile: Profile) -> Iterator[tuple[str, object]]:
    for detector in profile.models.names:
        for name, value in profile.models.settings[detector].items():
            yield f"{detector}.{name}", value


def _document(status: int, body: bytes) -> Any:  # noqa: ANN401 - a JSON document
    if status >= 300:
        raise ConfigError(
            f"{SETTING}: the server answered {status}: {body[:300].decode(errors='replace')}"
        )
    return msgspec.json.decode(body or b"{}")
