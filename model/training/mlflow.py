"""Runs for an MLflow server, over its REST API (2.0), which every server since 1.28 speaks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

import msgspec

from tidegate.errors import ConfigError, Retry
from tidegate.http import ask, check_address

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
    """An experiment of an MLflow server; one that was deleted is restored, and `say` told.

    Every method raises ConfigError for a refusal, and Retry when nobody answers.
    """

    def __init__(self, url: str, experiment: str, say: Callable[[str], None]) -> None:
        self._url, self._say = url.rstrip("/"), say
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
        """Its id; one that was deleted takes no runs, and keeps its name: it is restored."""
        by_name = f"experiments/get-by-name?experiment_name={quote(experiment)}"
        address = f"{self._url}/api/2.0/mlflow/{by_name}"
        answer = ask(SETTING, "GET", address)
        if answer.status == 404:
            return None
        found = _document(answer.status, answer.body)["experiment"]
        if found.get("lifecycle_stage") == "deleted":
            self._call("experiments/restore", experiment_id=found["experiment_id"])
            self._say(f"the MLflow experiment {experiment} was deleted: it is restored")
        return str(found["experiment_id"])

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


class Tracking:
    """Records trainings on the server that the settings name, if they name one.

    It never decides how a training ends: where a server is away, refuses or has lost its
    experiment, `say` is called with a sentence. Raises ConfigError only for what is no address,
    before anything is trained.
    """

    def __init__(self, settings: Settings, profile: Profile, say: Callable[[str], None]) -> None:
        self._url, self._experiment, self._say = settings.mlflow, f"tidegate-{profile.name}", say
        if self._url:
            check_address(SETTING, self._url)
            self._attempt(lambda: None)

    def record(self, run: Callable[[], Run]) -> None:
        """Store the run that `run` describes, which is asked only where there is a server."""
        if self._url:
            self._attempt(run)

    def _attempt(self, run: Callable[[], Run | None]) -> None:
        """Find the experiment (it may have been deleted meanwhile), and store the run, if any."""
        try:
            tracker = Tracker(self._url, self._experiment, self._say)
            if described := run():
                tracker.record(described)
        except (ConfigError, Retry) as error:
            self._say(f"MLflow takes no run: {error}")
        except Exception as error:  # noqa: BLE001 - a plot, or another answer: the training is done
            self._say(f"MLflow takes no run: {type(error).__name__}: {error}")


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
