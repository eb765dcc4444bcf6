"""What an MLflow server is asked, and one that is not there, or is something else. A real one gets
a run in `make compose-test`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar

import pytest

from cli.train import train
from model.training.mlflow import Run, Tracker, Tracking
from tests.support import answering
from tidegate.errors import ConfigError, Retry
from tidegate.host.embedded import free_port
from tidegate.profile import load_profile
from tidegate.settings import Settings

pytestmark = pytest.mark.training


class _Teapot(BaseHTTPRequestHandler):
    """A server that is no MLflow."""

    def do_GET(self) -> None:
        self.send_error(418, "short and stout")

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""


class _Recorder(BaseHTTPRequestHandler):
    """As much of MLflow's REST API as a run takes; it keeps what it is sent, by path."""

    kept: ClassVar[dict[str, bytes]] = {}
    answers: ClassVar[dict[str, object]] = {
        "experiments/get-by-name": {"experiment": {"experiment_id": "3"}},
        "runs/create": {
            "run": {"info": {"run_id": "r1", "artifact_uri": "mlflow-artifacts:/3/r1/artifacts"}}
        },
    }

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].removeprefix("/api/2.0/mlflow/")
        self.kept[path] = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(self.answers.get(path, {})).encode())

    do_POST = do_PUT = do_GET  # noqa: N815 - the names that the server calls

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""


@pytest.fixture
def recorder() -> Iterator[str]:
    with answering(_Recorder) as address:
        yield address


@pytest.fixture
def teapot() -> Iterator[str]:
    with answering(_Teapot) as address:
        yield address


def test_nobody_answers() -> None:
    with pytest.raises(Retry, match="TIDEGATE_MLFLOW: nobody answers"):
        Tracker(f"http://127.0.0.1:{free_port()}", "tidegate-card", print)


@pytest.mark.parametrize("address", ["mlflow", "file:///tmp/mlruns", "http://"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ConfigError, match="TIDEGATE_MLFLOW is not an HTTP address"):
        Tracker(address, "tidegate-card", print)
    with pytest.raises(ConfigError, match="TIDEGATE_MLFLOW is not an HTTP address"):
        Tracking(Settings(mlflow=address), load_profile("card"), print)


def test_another_server(teapot: str) -> None:
    with pytest.raises(ConfigError, match="the server answered 418"):
        Tracker(teapot, "tidegate-card", print)


class _Deleted(_Recorder):
    """An experiment that was deleted in MLflow's page: it keeps its name, and takes no runs."""

    kept: ClassVar[dict[str, bytes]] = {}
    answers: ClassVar[dict[str, object]] = _Recorder.answers | {
        "experiments/get-by-name": {
            "experiment": {"experiment_id": "3", "lifecycle_stage": "deleted"}
        }
    }


RUN = Run("bundle", 1, {}, {}, {}, [], {})


def test_a_deleted_experiment_is_restored_and_that_is_said() -> None:
    said: list[str] = []
    with answering(_Deleted) as address:
        tracking = Tracking(Settings(mlflow=address), load_profile("card"), said.append)
        tracking.record(lambda: RUN)
    assert json.loads(_Deleted.kept["experiments/restore"]) == {"experiment_id": "3"}
    assert "runs/create" in _Deleted.kept
    assert set(said) == {"the MLflow experiment tidegate-card was deleted: it is restored"}


def test_no_server_decides_how_a_training_ends(teapot: str) -> None:
    def unusual() -> Run:
        raise ValueError("no plot")

    said: list[str] = []
    for address in (teapot, f"http://127.0.0.1:{free_port()}"):
        Tracking(Settings(mlflow=address), load_profile("card"), said.append).record(lambda: RUN)
    assert [text.startswith("MLflow takes no run: TIDEGATE_MLFLOW") for text in said] == [True] * 4
    with answering(_Recorder) as address:
        Tracking(Settings(mlflow=address), load_profile("card"), said.append).record(unusual)
    assert said[4:] == ["MLflow takes no run: ValueError: no plot"]
    Tracking(Settings(), load_profile("card"), said.append).record(unusual)
    assert len(said) == 5


def test_a_training_is_a_run_with_its_bundle_and_plots(
    recorder: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TIDEGATE_HOME", str(tmp_path))
    train(profile="vector", samples=6000, mlflow=recorder, as_json=True)
    bundle, kept = json.loads(capsys.readouterr().out), _Recorder.kept
    batch = json.loads(kept["runs/log-batch"])
    assert {metric["key"]: metric["value"] for metric in batch["metrics"]} == bundle["metrics"]
    assert {"key": "lightgbm.trees", "value": "100"} in batch["params"]
    assert json.loads(kept["runs/update"])["status"] == "FINISHED"
    artifacts = {
        path.partition("/3/r1/artifacts/")[2]: content
        for path, content in kept.items()
        if "/r1/" in path
    }
    plots = {path: content for path, content in artifacts.items() if path.startswith("plots/")}
    assert plots.keys() == {"plots/precision-recall.png", "plots/roc.png", "plots/calibration.png"}
    assert all(content.startswith(b"\x89PNG") for content in plots.values())
    assert {path: content for path, content in artifacts.items() if path not in plots} == {
        file.name: file.read_bytes() for file in Path(bundle["path"]).iterdir()
    }
